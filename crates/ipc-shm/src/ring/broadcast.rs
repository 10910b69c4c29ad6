//! A ring from one sender to several receivers: each message is for all of them.
//!
//! ```
//! use ipc_core::{RecvMsg, SendMsg};
//! use ipc_shm::ring::{RingOptions, broadcast};
//!
//! let (mut tx, mut one) = broadcast::pair(&RingOptions::new())?;
//! let mut two = one.try_clone()?;
//! tx.send(b"news")?;
//! let mut buf = [0; 64];
//! assert_eq!(one.recv(&mut buf)?, 4);
//! assert_eq!(two.recv(&mut buf)?, 4);
//! # Ok::<(), ipc_core::Error>(())
//! ```
//!
//! # Who waits for whom
//!
//! - By default the sender waits for the slowest receiver, as long as its process lives.
//! - With [`RingOptions::overwrite`] it waits for nobody. A receiver that is too slow loses the oldest
//!   messages, goes on with what is there, and [`Receiver::lost`] says exactly how many it lost.
//!
//! A receiver gets what is sent after it has attached. There are 32 at most; they may come and go. The sender
//! does not.

use std::process::Command;
use std::sync::atomic::Ordering::Relaxed;

use ipc_core::{
    Caps, Error, ErrorKind, Handoff, Mechanism, Pair, Persistence, RegionMut, Rejected, Result,
    Shape,
};

use super::broadcast_core::{DATA, MIN, POLICY, bury};
use super::layout::{ELEMENT, LENGTH};
use super::member::{Geometry, Member, Passes, give, given_place};
use super::memory::Memory;
use super::{RingOptions, Strategy, attach, in_place};
use crate::{Memfd, MemfdOptions};

mod receiver;
mod sender;

pub use receiver::Receiver;
pub use sender::Sender;

/// Room in a ring for a message that is not sent yet.
pub type Grant<'a, R = Memfd> = in_place::Grant<'a, Sender<R>>;
/// A message in a ring.
pub type View<'a, R = Memfd> = in_place::View<'a, Receiver<R>>;

const ATTACH: &str = "attach to ring";

const MAGIC_VALUE: u64 = u64::from_be_bytes(*b"ipcbcst\x01");

/// Makes a ring in memory of its own, its sender and a receiver.
///
/// # Errors
///
/// [`ErrorKind::InvalidInput`] for a capacity above 2 GiB; [`ErrorKind::ResourceLimit`] when memory or
/// descriptors run out.
pub fn pair(options: &RingOptions) -> Result<(Sender, Receiver)> {
    let one = MemfdOptions::new(region_len(options)?).create()?;
    let two = one.try_clone()?;
    init(&one, options)?;
    Ok((Sender::attach(one, options)?, Receiver::attach(two, options)?))
}

/// How many bytes of memory a ring takes.
///
/// # Errors
///
/// [`ErrorKind::InvalidInput`] for a capacity above 2 GiB.
pub fn region_len(options: &RingOptions) -> Result<usize> {
    Ok(DATA + options.data_len()?.max(MIN))
}

/// Makes a ring in memory that nobody uses; its first [`region_len`] bytes are overwritten. Then ends attach
/// to it, in this process or others.
///
/// # Errors
///
/// [`ErrorKind::InvalidInput`] for a capacity above 2 GiB, and when the memory is too small or
/// [private](crate::Private).
pub fn init(region: &impl RegionMut, options: &RingOptions) -> Result<()> {
    let len = region_len(options)?;
    attach::create(region, len, MAGIC_VALUE, |memory| {
        memory.store(LENGTH, (len - DATA) as u64, Relaxed);
        memory.store(ELEMENT, options.element, Relaxed);
        memory.store(POLICY, options.overwrite.into(), Relaxed);
    })
}

/// What the ring is like.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Layout {
    capacity: usize,
    overwrites: bool,
}

impl Geometry for Layout {
    fn bury(self, memory: &impl Memory, is_dead: impl FnMut(u64) -> bool) {
        bury(memory, is_dead);
    }
}

type End<R> = Member<R, Layout>;

fn open<R: RegionMut>(region: R, options: &RingOptions) -> Result<End<R>> {
    let (memory, capacity) =
        attach::open(region, options.full_fences, MAGIC_VALUE, DATA, options.element)?;
    let policy = memory.load(POLICY, Relaxed);
    if capacity < MIN || policy > 1 {
        return Err(Error::new(ErrorKind::Corrupted, ATTACH)
            .with_note("the ring's length or policy makes no sense"));
    }
    Member::new(memory, Layout { capacity, overwrites: policy == 1 }, options)
}

impl Receiver {
    /// Another receiver of the same ring. It receives what is sent from now on.
    ///
    /// # Errors
    ///
    /// Those of [`attach`](Self::attach); [`ErrorKind::ResourceLimit`] when descriptors run out.
    pub fn try_clone(&self) -> Result<Self> {
        Self::attach(self.end.memory.region().try_clone()?, &self.end.options)
    }
}

/// What both ends have.
macro_rules! end {
    ($end:ident) => {
        impl<R: RegionMut> $end<R> {
            /// How this end waits from now on.
            pub fn set_strategy(&mut self, strategy: Strategy) {
                self.end.options.strategy = strategy;
            }
        }

        impl Passes for $end {
            type Shape = Layout;

            fn member(&mut self) -> &mut End<Memfd> {
                &mut self.end
            }

            fn place(&self) -> usize {
                self.place
            }

            fn can_pass(&self) -> bool {
                self.core.is_unused()
            }
        }

        /// The end must not have been used: what it knows of the ring stays in this process.
        impl Handoff for $end {
            fn give(self, command: &mut Command, key: &str) -> Result<(), Rejected<Self>> {
                give(self, command, key)
            }

            fn adopt(key: &str) -> Result<Self> {
                let (memory, options) = (Memfd::adopt(key)?, RingOptions::new());
                Self::open(memory, &options, true, given_place(key))
            }
        }

        impl<R: RegionMut> Mechanism for $end<R> {
            const NAME: &'static str = "shm-broadcast";
            const CAPS: Caps = Caps::new(Shape::Message)
                .anonymous()
                .persistence(Persistence::Process)
                .boundaries()
                .empty_messages()
                .reports_peer_death();
        }
    };
}

end!(Sender);
end!(Receiver);

impl Pair for Receiver {
    type Peer = Sender;
    type Options = RingOptions;

    fn pair(options: &RingOptions) -> Result<(Self, Sender)> {
        pair(options).map(|(tx, rx)| (rx, tx))
    }
}
