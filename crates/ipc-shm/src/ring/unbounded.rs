//! A ring from one sender to one receiver that grows: the sender does not wait.
//!
//! ```
//! use ipc_core::{RecvMsg, SendMsg};
//! use ipc_shm::ring::{RingOptions, unbounded};
//!
//! let (mut tx, mut rx) = unbounded::pair(&RingOptions::new().capacity(4096))?;
//! for number in 0..10_000_u64 {
//!     tx.send(&number.to_le_bytes())?; // Nobody receives yet.
//! }
//! let mut buf = [0; 8];
//! for number in 0..10_000_u64 {
//!     rx.recv(&mut buf)?;
//!     assert_eq!(u64::from_le_bytes(buf), number);
//! }
//! # Ok::<(), ipc_core::Error>(())
//! ```
//!
//! # How it grows
//!
//! It is made of segments of [`RingOptions::capacity`] bytes. As long as the receiver keeps up, both stay in
//! one, and it is as quick as a bounded ring. When that is full the sender takes another one, whose memory it
//! reserves first; the receiver gives back the segments that it has emptied.
//!
//! All segments are in one [`Memfd`], of [`RingOptions::limit`] bytes. Both processes map it once: that takes
//! addresses, and no memory. So nothing is passed between them when the ring grows, and its size can be
//! sealed, as that of every memfd here. At the limit the sender waits; and when the machine has no memory left,
//! a send is [`ErrorKind::ResourceLimit`].

use std::process::Command;
use std::sync::atomic::Ordering::{Relaxed, Release};

use ipc_core::{
    Caps, Error, ErrorKind, Handoff, Mechanism, Pair, Persistence, Rejected, Result, Shape,
};

use super::couple::{self, Role};
use super::layout::{DATA, ELEMENT, LENGTH, MAGIC};
use super::mapped::Mapped;
use super::member::{Geometry, Member, Passes, give};
use super::memory::Memory;
use super::unbounded_core::{Chain, MOST, SEGMENTS, TAKEN};
use super::{RingOptions, Strategy, attach, in_place};
use crate::{Memfd, MemfdOptions};

mod receiver;
mod sender;

pub use receiver::Receiver;
pub use sender::Sender;

/// Room in a ring for a message that is not sent yet.
pub type Grant<'a> = in_place::Grant<'a, Sender>;
/// A message in a ring.
pub type View<'a> = in_place::View<'a, Receiver>;

const ATTACH: &str = "attach to ring";

const MAGIC_VALUE: u64 = u64::from_be_bytes(*b"ipcunbd\x01");

/// Makes a ring and both its ends.
///
/// # Errors
///
/// [`ErrorKind::InvalidInput`] for a capacity above 2 GiB, or a limit that does not fit into the addresses; [`ErrorKind::ResourceLimit`] when memory, addresses or descriptors run
/// out.
pub fn pair(options: &RingOptions) -> Result<(Sender, Receiver)> {
    let capacity = options.data_len()?;
    let segments = (options.limit / capacity).clamp(2, MOST);
    let page = rustix::param::page_size();
    let chain = Chain { capacity, segments, page };
    let fits =
        segments.checked_mul(chain.stride()).is_some_and(|len| len < isize::MAX as usize / 2);
    if !fits {
        return Err(Error::new(ErrorKind::InvalidInput, "make ring")
            .with_note("there are not so many addresses: a smaller capacity or a lower limit"));
    }
    let one = MemfdOptions::new(chain.region_len()).create_sparse()?;
    one.reserve(0, chain.at(1))?;
    let two = one.try_clone()?;
    let memory = Mapped::new(&one, true);
    memory.store(LENGTH, capacity as u64, Relaxed);
    memory.store(ELEMENT, options.element, Relaxed);
    memory.store(SEGMENTS, segments as u64, Relaxed);
    memory.store(TAKEN, 1, Relaxed);
    memory.store(MAGIC, MAGIC_VALUE, Release);
    drop(memory);
    Ok((Sender::open(one, options, false)?, Receiver::open(two, options, false)?))
}

impl Geometry for Chain {
    fn bury(self, memory: &impl Memory, is_dead: impl FnMut(u64) -> bool) {
        couple::bury(memory, is_dead);
    }
}

type End = Member<Memfd, Chain>;

/// Finds the ring, and takes a place in it.
fn open(memory: Memfd, role: Role, options: &RingOptions, inherits: bool) -> Result<End> {
    let (memory, capacity) =
        attach::open(memory, options.full_fences, MAGIC_VALUE, TAKEN, options.element)?;
    let corrupted = |note| Err(Error::new(ErrorKind::Corrupted, ATTACH).with_note(note));
    let segments = usize::try_from(memory.load(SEGMENTS, Relaxed)).unwrap_or(usize::MAX);
    if !(2..=MOST).contains(&segments) {
        return corrupted("the number of segments makes no sense");
    }
    let chain = Chain { capacity, segments, page: rustix::param::page_size() };
    if memory.len() < chain.region_len() {
        return corrupted("the ring is longer than its memory");
    }
    let end = Member::new(memory, chain, options)?;
    role.take(&end, inherits)?;
    Ok(end)
}

/// What both ends have.
macro_rules! end {
    ($end:ident, $role:ident, $other:ident) => {
        impl $end {
            /// How much memory the ring takes now, in bytes: `fstat`.
            ///
            /// # Errors
            ///
            /// None that Linux documents.
            pub fn memory_len(&self) -> Result<u64> {
                self.end.memory.region().in_memory()
            }

            /// How this end waits from now on.
            pub fn set_strategy(&mut self, strategy: Strategy) {
                self.end.options.strategy = strategy;
            }
        }

        impl Drop for $end {
            fn drop(&mut self) {
                couple::$role.leave(&self.end, couple::$other);
            }
        }

        impl Passes for $end {
            type Shape = Chain;

            fn member(&mut self) -> &mut End {
                &mut self.end
            }

            fn place(&self) -> usize {
                0
            }

            fn can_pass(&self) -> bool {
                self.is_unused()
            }
        }

        /// The end must not have been used: what it knows of the ring stays in this process.
        impl Handoff for $end {
            fn give(self, command: &mut Command, key: &str) -> Result<(), Rejected<Self>> {
                give(self, command, key)
            }

            fn adopt(key: &str) -> Result<Self> {
                Self::open(Memfd::adopt(key)?, &RingOptions::new(), true)
            }
        }

        impl Mechanism for $end {
            const NAME: &'static str = "shm-unbounded";
            const CAPS: Caps = Caps::new(Shape::Message)
                .anonymous()
                .persistence(Persistence::Process)
                .boundaries()
                .empty_messages()
                .reports_peer_death();
        }
    };
}

end!(Sender, SENDER, RECEIVER);
end!(Receiver, RECEIVER, SENDER);

impl Pair for Receiver {
    type Peer = Sender;
    type Options = RingOptions;

    fn pair(options: &RingOptions) -> Result<(Self, Sender)> {
        pair(options).map(|(tx, rx)| (rx, tx))
    }
}

const _: () = assert!(TAKEN == DATA, "a segment's header is as long as the ring's");
