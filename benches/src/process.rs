//! What a measuring process does to itself: its CPU, its end, and what it has used.

use anyhow::{Context, Result, bail};
use rustix::process::Signal;
use rustix::thread::CpuSet;
use rustix::time::ClockId;

use crate::sys;

/// What this thread has used so far.
#[derive(Debug, Clone, Copy)]
pub struct Usage {
    /// CPU time in nanoseconds of CLOCK_THREAD_CPUTIME_ID.
    pub cpu_ns: u64,
    /// Context switches, voluntary and not.
    pub ctx_switches: u64,
}

impl Usage {
    /// Reads both counters.
    ///
    /// # Errors
    ///
    /// If the kernel does not say.
    pub fn now() -> Result<Self> {
        let cpu = rustix::time::clock_gettime(ClockId::ThreadCPUTime);
        let cpu_ns =
            u64::try_from(i128::from(cpu.tv_sec) * 1_000_000_000 + i128::from(cpu.tv_nsec))
                .unwrap_or(0);
        Ok(Self { cpu_ns, ctx_switches: sys::context_switches()? })
    }

    /// What all children together have used that were waited for.
    ///
    /// # Errors
    ///
    /// If the kernel does not say.
    pub fn of_children() -> Result<Self> {
        let usage = sys::rusage(libc::RUSAGE_CHILDREN)?;
        let ns = |time: libc::timeval| {
            let ns = i128::from(time.tv_sec) * 1_000_000_000 + i128::from(time.tv_usec) * 1000;
            u64::try_from(ns).unwrap_or(0)
        };
        let cpu_ns = ns(usage.ru_utime) + ns(usage.ru_stime);
        Ok(Self { cpu_ns, ctx_switches: sys::switches(&usage) })
    }

    /// What was used since `earlier`.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self {
            cpu_ns: self.cpu_ns - earlier.cpu_ns,
            ctx_switches: self.ctx_switches - earlier.ctx_switches,
        }
    }
}

/// The time in nanoseconds of CLOCK_MONOTONIC, which all processes share.
#[must_use]
pub fn monotonic_ns() -> u64 {
    let now = rustix::time::clock_gettime(ClockId::Monotonic);
    u64::try_from(i128::from(now.tv_sec) * 1_000_000_000 + i128::from(now.tv_nsec)).unwrap_or(0)
}

/// Pins this thread to one CPU.
///
/// # Errors
///
/// If there is no such CPU, or this process may not use it.
pub fn pin(cpu: usize) -> Result<()> {
    if cpu >= CpuSet::MAX_CPU {
        bail!("there is no CPU {cpu}");
    }
    let mut set = CpuSet::new();
    set.set(cpu);
    rustix::thread::sched_setaffinity(None, &set)
        .with_context(|| format!("cannot run on CPU {cpu}: see nproc and taskset -p"))
}

/// Has this process killed when its parent ends, which must be `parent`.
///
/// # Errors
///
/// If the parent has ended already.
pub fn die_with(parent: u32) -> Result<()> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    // The parent may have ended before the line above, and then nobody sends the signal.
    if self::parent() != parent {
        bail!("the process that started this one has ended");
    }
    Ok(())
}

/// The pid of this process's parent; 0 where it is outside this pid namespace.
#[must_use]
pub fn parent() -> u32 {
    rustix::process::getppid().map_or(0, |pid| pid.as_raw_nonzero().get().unsigned_abs())
}
