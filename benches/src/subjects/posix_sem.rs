//! POSIX semaphores, one for each direction.
#![expect(unsafe_code, reason = "the raw variant exists to call the system without any help")]

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::process::Command;
use std::ptr;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::Result;
use ipc_bench_schema::{Variant, WaitMode};
use ipc_core::{Handoff, Mechanism, Name, Semaphore};
use ipc_sem::posix::{NamedSem, SemOptions};

use super::semaphores::{Permits, Permitting, found};
use crate::link::run;
use crate::sys::{as_told, until_ready};
use crate::{Subject, VariantEntry};

/// The row of the matrix.
pub(super) const SUBJECT: Subject = Subject {
    id: "posix-sem",
    krate: "ipc-sem",
    summary: "POSIX semaphore: no system call unless somebody sleeps, a killed holder is not noticed",
    caps: NamedSem::CAPS,
    variants: &[
        VariantEntry::of::<Permitting<Ours>>(Variant::Ours).adaptive(),
        VariantEntry::of::<Permitting<Bare>>(Variant::Raw).adaptive(),
    ],
};

/// Our crate's semaphore. Its name goes as soon as both sides have it open.
struct Ours(NamedSem);

fn pair() -> Result<(NamedSem, NamedSem)> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let name = Name::new(format!("ipc-bench-{}-{number}", std::process::id()))?;
    let created = SemOptions::new().create(&name)?;
    let (one, two) = (SemOptions::new().open(&name)?, SemOptions::new().open(&name)?);
    created.unlink()?;
    Ok((one, two))
}

impl Permits for Ours {
    fn pair() -> Result<(Self, Self)> {
        let (one, two) = pair()?;
        Ok((Self(one), Self(two)))
    }

    fn give(self, command: &mut Command, key: &str) -> Result<()> {
        Ok(self.0.give(command, key).map_err(|rejected| rejected.error)?)
    }

    fn adopt(key: &str) -> Result<Self> {
        Ok(Self(NamedSem::adopt(key)?))
    }

    #[inline]
    fn post(&mut self) -> Result<()> {
        Ok(self.0.post()?)
    }

    #[inline]
    fn wait(&mut self, wait: WaitMode) -> Result<()> {
        if wait == WaitMode::Block {
            return Ok(self.0.wait()?);
        }
        run(wait, |wait| self.0.wait_with(wait))
    }

    fn has_one(&mut self) -> Result<bool> {
        found(self.0.try_wait())
    }
}

/// The same file, mapped once more, and the C library's functions.
struct Bare {
    sem: *mut libc::sem_t,
    fd: OwnedFd,
}

impl Bare {
    fn new(sem: NamedSem) -> Result<Self> {
        let fd = OwnedFd::from(sem);
        let len = size_of::<libc::sem_t>();
        let prot = libc::PROT_READ | libc::PROT_WRITE;
        let (null, number) = (ptr::null_mut(), fd.as_raw_fd());
        // SAFETY: the kernel chooses an address that is free. It stays mapped for as long as the process lives.
        let sem = unsafe { libc::mmap(null, len, prot, libc::MAP_SHARED, number, 0) };
        anyhow::ensure!(sem != libc::MAP_FAILED, "mmap: {}", io::Error::last_os_error());
        Ok(Self { sem: sem.cast(), fd })
    }
}

impl Permits for Bare {
    fn pair() -> Result<(Self, Self)> {
        let (one, two) = pair()?;
        Ok((Self::new(one)?, Self::new(two)?))
    }

    fn give(self, command: &mut Command, key: &str) -> Result<()> {
        let sem = NamedSem::try_from(self.fd).map_err(|rejected| rejected.error)?;
        Ok(sem.give(command, key).map_err(|rejected| rejected.error)?)
    }

    fn adopt(key: &str) -> Result<Self> {
        Self::new(NamedSem::adopt(key)?)
    }

    #[inline]
    fn post(&mut self) -> Result<()> {
        // SAFETY: the semaphore is mapped.
        until_ready(|_| false, || unsafe { libc::sem_post(self.sem) as isize })?;
        Ok(())
    }

    #[inline]
    fn wait(&mut self, wait: WaitMode) -> Result<()> {
        as_told(
            wait,
            |errno| errno == libc::EAGAIN,
            |sleep| match sleep {
                // SAFETY: the semaphore is mapped.
                true => unsafe { libc::sem_wait(self.sem) as isize },
                // SAFETY: as above.
                false => unsafe { libc::sem_trywait(self.sem) as isize },
            },
        )?;
        Ok(())
    }

    fn has_one(&mut self) -> Result<bool> {
        // SAFETY: the semaphore is mapped.
        Ok(unsafe { libc::sem_trywait(self.sem) } == 0)
    }
}
