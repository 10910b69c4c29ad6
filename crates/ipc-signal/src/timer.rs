//! POSIX timers: as many as one likes, each with its signal, its value and a count of what it missed.

use std::time::Duration;

use ipc_core::Result;
use ipc_fd::kind::os;
use rustix::io::Errno;

use crate::kind::invalid;
use crate::limits::SIGPENDING;
use crate::sys::timer::{self as sys, TimerId, To};
use crate::{Pid, Signal, Value};

/// Which clock a timer goes by.
///
/// # Examples
///
/// See [`TimerOptions`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Clock {
    /// `CLOCK_MONOTONIC`: time, which nobody can set, and which stands still while the machine is
    /// suspended.
    #[default]
    Monotonic,
    /// `CLOCK_BOOTTIME`: the same, and it goes on while the machine is suspended.
    BootTime,
    /// `CLOCK_REALTIME`: the time of day. Timers here are relative, and setting the clock does not
    /// move them.
    RealTime,
    /// `CLOCK_PROCESS_CPUTIME_ID`: the CPU time of this process.
    ProcessCpuTime,
}

/// How a [`Timer`] is made.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use ipc_core::Wait;
/// use ipc_signal::{Clock, Signal, SignalSet, TimerOptions, Value};
///
/// let signal = Signal::realtime(5)?;
/// let _guard = SignalSet::from(signal).block()?;
/// let options = TimerOptions::new(signal).value(Value::from(7_i32)).clock(Clock::BootTime);
/// let timer = options.create()?;
/// timer.arm_once(Duration::from_millis(1))?;
/// let origin = SignalSet::from(signal).wait(Wait::Forever)?;
/// assert_eq!(origin.value().unwrap().as_int(), 7);
/// # Ok::<(), ipc_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
#[must_use]
pub struct TimerOptions {
    signal: Signal,
    value: Value,
    clock: Clock,
    to: To,
}

impl TimerOptions {
    /// A timer that sends this signal to the process, with the value 0, by the monotonic clock.
    ///
    /// # Examples
    ///
    /// See [`TimerOptions`].
    pub fn new(signal: Signal) -> Self {
        Self { signal, value: Value::default(), clock: Clock::default(), to: To::Process }
    }

    /// What the signals carry.
    pub fn value(mut self, value: Value) -> Self {
        self.value = value;
        self
    }

    /// Which clock it goes by.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Sends to one thread of this process, by its id (`gettid`): `SIGEV_THREAD_ID`.
    #[doc(alias = "SIGEV_THREAD_ID")]
    pub fn thread(mut self, thread: Pid) -> Self {
        self.to = To::Thread(thread.get());
        self
    }

    /// Makes the timer; it is not armed: `timer_create`.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::ResourceLimit`](ipc_core::ErrorKind::ResourceLimit) when the user has too many
    ///   signals pending or timers: each timer holds one of `RLIMIT_SIGPENDING`;
    /// - [`ErrorKind::InvalidInput`](ipc_core::ErrorKind::InvalidInput) for a thread that is not of
    ///   this process.
    ///
    /// # Examples
    ///
    /// See [`TimerOptions`].
    #[doc(alias = "timer_create")]
    pub fn create(self) -> Result<Timer> {
        const OP: &str = "timer_create";
        let clock = match self.clock {
            Clock::Monotonic => libc::CLOCK_MONOTONIC,
            Clock::BootTime => libc::CLOCK_BOOTTIME,
            Clock::RealTime => libc::CLOCK_REALTIME,
            Clock::ProcessCpuTime => libc::CLOCK_PROCESS_CPUTIME_ID,
        };
        let id = sys::create(clock, self.signal.number(), self.value.as_usize(), self.to);
        let id = id.map_err(|errno| match (errno, self.to) {
            (Errno::AGAIN, _) => os(OP)(errno).with_kind(SIGPENDING),
            (Errno::INVAL, To::Thread(_)) => {
                os(OP)(errno).with_note("the thread is not one of this process")
            }
            (errno, _) => os(OP)(errno),
        })?;
        Ok(Timer { id, pid: std::process::id() })
    }
}

/// A POSIX timer, which sends a signal when it expires. It is deleted when it is dropped.
///
/// At most one of its signals is pending at a time. What expires meanwhile is counted:
/// [`Origin::overrun`](crate::Origin::overrun) of the signal that is taken says how many more it
/// stands for. So no expiry is lost, whichever signal it is.
///
/// A forked child has no timers: dropping its copies does nothing, and it must not use them, since their ids
/// may be those of timers of its own.
///
/// # Units
///
/// Nanoseconds of the timer's clock; the kernel expires never too early.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use ipc_core::Wait;
/// use ipc_signal::{Signal, SignalSet, TimerOptions};
///
/// let set = SignalSet::from(Signal::USR1);
/// let _guard = set.block()?;
/// let timer = TimerOptions::new(Signal::USR1).create()?;
/// timer.arm_every(Duration::from_millis(1), Duration::from_millis(1))?;
/// std::thread::sleep(Duration::from_millis(20));
/// let origin = set.wait(Wait::Forever)?;
/// assert!(origin.overrun().unwrap() >= 10, "one signal for many expiries");
/// drop(timer);
/// # while set.wait(Wait::Never).is_ok() {}
/// # Ok::<(), ipc_core::Error>(())
/// ```
///
/// # References
///
/// `timer_create`(2), `timer_settime`(2), `timer_getoverrun`(2).
#[derive(Debug)]
#[doc(alias = "timer_t")]
pub struct Timer {
    id: TimerId,
    /// The process that has it.
    pid: u32,
}

impl Timer {
    /// Expires once, after this time: `timer_settime`. An earlier setting is forgotten.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`](ipc_core::ErrorKind::InvalidInput) for no time, and for one too
    /// long for the kernel.
    ///
    /// # Examples
    ///
    /// See [`TimerOptions`].
    #[doc(alias = "timer_settime")]
    pub fn arm_once(&self, after: Duration) -> Result<()> {
        self.arm(after, Duration::ZERO)
    }

    /// Expires after `first`, and then every `every`: `timer_settime`.
    ///
    /// # Errors
    ///
    /// As [`arm_once`](Self::arm_once), for both times.
    ///
    /// # Examples
    ///
    /// See [`Timer`].
    pub fn arm_every(&self, first: Duration, every: Duration) -> Result<()> {
        if every.is_zero() {
            return Err(invalid("timer_settime", "every 0 ns is once: use arm_once"));
        }
        self.arm(first, every)
    }

    /// Expires no more. A signal that is pending stays so.
    ///
    /// # Errors
    ///
    /// None that a timer of this process gives.
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use ipc_signal::{Signal, TimerOptions};
    /// let timer = TimerOptions::new(Signal::USR1).create()?;
    /// timer.arm_once(Duration::from_secs(1000))?;
    /// assert!(timer.remaining()? > Duration::from_secs(900));
    /// timer.disarm()?;
    /// assert!(timer.remaining()?.is_zero());
    /// # Ok::<(), ipc_core::Error>(())
    /// ```
    pub fn disarm(&self) -> Result<()> {
        sys::arm(self.id, Duration::ZERO, Duration::ZERO).map_err(failed)
    }

    /// How long it is until it expires next, zero when it is not armed: `timer_gettime`.
    ///
    /// # Errors
    ///
    /// None that a timer of this process gives.
    ///
    /// # Examples
    ///
    /// See [`disarm`](Self::disarm).
    #[doc(alias = "timer_gettime")]
    pub fn remaining(&self) -> Result<Duration> {
        sys::left(self.id).map_err(os("timer_gettime"))
    }

    /// How many expiries the signal that was delivered last stands for besides its own:
    /// `timer_getoverrun`. For handlers that do not see the signal's origin.
    ///
    /// # Errors
    ///
    /// None that a timer of this process gives.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ipc_signal::{Signal, TimerOptions};
    /// assert_eq!(TimerOptions::new(Signal::USR1).create()?.overrun()?, 0);
    /// # Ok::<(), ipc_core::Error>(())
    /// ```
    #[doc(alias = "timer_getoverrun")]
    pub fn overrun(&self) -> Result<u32> {
        sys::overrun(self.id).map_err(os("timer_getoverrun"))
    }

    fn arm(&self, first: Duration, every: Duration) -> Result<()> {
        if first.is_zero() {
            return Err(invalid("timer_settime", "a time of 0 would disarm it: use disarm"));
        }
        sys::arm(self.id, first, every).map_err(failed)
    }
}

/// Why `timer_settime` failed.
#[cold]
fn failed(errno: Errno) -> ipc_core::Error {
    os("timer_settime")(errno).with_note("the time is too long, or the timer another process's")
}

impl Drop for Timer {
    fn drop(&mut self) {
        // In a forked child, the same id may be that of a timer of its own.
        if self.pid == std::process::id() {
            sys::delete(self.id);
        }
    }
}
