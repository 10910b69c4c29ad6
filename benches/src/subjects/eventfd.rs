//! An eventfd for each direction.

use std::process::Command;

use anyhow::Result;
use ipc_bench_schema::{Variant, WaitMode};
use ipc_core::{ErrorKind, Handoff, Mechanism, Notified, Notify};
use ipc_sem::EventFd;

use super::semaphores::{Permits, Permitting};
use super::signals::one;
use crate::link::run;
use crate::sys::Raw;
use crate::{Subject, VariantEntry};

/// The row of the matrix.
pub(super) const SUBJECT: Subject = Subject {
    id: "eventfd",
    krate: "ipc-sem",
    summary: "counter behind a descriptor: for poll and epoll, none is lost",
    caps: EventFd::CAPS,
    variants: &[
        VariantEntry::of::<Permitting<Ours>>(Variant::Ours).adaptive(),
        VariantEntry::of::<Permitting<Bare>>(Variant::Raw).adaptive(),
    ],
};

/// Our crate's counter.
struct Ours(EventFd);

impl Permits for Ours {
    fn pair() -> Result<(Self, Self)> {
        let one = EventFd::new()?;
        let two = one.try_clone()?;
        Ok((Self(one), Self(two)))
    }

    fn give(self, command: &mut Command, key: &str) -> Result<()> {
        Ok(self.0.give(command, key).map_err(|rejected| rejected.error)?)
    }

    fn adopt(key: &str) -> Result<Self> {
        Ok(Self(EventFd::adopt(key)?))
    }

    #[inline]
    fn post(&mut self) -> Result<()> {
        Ok(self.0.notify()?)
    }

    #[inline]
    fn wait(&mut self, wait: WaitMode) -> Result<()> {
        if wait == WaitMode::Block {
            return one(self.0.wait()?.get());
        }
        one(run(wait, |wait| self.0.wait_with(wait))?.get())
    }

    fn has_one(&mut self) -> Result<bool> {
        match self.0.try_wait() {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

/// The same descriptor, used by bare system calls.
struct Bare {
    raw: Raw,
    ours: Ours,
}

impl Bare {
    fn new(ours: Ours) -> Result<Self> {
        let raw = Raw::reader(ours.0.try_clone()?.into(), true)?;
        Ok(Self { raw, ours })
    }
}

impl Permits for Bare {
    fn pair() -> Result<(Self, Self)> {
        let (one, two) = Ours::pair()?;
        Ok((Self::new(one)?, Self::new(two)?))
    }

    fn give(self, command: &mut Command, key: &str) -> Result<()> {
        self.ours.give(command, key)
    }

    fn adopt(key: &str) -> Result<Self> {
        Self::new(Ours::adopt(key)?)
    }

    #[inline]
    fn post(&mut self) -> Result<()> {
        // The kernel has no write of an eventfd that does not sleep; and there is always room.
        self.raw.write(&1_u64.to_ne_bytes(), WaitMode::Block)?;
        Ok(())
    }

    #[inline]
    fn wait(&mut self, wait: WaitMode) -> Result<()> {
        let mut count = [0; 8];
        self.raw.read(&mut count, wait)?;
        one(u64::from_ne_bytes(count))
    }

    fn has_one(&mut self) -> Result<bool> {
        self.ours.has_one()
    }
}
