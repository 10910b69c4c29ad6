//! System V semaphores: sets, operations on several at once, and permits that come back.
//!
//! | you want | take |
//! |---|---|
//! | a set that others find by a key | [`Key`], [`SetOptions::create`], [`SetOptions::open`] |
//! | a set for a process and its children | [`SetOptions::private`] |
//! | several operations, all or none | [`Set::operate`], [`Op`] |
//! | one semaphore of it, with `post` and `wait` | [`Set::sem`], [`Sem`] |
//! | permits that a killed process gives back | [`Op::undo`], [`Sem::undo`] |
//! | to be sure that it is removed | [`RemovalGuard`] |
//! | to see what there is | [`Set::status`], [`Set::waiting`], [`sets`], [`Limits`] |
//!
//! # What happens when a process dies
//!
//! The kernel does all of an operation, for the waiter too, in one step: a process that is killed has done it, or
//! not, and a permit that a dead waiter was to get goes to the next one. What a process has done with
//! **`undo`** (`SEM_UNDO`) the kernel takes back when it ends, whatever it dies of. That gives the permit back; it
//! does not say that somebody died, and does not repair what the permit protected: for that, see
//! [`Mutex`](crate::Mutex).
//!
//! # The race between creating and initialising
//!
//! `semget` makes a set, and its values are set by another call. Who opens it in between sees semaphores that are
//! not what they will be. Here, the values are given by the first `semop`, all at once, which also sets the time
//! of the last operation; and who opens a set waits until there is one ([`SetOptions::patience`]). A set whose
//! creator has died in between is [`Corrupted`](ipc_core::ErrorKind::Corrupted).
//!
//! # Limitations
//!
//! - A set outlives everybody until it is removed or the machine restarts; `ipcs -s` and [`sets`] show it. A
//!   [`Set`] that was created here is removed when the value is dropped, but not when the process is killed.
//! - Removing it ends it at once, for everybody: [`Disconnected`](ipc_core::ErrorKind::Disconnected).
//! - A value is 32767 at most (`SEMVMX`).
//! - [`Key::from_path_id`] makes keys of 31 bits or less out of paths: two paths can have the same.
//! - There is no descriptor to poll.

mod handoff;
mod limits;
mod listing;
mod op;
mod options;
mod removal;
mod sem;
mod set;
mod status;

pub use ipc_sysv::Key;
pub use limits::Limits;
pub use listing::{SetEntry, sets};
pub use op::Op;
pub use options::SetOptions;
pub use removal::RemovalGuard;
pub use sem::Sem;
pub use set::{Set, Waiting};
pub use status::Status;

use ipc_core::{Caps, Persistence, Shape};

/// The greatest value of a System V semaphore, `SEMVMX`.
pub const VALUE_MAX: u16 = 32767;

/// Of all types here.
const CAPS: Caps = Caps::new(Shape::Semaphore).named().anonymous().persistence(Persistence::Kernel);
