//! An event: set, or not.
#![expect(unsafe_code, reason = "it says of itself that it may be shared")]

use std::fmt;
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU32, Ordering};

use ipc_core::{
    Caps, Error, ErrorKind, Mechanism, Notified, Notify, Persistence, Result, Shape, Wait,
};

use crate::futex;
use crate::shared::Shareable;

/// An event in shared memory: it is set or not, and who waits sleeps until it is.
///
/// With [`Reset::Auto`] one waiter takes it and it is not set any more; with [`Reset::Manual`] it lets everybody
/// pass until somebody [`reset`](Self::reset)s it. To set it twice is to set it once.
///
/// # When a process dies
///
/// Nobody holds an event, so that there is nothing to report. Setting and taking are one atomic step each: a
/// process that is killed has done it, or not. If the process that set it is killed before it has woken anybody,
/// or the one that it woke is killed before it takes it, another sleeper looks for itself within 100 ms. A process
/// that has *taken* an event and is killed takes it with it, as with a semaphore.
///
/// # Limitations
///
/// A manual event that is set and reset again lets pass who looks in between. Who sleeps is woken, and goes on
/// sleeping if it is reset before it has looked: it is a state, and not a pulse.
///
/// # Errors
///
/// Of the waits: [`WouldBlock`](ErrorKind::WouldBlock) and [`TimedOut`](ErrorKind::TimedOut).
///
/// # Examples
///
/// ```
/// use ipc_core::{Notified, Notify};
/// use ipc_sem::{Event, Reset, Shared};
///
/// let ready = Shared::<Event>::new(Reset::Manual)?;
/// assert!(ready.try_wait().is_err());
/// ready.set();
/// ready.wait()?;
/// ready.wait()?;
/// ready.reset();
/// assert!(!ready.is_set());
///
/// let turn = Shared::<Event>::new(Reset::Auto)?;
/// turn.notify()?; // The same as `set`.
/// turn.wait()?;
/// assert!(turn.try_wait().is_err());
/// # Ok::<(), ipc_core::Error>(())
/// ```
///
/// # References
///
/// `futex`(2).
#[repr(C)]
pub struct Event {
    state: AtomicU32,
    manual: AtomicU32,
}

/// What happens to an [`Event`] when a waiter passes.
///
/// # Examples
///
/// See [`Event`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reset {
    /// It is taken: one waiter passes for each time it is set.
    Auto,
    /// It stays set until somebody resets it.
    Manual,
}

/// It is not set, and nobody has said that it sleeps.
const CLEAR: u32 = 0;
/// It is set.
const SET: u32 = 1;
/// It is not set, and somebody may be asleep.
const AWAITED: u32 = 2;

impl Event {
    /// Sets it, and wakes who waits: one, or all where they stay set. Without waiters, it is no system call.
    ///
    /// What was written before is seen by who passes.
    ///
    /// # Examples
    ///
    /// See [`Event`].
    pub fn set(&self) {
        if self.state.swap(SET, Ordering::AcqRel) == AWAITED {
            let count = if self.is_manual() { u32::MAX } else { 1 };
            futex::wake(&self.state, count);
        }
    }

    /// Makes it not set.
    ///
    /// # Examples
    ///
    /// See [`Event`].
    pub fn reset(&self) {
        let _ = self.state.compare_exchange(SET, CLEAR, Ordering::AcqRel, Ordering::Relaxed);
    }

    /// Whether it is set. It may be otherwise before this returns.
    ///
    /// # Examples
    ///
    /// See [`Event`].
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.state.load(Ordering::Acquire) == SET
    }

    fn is_manual(&self) -> bool {
        self.manual.load(Ordering::Relaxed) != 0
    }

    /// Passes if it is set; `left` is what a waiter that takes it leaves.
    fn pass(&self, left: u32) -> bool {
        if self.is_manual() {
            return self.is_set();
        }
        self.state.compare_exchange(SET, left, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}

impl Notify for Event {
    fn notify(&self) -> Result<()> {
        self.set();
        Ok(())
    }
}

/// A wait counts one.
impl Notified for Event {
    fn wait_with(&self, wait: Wait) -> Result<NonZeroU64> {
        // Who has slept cannot know whether others still do.
        let mut left = CLEAR;
        loop {
            if self.pass(left) {
                return Ok(NonZeroU64::MIN);
            }
            if wait == Wait::Never {
                return Err(Error::new(ErrorKind::WouldBlock, "wait for event"));
            }
            let (order, seen) = (Ordering::AcqRel, Ordering::Acquire);
            match self.state.compare_exchange(CLEAR, AWAITED, order, seen) {
                Ok(_) | Err(AWAITED) => {
                    left = AWAITED;
                    if let Err(error) = futex::doze(&self.state, AWAITED, wait) {
                        // It may have been set at the last moment, and this woken for it.
                        return if self.pass(left) { Ok(NonZeroU64::MIN) } else { Err(error) };
                    }
                }
                Err(_) => {}
            }
        }
    }
}

// SAFETY: it consists of atomics, of which any value is good.
unsafe impl Shareable for Event {
    type Init = Reset;

    unsafe fn init(this: *mut Self, reset: Reset) -> Result<()> {
        let manual = AtomicU32::new(u32::from(reset == Reset::Manual));
        // SAFETY: the caller promises the place.
        unsafe { this.write(Self { state: AtomicU32::new(CLEAR), manual }) };
        Ok(())
    }

    fn describe(to: &mut String) {
        to.push_str("Event");
    }
}

impl Mechanism for Event {
    const NAME: &'static str = "event";
    const CAPS: Caps = Caps::new(Shape::Notification)
        .anonymous()
        .named()
        .persistence(Persistence::Process)
        .coalesces();
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reset = if self.is_manual() { Reset::Manual } else { Reset::Auto };
        f.debug_struct("Event").field("set", &self.is_set()).field("reset", &reset).finish()
    }
}
