//! Semaphores, and locks in shared memory that survive the death of their holder.
//!
//! | you want | take | when its holder is killed |
//! |---|---|---|
//! | a semaphore by a name, or in shared memory | [`posix`] | the permit is lost, and nobody knows |
//! | several semaphores at once, or permits that come back | [`sysv`] | with `undo`, the kernel gives them back |
//! | a semaphore or a counter behind a descriptor, for `poll` | [`EventFdSem`], [`EventFd`] | the permit is lost |
//! | data in shared memory that one process changes at a time | [`Mutex`] | the next one is told, and has the lock |
//! | many readers, or one writer | [`RwLock`] | of a reader, nothing; of a writer, as above |
//! | to wait until data have changed | [`Condvar`] | there is no holder; a dead waiter takes no wake-up with it |
//! | to wait until all have come | [`Barrier`] | all are told |
//! | to wait until something has happened | [`Event`] | there is no holder |
//! | to build another one | [`futex`] | |
//!
//! The locks are objects of a [`Shared`], which makes them in shared memory and finds them again.
//!
//! # Examples
//!
//! A counter that a parent and its children share:
//!
//! ```
//! use std::process::Command;
//! use ipc_core::Handoff;
//! use ipc_sem::{LockError, Mutex, Shared};
//!
//! let counter = Shared::<Mutex<u64>>::new(0)?;
//! let mut worker = Command::new("worker");
//! // counter.give(&mut worker, "counter")?;
//! // The worker: let counter = Shared::<Mutex<u64>>::adopt("counter")?;
//!
//! let mut guard = match counter.lock() {
//!     Ok(guard) => guard,
//!     // A worker was killed with the lock. A counter cannot be half changed.
//!     Err(LockError::OwnerDied(died)) => died.recover(),
//!     Err(LockError::Failed(error)) => return Err(error),
//! };
//! *guard += 1;
//! # Ok::<(), ipc_core::Error>(())
//! ```
//!
//! # Whom to trust
//!
//! Who can post to a semaphore can post too often, or never. Who can write to the memory of a lock can do
//! everything, and crash the other processes too: locks are for processes that trust each other. What is made
//! here is private to its user unless an option says otherwise. See [`Shared`].

mod eventfd;
pub mod futex;
mod lock;
mod memory;
pub mod posix;
mod shared;
mod sys;
pub mod sysv;

pub use eventfd::{EventFd, EventFdSem};
pub use lock::{
    Barrier, Condvar, Event, LockError, Member, Mutex, MutexGuard, OwnerDied, ReadGuard, Recover,
    Reset, RwLock, Waited, WriteGuard,
};
pub use memory::Memory;
pub use shared::{Plain, Shareable, Shared, SharedOptions};

#[doc(hidden)]
pub use ipc_core as __ipc_core;
