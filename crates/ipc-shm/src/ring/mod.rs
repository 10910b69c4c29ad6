//! Rings: messages through shared memory, without a system call for each.
//!
//! | | senders | receivers | when it is full |
//! |---|---|---|---|
//! | [`spsc`] | 1 | 1 | the sender waits |
//! | [`unbounded`] | 1 | 1 | it grows, up to a limit |
//! | [`mpsc`] | up to 64 | 1 | the sender waits |
//! | [`mpmc`] | up to 64 | up to 64, each message for one | the sender waits |
//! | [`broadcast`] | 1 | up to 32, each message for all | the sender waits, or overwrites |
//! | [`latest`] | 1 at a time | any number | there is one value |
//!
//! Ends are in threads or processes. An end waits as its [`Strategy`] says; one whose peer's process dies learns
//! of it within 20 ms, and a receiver gets what was committed before that. Messages are bytes, or values
//! ([`typed`]).
//!
//! # Examples
//!
//! Both ends in one process; one of them goes to a child by [`Handoff`](ipc_core::Handoff):
//!
//! ```
//! use ipc_core::{RecvMsg, SendMsg};
//! use ipc_shm::ring::RingOptions;
//!
//! let (mut tx, mut rx) = RingOptions::new().pair()?;
//! let sender = std::thread::spawn(move || (0..1000_u64).try_for_each(|n| tx.send(&n.to_le_bytes())));
//! let mut buf = [0; 8];
//! for n in 0..1000_u64 {
//!     assert_eq!(rx.recv(&mut buf)?, 8);
//!     assert_eq!(u64::from_le_bytes(buf), n);
//! }
//! sender.join().unwrap()?;
//! # Ok::<(), ipc_core::Error>(())
//! ```
//!
//! # What is promised, and what is not
//!
//! - A message is received whole, once, in order, or was not committed when its sender died.
//! - Whatever a peer writes into the memory, an end sends, receives, or says
//!   [`Corrupted`](ipc_core::ErrorKind::Corrupted): it never touches a byte outside of the ring, and never
//!   waits beyond its deadline. What it receives from a peer that breaks the rules is whatever that wrote.
//! - In [`spsc`] and [`unbounded`] there is one sender and one receiver in the life of a ring: who comes after
//!   one that died makes a new ring. In the others who has died is succeeded, once the kernel says so.
//!
//! # Limitations
//!
//! - There is no descriptor to poll, but a doorbell that is rung when the receiver has asked for it:
//!   [`spsc::Receiver::arm`], [`many::Receiver::arm`].
//! - A process that becomes another program (`exec`) without dropping its ends lives on, and is waited for.
//! - A forked copy of an end is none: the child's death would not be seen, and what either drops ends the ring
//!   for both. Make the ring before the fork (`RingOptions::init`), and attach on each side after it.
//! - Until a child adopts the end that it was given, nobody is there who could die: wait with a deadline for
//!   its first message.
//! - A ring over a [private](crate::Private) mapping carries nothing anywhere.
//! - A process is known by its pid and start time: the ends must be in one pid namespace, and `/proc` mounted.
//! - Spinning ([`Strategy::Spin`]) on one processor, with the other end on the same, waits for the scheduler.

mod attach;
pub mod broadcast;
mod broadcast_consumer;
mod broadcast_core;
#[cfg(test)]
mod broken;
mod couple;
mod dialogue;
mod fences;
#[cfg(test)]
mod heap;
mod in_place;
pub mod latest;
mod latest_core;
mod layout;
pub mod many;
mod many_core;
mod mapped;
mod member;
mod memory;
#[cfg(test)]
mod model;
#[cfg(test)]
mod model_broadcast;
#[cfg(test)]
mod model_latest;
#[cfg(test)]
mod model_many;
#[cfg(test)]
mod model_memory;
#[cfg(test)]
mod model_unbounded;
pub mod mpmc;
pub mod mpsc;
mod options;
mod part;
mod peers;
mod places;
mod seek;
mod sleepers;
pub mod spsc;
mod spsc_core;
pub mod typed;
pub mod unbounded;
mod unbounded_core;
mod waiting;

pub use in_place::{Grant, View};
pub use options::RingOptions;
pub use waiting::Strategy;
