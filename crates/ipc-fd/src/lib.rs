//! What the mechanism crates share because they are made of descriptors.
//!
//! Programs take a mechanism crate; this one is what those are built of:
//!
//! | module | subject |
//! |---|---|
//! | [`handoff`] | giving a descriptor to a child process, and taking it there |
//! | [`wait`] | one call or many until a [`Wait`](ipc_core::Wait) is exhausted |
//! | [`place`] | a name in a directory that is held open, and what is found there |
//! | [`lock`] | a lock file beside a name, held by who makes or replaces what has the name |
//! | [`user`] | whether something belongs to this process's user |
//! | [`kind`] | what a descriptor refers to, and errors of the kernel |
//!
//! # Examples
//!
//! A deadline for a descriptor of any sort:
//!
//! ```
//! use std::os::fd::AsFd;
//! use std::time::Duration;
//! use ipc_core::{ErrorKind, Wait};
//! use rustix::event::PollFlags;
//!
//! let (rx, _tx) = std::io::pipe().unwrap();
//! let soon = Wait::timeout(Duration::from_millis(5));
//! let error = ipc_fd::wait::ready("read", rx.as_fd(), PollFlags::IN, soon).unwrap_err();
//! assert_eq!(error.kind(), ErrorKind::TimedOut);
//! ```

pub mod handoff;
pub mod kind;
pub mod lock;
pub mod place;
mod sys;
pub mod user;
pub mod wait;
