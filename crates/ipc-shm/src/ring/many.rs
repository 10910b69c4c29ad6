//! The ends of rings with several senders: what [`mpsc`](super::mpsc) and [`mpmc`](super::mpmc) have in common.

use std::fmt::Debug;
use std::process::Command;
use std::sync::atomic::Ordering::Relaxed;

use ipc_core::{
    Caps, Error, ErrorKind, Handoff, Mechanism, Pair, Persistence, RegionMut, Rejected, Result,
    Shape as CapsShape,
};

use super::layout::{ELEMENT, LENGTH};
use super::many_core::{HEADER_LEN, LANES, MOST, Shape, bury};
use super::member::{Geometry, Member, Passes, give, given_place};
use super::memory::Memory;
use super::{RingOptions, Strategy, attach, in_place};
use crate::{Memfd, MemfdOptions};

mod receiver;
mod sender;

pub use receiver::Receiver;
pub use sender::Sender;

/// Room in a ring for a message that is not sent yet.
pub type Grant<'a, K, R = Memfd> = in_place::Grant<'a, Sender<K, R>>;
/// A message in a ring. As long as it lives, nobody else receives from the same sender.
pub type View<'a, K, R = Memfd> = in_place::View<'a, Receiver<K, R>>;

const ATTACH: &str = "attach to ring";

/// How many receivers a ring has: [`Single`] or [`Several`].
pub trait Kind: Sealed + Debug + Send + 'static {
    #[doc(hidden)]
    const NAME: &'static str;
}

mod sealed {
    pub trait Sealed {
        #[doc(hidden)]
        const MAGIC: u64;
        #[doc(hidden)]
        const RECEIVERS: usize;
    }
}
use sealed::Sealed;

/// One receiver: [`mpsc`](super::mpsc).
#[derive(Debug)]
pub enum Single {}

/// Several receivers, each message for one of them: [`mpmc`](super::mpmc).
#[derive(Debug)]
pub enum Several {}

impl Sealed for Single {
    const MAGIC: u64 = u64::from_be_bytes(*b"ipcmpsc\x01");
    const RECEIVERS: usize = 1;
}

impl Sealed for Several {
    const MAGIC: u64 = u64::from_be_bytes(*b"ipcmpmc\x01");
    const RECEIVERS: usize = MOST;
}

impl Kind for Single {
    const NAME: &'static str = "shm-mpsc";
}

impl Kind for Several {
    const NAME: &'static str = "shm-mpmc";
}

fn shape<K: Kind>(options: &RingOptions) -> Result<Shape> {
    if !(1..=MOST).contains(&options.senders) {
        return Err(Error::new(ErrorKind::InvalidInput, "make ring")
            .with_note("a ring has 1 to 64 senders: RingOptions::senders"));
    }
    Ok(Shape { capacity: options.data_len()?, lanes: options.senders, receivers: K::RECEIVERS })
}

pub(super) fn region_len<K: Kind>(options: &RingOptions) -> Result<usize> {
    shape::<K>(options).map(Shape::region_len)
}

pub(super) fn init<K: Kind>(region: &impl RegionMut, options: &RingOptions) -> Result<()> {
    let shape = shape::<K>(options)?;
    attach::create(region, shape.region_len(), K::MAGIC, |memory| {
        memory.store(LENGTH, shape.capacity as u64, Relaxed);
        memory.store(ELEMENT, options.element, Relaxed);
        memory.store(LANES, shape.lanes as u64, Relaxed);
    })
}

pub(super) fn pair<K: Kind>(options: &RingOptions) -> Result<(Sender<K>, Receiver<K>)> {
    let one = MemfdOptions::new(region_len::<K>(options)?).create()?;
    let two = one.try_clone()?;
    init::<K>(&one, options)?;
    Ok((Sender::attach(one, options)?, Receiver::attach(two, options)?))
}

type End<R> = Member<R, Shape>;

impl Geometry for Shape {
    fn bury(self, memory: &impl Memory, is_dead: impl FnMut(u64) -> bool) {
        bury(memory, self, is_dead);
    }
}

fn open<K: Kind, R: RegionMut>(region: R, options: &RingOptions) -> Result<End<R>> {
    let (memory, capacity) =
        attach::open(region, options.full_fences, K::MAGIC, HEADER_LEN, options.element)?;
    let corrupted = |note| Err(Error::new(ErrorKind::Corrupted, ATTACH).with_note(note));
    let lanes = usize::try_from(memory.load(LANES, Relaxed)).unwrap_or(0);
    if !(1..=MOST).contains(&lanes) {
        return corrupted("the number of senders makes no sense");
    }
    let shape = Shape { capacity, lanes, receivers: K::RECEIVERS };
    if memory.len() < shape.region_len() {
        return corrupted("the ring is longer than its memory");
    }
    Member::new(memory, shape, options)
}

/// What both ends have.
macro_rules! end {
    ($end:ident) => {
        impl<K: Kind> $end<K> {
            /// Another end of the same ring: a place of its own.
            ///
            /// # Errors
            ///
            /// Those of [`attach`](Self::attach); [`ErrorKind::ResourceLimit`] when descriptors run out.
            pub fn try_clone(&self) -> Result<Self> {
                Self::attach(self.end.memory.region().try_clone()?, &self.end.options)
            }
        }

        impl<K: Kind, R: RegionMut> $end<K, R> {
            /// How this end waits from now on.
            pub fn set_strategy(&mut self, strategy: Strategy) {
                self.end.options.strategy = strategy;
            }
        }

        impl<K: Kind> Passes for $end<K> {
            type Shape = Shape;

            fn member(&mut self) -> &mut End<Memfd> {
                &mut self.end
            }

            fn place(&self) -> usize {
                self.place
            }

            fn can_pass(&self) -> bool {
                true
            }
        }

        /// Also of an end that was used: the child goes on where it was.
        impl<K: Kind> Handoff for $end<K> {
            fn give(self, command: &mut Command, key: &str) -> Result<(), Rejected<Self>> {
                give(self, command, key)
            }

            fn adopt(key: &str) -> Result<Self> {
                let (memory, options) = (Memfd::adopt(key)?, RingOptions::new());
                Self::open(memory, &options, true, given_place(key))
            }
        }

        impl<K: Kind, R: RegionMut> Mechanism for $end<K, R> {
            const NAME: &'static str = K::NAME;
            const CAPS: Caps = Caps::new(CapsShape::Message)
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

impl<K: Kind> Pair for Receiver<K> {
    type Peer = Sender<K>;
    type Options = RingOptions;

    fn pair(options: &RingOptions) -> Result<(Self, Sender<K>)> {
        pair(options).map(|(tx, rx)| (rx, tx))
    }
}
