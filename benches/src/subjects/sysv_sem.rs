//! System V semaphores, a set for each direction.
#![expect(unsafe_code, reason = "the raw variant exists to call the system without any help")]

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Result, ensure};
use ipc_bench_schema::{Variant, WaitMode};
use ipc_core::{Handoff, Mechanism, Semaphore};
use ipc_sem::sysv::{Key, Sem, Set, SetOptions};

use super::semaphores::{Permits, Permitting, found};
use crate::link::run;
use crate::sys::as_told;
use crate::{Subject, VariantEntry};

/// The row of the matrix.
pub(super) const SUBJECT: Subject = Subject {
    id: "sysv-sem",
    krate: "ipc-sem",
    summary: "System V semaphore: several at once, and the kernel gives back what the dead have taken",
    caps: Sem::CAPS,
    variants: &[
        VariantEntry::of::<Permitting<Ours>>(Variant::Ours).adaptive(),
        VariantEntry::of::<Permitting<Bare>>(Variant::Raw).adaptive(),
    ],
};

/// What the keys of the benchmark's sets begin with; a pid and a number follow.
const PREFIX: u32 = 0x5c00_0000;

/// The mode of the benchmark's sets. The bit to execute means nothing, and marks them.
const MODE: u32 = 0o700;

/// Creates a set that a later run removes if this one is killed: nobody else would.
fn create() -> Result<Set> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed) % 8;
    if number == 0 {
        sweep()?;
    }
    let key = PREFIX | std::process::id() << 3 & 0x03ff_fff8 | number;
    Ok(SetOptions::new().mode(MODE).create(Key::new(key.cast_signed())?)?)
}

/// Removes the sets of runs that were killed.
fn sweep() -> Result<()> {
    for entry in ipc_sem::sysv::sets()? {
        let key = entry.status.key.get().cast_unsigned();
        let pid = (key & 0x03ff_ffff) >> 3;
        let ours = key & 0xfc00_0000 == PREFIX && entry.status.mode == MODE;
        if ours && !Path::new("/proc").join(pid.to_string()).exists() {
            // Another user's is refused, and another sweeper's is gone already.
            if let Ok(set) = SetOptions::new().accept_unused(true).open_id(entry.id) {
                let _ = set.unlink();
            }
        }
    }
    Ok(())
}

/// Our crate's semaphore, and in the initiator the set, which is removed when it is done.
struct Ours {
    sem: Sem,
    _set: Option<Set>,
}

impl Permits for Ours {
    fn pair() -> Result<(Self, Self)> {
        let set = create()?;
        let (one, two) = (set.sem(0)?, set.sem(0)?);
        Ok((Self { sem: one, _set: Some(set) }, Self { sem: two, _set: None }))
    }

    fn give(self, command: &mut Command, key: &str) -> Result<()> {
        Ok(self.sem.give(command, key).map_err(|rejected| rejected.error)?)
    }

    fn adopt(key: &str) -> Result<Self> {
        Ok(Self { sem: Sem::adopt(key)?, _set: None })
    }

    #[inline]
    fn post(&mut self) -> Result<()> {
        Ok(self.sem.post()?)
    }

    #[inline]
    fn wait(&mut self, wait: WaitMode) -> Result<()> {
        if wait == WaitMode::Block {
            return Ok(self.sem.wait()?);
        }
        run(wait, |wait| self.sem.wait_with(wait))
    }

    fn has_one(&mut self) -> Result<bool> {
        found(self.sem.try_wait())
    }
}

/// The same set, used by bare system calls.
struct Bare(Ours);

impl Bare {
    #[inline]
    fn operate(&self, change: i16, wait: WaitMode) -> Result<()> {
        as_told(
            wait,
            |errno| errno == libc::EAGAIN,
            |sleep| {
                let flags = if sleep { 0 } else { libc::IPC_NOWAIT };
                let op = libc::sembuf { sem_num: 0, sem_op: change, sem_flg: flags as _ };
                let (id, op, time) =
                    (self.0.sem.id(), &raw const op, std::ptr::null::<libc::timespec>());
                // SAFETY: there is one operation, on this stack, and no time.
                unsafe { libc::syscall(libc::SYS_semtimedop, id, op, 1, time) as isize }
            },
        )?;
        Ok(())
    }
}

impl Permits for Bare {
    fn pair() -> Result<(Self, Self)> {
        let (one, two) = Ours::pair()?;
        ensure!(one.sem.num() == 0, "the first of its set");
        Ok((Self(one), Self(two)))
    }

    fn give(self, command: &mut Command, key: &str) -> Result<()> {
        self.0.give(command, key)
    }

    fn adopt(key: &str) -> Result<Self> {
        Ok(Self(Ours::adopt(key)?))
    }

    #[inline]
    fn post(&mut self) -> Result<()> {
        // It never sleeps.
        self.operate(1, WaitMode::Block)
    }

    #[inline]
    fn wait(&mut self, wait: WaitMode) -> Result<()> {
        self.operate(-1, wait)
    }

    fn has_one(&mut self) -> Result<bool> {
        self.0.has_one()
    }
}
