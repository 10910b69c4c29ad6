//! The vocabulary of inter-process communication on Linux.
//!
//! Five kinds of thing exist, and forcing one `Channel` trait on all of them would be dishonest, so
//! there are five families of traits:
//!
//! | family | traits | what it moves |
//! |---|---|---|
//! | byte stream | [`WriteBytes`], [`ReadBytes`] | bytes in order, without boundaries |
//! | message | [`SendMsg`], [`RecvMsg`] | whole messages, each once and in order |
//! | notification | [`Notify`], [`Notified`] | "something happened", perhaps counted |
//! | region | [`Region`], [`RegionMut`] | nothing: both sides see the same memory |
//! | semaphore | [`Semaphore`] | permits |
//!
//! Around them stand the words that every mechanism crate of this workspace uses:
//!
//! - [`Wait`]: how long an operation may block; one required `*_with(Wait)` method a trait, from
//!   which the blocking, `try_` and `_timeout` forms follow.
//! - [`Error`] and [`ErrorKind`]: one concrete error that names the operation, the errno and what to
//!   do about it.
//! - [`Caps`] and [`Mechanism`]: what a mechanism can and cannot do, as a constant.
//! - [`Name`], [`Named`], [`Pair`], [`Listen`] and [`Handoff`]: the ways in which two processes come
//!   to hold the two ends of one thing.
//! - [`Framed`] makes messages out of a byte stream; [`rendezvous`] makes sending synchronous.
//!
//! This crate depends on nothing outside `std` and makes no system call of its own. A program
//! usually depends on a mechanism crate (`ipc-pipe`, …) and uses this one for its traits.
//!
//! # Examples
//!
//! Code written against a family runs on every mechanism of it:
//!
//! ```
//! use ipc_core::{Framed, RecvMsg, Result, SendMsg};
//! use ipc_pipe::PipeOptions;
//!
//! fn greet(tx: &mut impl SendMsg, rx: &mut impl RecvMsg) -> Result<Vec<u8>> {
//!     tx.send(b"hello")?;
//!     let mut buf = [0; 64];
//!     let n = rx.recv(&mut buf)?;
//!     Ok(buf[..n].to_vec())
//! }
//!
//! // Over a byte stream, with a frame around each message…
//! let (rx, tx) = PipeOptions::new().open()?;
//! assert_eq!(greet(&mut Framed::new(tx, 4096), &mut Framed::new(rx, 4096))?, b"hello");
//!
//! // …and over a pipe in packet mode, which keeps the boundaries itself.
//! let (mut rx, mut tx) = PipeOptions::new().open_packet()?;
//! assert_eq!(greet(&mut tx, &mut rx)?, b"hello");
//! # Ok::<(), ipc_core::Error>(())
//! ```

mod bytes;
mod caps;
mod errno;
mod error;
mod framed;
pub mod handoff;
mod message;
mod name;
mod named;
mod notify;
mod region;
pub mod rendezvous;
mod semaphore;
mod wait;

pub use bytes::{ReadBytes, WriteBytes};
pub use caps::{Caps, Mechanism, Persistence, Shape};
pub use error::{Error, ErrorKind, Rejected, Result};
pub use framed::Framed;
pub use handoff::Handoff;
pub use message::{RecvMsg, SendMsg};
pub use name::{Name, NameProblem};
pub use named::{Listen, Named, Pair};
pub use notify::{Notified, Notify};
pub use region::{Region, RegionMut};
pub use semaphore::Semaphore;
pub use wait::Wait;
