//! A ring between one sender and one receiver.

use std::process::Command;

use ipc_core::{Caps, Handoff, Mechanism, Pair, Persistence, RegionMut, Rejected, Result, Shape};

use super::couple::{self, Role};
use super::layout::{DATA, MAGIC_VALUE};
use super::member::{Geometry, Member, Passes, give};
use super::memory::Memory;
use super::{RingOptions, Strategy, attach, in_place};
use crate::Memfd;

mod receiver;
mod sender;

pub use receiver::Receiver;
pub use sender::Sender;

/// Room in a ring for a message that is not sent yet.
pub type Grant<'a, R = Memfd> = in_place::Grant<'a, Sender<R>>;
/// A message in a ring.
pub type View<'a, R = Memfd> = in_place::View<'a, Receiver<R>>;

/// Makes a ring in memory of its own, and both its ends: [`RingOptions::pair`].
///
/// # Errors
///
/// Those of [`RingOptions::pair`].
pub fn pair(options: &RingOptions) -> Result<(Sender, Receiver)> {
    options.pair()
}

/// The length of the data.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Capacity(usize);

impl Geometry for Capacity {
    fn bury(self, memory: &impl Memory, is_dead: impl FnMut(u64) -> bool) {
        couple::bury(memory, is_dead);
    }
}

type End<R> = Member<R, Capacity>;

/// Finds the ring and takes a place in it.
fn open<R: RegionMut>(
    region: R,
    role: Role,
    options: &RingOptions,
    inherits: bool,
) -> Result<End<R>> {
    let (memory, capacity) =
        attach::open(region, options.full_fences, MAGIC_VALUE, DATA, options.element)?;
    let end = Member::new(memory, Capacity(capacity), options)?;
    role.take(&end, inherits)?;
    Ok(end)
}

/// What both ends have.
macro_rules! end {
    ($end:ident, $role:ident, $other:ident) => {
        impl<R: RegionMut> $end<R> {
            /// How this end waits from now on.
            pub fn set_strategy(&mut self, strategy: Strategy) {
                self.end.options.strategy = strategy;
            }
        }

        impl<R: RegionMut> Drop for $end<R> {
            fn drop(&mut self) {
                couple::$role.leave(&self.end, couple::$other);
            }
        }

        impl Passes for $end {
            type Shape = Capacity;

            fn member(&mut self) -> &mut End<Memfd> {
                &mut self.end
            }

            fn place(&self) -> usize {
                0
            }

            fn can_pass(&self) -> bool {
                self.core.position() == 0
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

        impl<R: RegionMut> Mechanism for $end<R> {
            const NAME: &'static str = "shm-spsc";
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
        options.pair().map(|(tx, rx)| (rx, tx))
    }
}
