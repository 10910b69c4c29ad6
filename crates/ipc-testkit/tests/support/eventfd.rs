//! Notifications and permits over `eventfd`.

use std::num::NonZeroU64;
use std::os::fd::{AsFd, OwnedFd};
use std::process::Command;

use ipc_core::{Caps, Handoff, Notified, Notify, Rejected, Result, Semaphore, Shape, Wait};
use ipc_testkit::{ByHandoff, Notifications, Semaphores, adopt_descriptor, give_descriptor};
use rustix::event::{EventfdFlags, PollFlags, eventfd};

use super::wait::{error, retry};

/// A counter that a wait takes whole, or one by one.
#[derive(Debug)]
pub struct Counter(pub OwnedFd);

pub fn pair(flags: EventfdFlags) -> Result<(Counter, Counter)> {
    let flags = flags | EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
    let one = eventfd(0, flags).map_err(error("eventfd"))?;
    let two = rustix::io::fcntl_dupfd_cloexec(&one, 0).map_err(error("fcntl"))?;
    Ok((Counter(one), Counter(two)))
}

impl Counter {
    pub fn add(&self, n: u64) -> Result<()> {
        let n = n.to_ne_bytes();
        retry(self.0.as_fd(), PollFlags::OUT, "write", Wait::Never, || {
            rustix::io::write(&self.0, &n)
        })?;
        Ok(())
    }

    pub fn take(&self, wait: Wait) -> Result<u64> {
        let mut n = [0; 8];
        retry(self.0.as_fd(), PollFlags::IN, "read", wait, || rustix::io::read(&self.0, &mut n))?;
        Ok(u64::from_ne_bytes(n))
    }
}

impl Notify for Counter {
    fn notify(&self) -> Result<()> {
        self.add(1)
    }
}

impl Notified for Counter {
    fn wait_with(&self, wait: Wait) -> Result<NonZeroU64> {
        Ok(NonZeroU64::new(self.take(wait)?).expect("a read waits for more than zero"))
    }
}

impl Semaphore for Counter {
    fn post(&self) -> Result<()> {
        self.add(1)
    }

    fn wait_with(&self, wait: Wait) -> Result<()> {
        self.take(wait).map(drop)
    }
}

impl Handoff for Counter {
    fn give(self, command: &mut Command, key: &str) -> Result<(), Rejected<Self>> {
        give_descriptor(self.0, command, key).expect("the suite's keys are good");
        Ok(())
    }

    fn adopt(key: &str) -> Result<Self> {
        adopt_descriptor(key).map(Self)
    }
}

/// The fixture for notifications.
pub struct Events;

impl Notifications for Events {
    const NAME: &'static str = "eventfd";
    const CAPS: Caps = Caps::new(Shape::Notification).anonymous().pollable();
    type Tx = Counter;
    type Rx = Counter;
    type Across = ByHandoff;

    fn pair() -> Result<(Counter, Counter)> {
        pair(EventfdFlags::empty())
    }
}

/// The fixture for semaphores.
pub struct Permits;

impl Semaphores for Permits {
    const NAME: &'static str = "eventfd";
    const CAPS: Caps = Caps::new(Shape::Semaphore).anonymous().pollable();
    type Handle = Counter;
    type Across = ByHandoff;

    fn pair() -> Result<(Counter, Counter)> {
        pair(EventfdFlags::SEMAPHORE)
    }
}
