//! Signals: realtime ones that carry values and lose nothing, timed waits, signalfd, handlers.
//!
//! | you want | take |
//! |---|---|
//! | to tell another process something, by number | [`send`], [`exists`] |
//! | the same, and never the wrong process | [`SignalSender`], [`Target::PidFd`] |
//! | to hand numbers to another process and lose none | [`RtSender`] and [`RtReceiver`] |
//! | to wait for signals, with a deadline, and know from whom | [`SignalSet::wait`] |
//! | signals in a `poll` or `epoll` loop | [`SignalFd`], or [`Handler::descriptor`] |
//! | a flag or a counter that a signal changes | [`Handler`] |
//! | to ignore a signal, or to run a function of your own | [`Disposition`] |
//! | signals after some time, or when a descriptor is ready | [`alarm`], [`Timer`], [`SigIo`] |
//!
//! # Two kinds of signals
//!
//! | | standard (1 to 31) | realtime ([`Signal::realtime`]) |
//! |---|---|---|
//! | sent five times before it is looked at | arrives once | arrives five times, in order |
//! | carries | who sent it | who says so, and a [`Value`] |
//! | when too many are pending | still comes, without saying from whom | is refused, and the sender sees it |
//! | of several pending ones, first comes | | the lowest number |
//!
//! # The one rule
//!
//! A signal that is sent to a process goes to any of its threads that does not block it. So a program
//! that waits for signals **blocks them before its first thread starts** ([`SignalSet::block`]); all
//! threads inherit that. [`SignalFd`], [`SignalReceiver`] and [`RtReceiver`] look whether it was done
//! and refuse to begin otherwise.
//!
//! # Examples
//!
//! A program that works until it is told to stop, and misses no signal however closely it comes before
//! the wait:
//!
//! ```
//! use std::time::Duration;
//! use ipc_core::ErrorKind;
//! use ipc_signal::{Pid, Signal, SignalSet, Target, send};
//!
//! let signals = SignalSet::from([Signal::INT, Signal::TERM]);
//! let _guard = signals.block()?; // First of all.
//! # send(Target::Process(Pid::this()), Signal::TERM)?;
//! loop {
//!     match signals.wait_timeout(Duration::from_millis(100)) {
//!         Ok(origin) => {
//!             println!("{} from {:?}", origin.signal(), origin.pid());
//!             break;
//!         }
//!         Err(error) if error.kind() == ErrorKind::TimedOut => { /* some work */ }
//!         Err(error) => return Err(error),
//!     }
//! }
//! # Ok::<(), ipc_core::Error>(())
//! ```
//!
//! # Limitations
//!
//! - Signals, their handlers and their masks are the **process's** and the **thread's**: two libraries
//!   that use the same one share it. Let the program choose numbers, and pass them to libraries.
//! - Whoever may signal a process may send it any signal it waits for. [`Origin`] says what of a
//!   signal is the kernel's word and what the sender's.
//! - The kernel tells a sender neither that its signal was taken nor that the receiver listens: a
//!   realtime signal to a process that does not expect it ends that process.
//! - A process that has ended is there until it is waited for: signals to it go nowhere, without an
//!   error. A pidfd says when it ends (`poll`).
//! - Handlers run between any two instructions. See [`Disposition::raw`] for what that means, and
//!   [`Handler`] for what signal-hook's registry can put back and what not.
//! - Not here: `sigaltstack`, `sigsuspend` ([`SignalSet::wait`] needs none), and thread-directed
//!   values to threads of other processes that are not named by number.

mod alarm;
mod disposition;
mod handler;
mod handoff;
mod kind;
mod limits;
mod mask;
mod origin;
mod pid;
mod realtime;
mod send;
mod set;
mod sigio;
mod signal;
mod signalfd;
mod standard;
mod sys;
mod timer;
mod value;
mod wait;

pub use alarm::{IntervalTimer, alarm};
pub use disposition::{Disposition, RawOptions};
pub use handler::Handler;
pub use limits::Limits;
pub use mask::{BlockGuard, blocked, pending};
pub use origin::{Code, IoEvent, Origin};
pub use pid::Pid;
pub use realtime::{RtReceiver, RtSender};
pub use send::{Target, exists, queue, send};
pub use set::SignalSet;
pub use sigio::SigIo;
pub use signal::Signal;
pub use signalfd::SignalFd;
pub use standard::{SignalReceiver, SignalSender};
pub use timer::{Clock, Timer, TimerOptions};
pub use value::Value;
