//! The state of a pool as a value.

use std::fmt;
use std::process::ExitStatus;
use std::time::Duration;

use crate::Pid;

/// The state of a pool at one moment.
///
/// Its `Display` is a line for each worker.
///
/// # Examples
///
/// See [`Prefork`](crate::Prefork).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// Every place of the pool.
    pub workers: Vec<WorkerReport>,
    /// Whether the pool has been told to drain: nothing is started any more.
    pub draining: bool,
    /// How many workers had to be killed because they did not finish in time.
    pub killed: usize,
}

/// One place of a pool at one moment.
///
/// # Examples
///
/// See [`Prefork`](crate::Prefork).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct WorkerReport {
    /// Which place.
    pub slot: usize,
    /// The worker that is there, if one is.
    pub pid: Option<Pid>,
    /// How long that worker has been running.
    pub uptime: Option<Duration>,
    /// How many workers have been started here.
    pub starts: u64,
    /// How many failed in a row soon after their start.
    pub failures: u32,
    /// How the one before ended, if there was one and its status was not lost.
    pub last_exit: Option<ExitStatus>,
    /// How long until the next one is started.
    pub next_start: Option<Duration>,
}

impl Report {
    /// How many workers there are now.
    ///
    /// # Examples
    ///
    /// See [`Prefork`](crate::Prefork).
    #[must_use]
    pub fn running(&self) -> usize {
        self.workers.iter().filter(|worker| worker.pid.is_some()).count()
    }

    /// How many workers were started in place of another.
    ///
    /// # Examples
    ///
    /// See [`Prefork`](crate::Prefork).
    #[must_use]
    pub fn restarts(&self) -> u64 {
        self.workers.iter().map(|worker| worker.starts.saturating_sub(1)).sum()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (running, all) = (self.running(), self.workers.len());
        write!(f, "{running} of {all} workers, {} restarts", self.restarts())?;
        if self.draining {
            write!(f, ", draining, {} killed", self.killed)?;
        }
        self.workers.iter().try_for_each(|worker| write!(f, "\n  {worker}"))
    }
}

impl fmt::Display for WorkerReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "worker {}: ", self.slot)?;
        match (self.pid, self.uptime, self.next_start) {
            (Some(pid), Some(uptime), _) => write!(f, "pid {pid} for {uptime:.1?}")?,
            (_, _, Some(next)) => write!(f, "starts in {next:.1?}")?,
            _ => f.write_str("none")?,
        }
        if let Some(status) = self.last_exit {
            write!(f, ", the last of {} ended by {status}", self.starts)?;
        }
        Ok(())
    }
}
