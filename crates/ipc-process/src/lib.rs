//! Processes: started, watched, waited for, and never leaked.
//!
//! | you want | take |
//! |---|---|
//! | to start a program and know how it ended, with a deadline | [`Child::spawn`] |
//! | to fork a child that runs a closure | [`ForkOptions::fork`] |
//! | a process that nobody here waits for, and no zombie | [`ForkOptions::detach`] |
//! | to know whether another process lives, or to signal it, without hitting a later one | [`Process`] |
//! | to tell others which process this is | [`ProcessId`] |
//! | to wait for the first of several children, or all | [`wait_any`], [`wait_all`] |
//! | to adopt and reap orphans | [`set_subreaper`], [`reap_any`] |
//! | children that end with their parent | [`die_with_parent`], [`ForkOptions::parent_death_signal`] |
//! | a server of several processes | [`Prefork`] |
//!
//! # Examples
//!
//! ```
//! use std::os::unix::process::ExitStatusExt;
//! use std::process::Command;
//! use std::time::Duration;
//! use ipc_core::ErrorKind;
//! use ipc_process::Child;
//!
//! let mut child = Child::spawn(Command::new("sleep").arg("60"))?;
//! if let Err(error) = child.wait_timeout(Duration::from_millis(10)) {
//!     assert_eq!(error.kind(), ErrorKind::TimedOut);
//!     child.process().terminate()?; // This process and no other, whatever has its pid.
//! }
//! assert_eq!(child.wait()?.signal(), Some(15));
//! # Ok::<(), ipc_core::Error>(())
//! ```
//!
//! # What the kernel promises, and what it does not
//!
//! - A pid is a process's own until its parent has waited for it, and then anybody's. A pidfd is that
//!   process's for ever. Every handle here is a pidfd; a pid is only ever a number to show.
//! - A process that has ended is a *zombie* until its parent has waited for it. [`Child`] waits when it
//!   is dropped, unless [told](OnDrop) otherwise.
//! - A process whose parent has ended is an *orphan*: the nearest [subreaper](set_subreaper) among its
//!   ancestors becomes its parent, or the first process of the pid namespace.
//! - The exit status of a child is given out once. Where `SIGCHLD` is ignored, or another part of the
//!   program waits for any child, it is lost, and the error says so.
//!
//! # Waiting
//!
//! Every wait takes a [`Wait`](ipc_core::Wait). For a child, `Forever` is one call of `waitid`, `Never`
//! one of `waitid(WNOHANG)`, and a deadline sleeps in `ppoll` on the pidfd in between.
//!
//! # Limitations
//!
//! - Linux 5.4 for waiting by pidfd. `/proc` must be mounted for [`ProcessId`], for taking a descriptor
//!   for a [`Process`], and for [`Prefork`].
//! - That a child was stopped or continued is not told.
//! - What a process used (`getrusage`) is not told either: `RUSAGE_CHILDREN` has the sum of all children
//!   that were waited for.
//! - A pidfd of a process in a pid namespace that this process cannot see works, and has no pid.

mod child;
mod fork;
mod kind;
mod parent;
mod pid;
mod prefork;
mod process;
mod stat;
mod sys;
mod wait;

pub use child::{Child, OnDrop};
pub use fork::{ForkOptions, PANICKED};
pub use parent::{die_with_parent, is_subreaper, set_parent_death_signal, set_subreaper};
pub use pid::{Pid, ProcessId};
pub use prefork::{Event, Prefork, PreforkOptions, Report, Turn, Worker, WorkerReport};
pub use process::{Liveness, Process};
pub use wait::{reap_any, wait_all, wait_any};
