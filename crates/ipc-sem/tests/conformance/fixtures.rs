//! The mechanisms of this crate, as the suites see them.

use std::ffi::{OsStr, OsString};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::num::NonZeroU64;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex as StdMutex;
use std::sync::atomic::{AtomicU32, Ordering};

use ipc_core::{
    Caps, Error, Handoff, Mechanism, Name, Notified, Notify, Rejected, Result, Semaphore, Wait,
};
use ipc_sem::posix::{NamedSem, SemOptions, UnnamedSem};
use ipc_sem::sysv::{self, Key, Sem, Set};
use ipc_sem::{Condvar, Event, EventFd, EventFdSem, Mutex, Reset, Shareable, Shared, Waited};
use ipc_testkit::{ByHandoff, NamedObjects, Notifications, Semaphores, dir, names_in, unique_name};

pub(crate) const DEV_SHM: &str = "/dev/shm";

/// Ids of sets without a key that this process has made.
static IDS: StdMutex<Vec<i32>> = StdMutex::new(Vec::new());

/// A name that no other test uses, and that [`traces`] looks for.
pub(crate) fn fresh_name() -> Name {
    Name::new(unique_name()).expect("it is a name")
}

/// A key that no other test uses: its upper half is the same in all processes of a case.
pub(crate) fn fresh_key() -> Key {
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    let count = COUNTER.fetch_add(1, Ordering::Relaxed) + 1 + (std::process::id() << 10 & 0x7c00);
    Key::new((case_half() << 16 | count & 0x7fff).cast_signed()).expect("it is not 0")
}

/// The upper half of this case's keys.
fn case_half() -> u32 {
    let mut hasher = DefaultHasher::new();
    dir().hash(&mut hasher);
    u32::try_from(hasher.finish() & 0x7fff).expect("15 bits fit") | 0x4000
}

/// What this case has left where others see it.
pub(crate) fn traces() -> Vec<String> {
    let ids = IDS.lock().expect("nobody panics with it");
    let mut traces = names_in(DEV_SHM);
    for set in sysv::sets().expect("list System V sets") {
        let key = set.status.key;
        if ids.contains(&set.id) || key.get().cast_unsigned() >> 16 == case_half() {
            traces.push(format!("semid {} key {key}", set.id));
        }
    }
    traces
}

/// Another handle to the same object, as another process has it.
pub(crate) fn again<S: Shareable>(shared: &Shared<S>) -> Result<Shared<S>> {
    let fd = shared
        .as_fd()
        .try_clone_to_owned()
        .map_err(|error| Error::from_os("fcntl", error.raw_os_error().unwrap_or_default()))?;
    Ok(Shared::try_from(fd)?)
}

/// Gives a peer a handle of its own.
pub(crate) fn give<S: Shareable>(shared: &Shared<S>, command: &mut Command, key: &str) {
    let theirs = again(shared).expect("another handle");
    theirs.give(command, key).map_err(|it| it.error).expect("give");
}

pub(crate) struct NamedSems;

impl Semaphores for NamedSems {
    const NAME: &'static str = "posix-sem";
    const CAPS: Caps = NamedSem::CAPS;
    type Handle = NamedSem;
    type Across = ByHandoff;

    fn pair() -> Result<(NamedSem, NamedSem)> {
        let name = fresh_name();
        let one = SemOptions::new().create(&name)?;
        let two = SemOptions::new().open(&name)?;
        Ok((one, two))
    }

    fn traces() -> Vec<String> {
        traces()
    }
}

pub(crate) struct UnnamedSems;

impl Semaphores for UnnamedSems {
    const NAME: &'static str = "posix-sem-unnamed";
    const CAPS: Caps = UnnamedSem::CAPS;
    type Handle = Shared<UnnamedSem>;
    type Across = ByHandoff;

    fn pair() -> Result<(Shared<UnnamedSem>, Shared<UnnamedSem>)> {
        let one = Shared::new(0)?;
        let two = again(&one)?;
        Ok((one, two))
    }
}

pub(crate) struct SystemV;

impl Semaphores for SystemV {
    const NAME: &'static str = "sysv-sem";
    const CAPS: Caps = Sem::CAPS;
    type Handle = Sem;
    type Across = ByHandoff;

    fn pair() -> Result<(Sem, Sem)> {
        let (one, two) = Sem::pair(0)?;
        IDS.lock().expect("nobody panics with it").push(one.id());
        Ok((one, two))
    }

    fn traces() -> Vec<String> {
        traces()
    }
}

pub(crate) struct EventFdSems;

impl Semaphores for EventFdSems {
    const NAME: &'static str = "eventfd-sem";
    const CAPS: Caps = EventFdSem::CAPS;
    type Handle = EventFdSem;
    type Across = ByHandoff;

    fn pair() -> Result<(EventFdSem, EventFdSem)> {
        let one = EventFdSem::new(0)?;
        let two = one.try_clone()?;
        Ok((one, two))
    }
}

/// A semaphore that is made of a mutex and a condition variable.
#[derive(Debug)]
pub(crate) struct Counter(Shared<(Mutex<u64>, Condvar)>);

impl Counter {
    fn pair() -> Result<(Self, Self)> {
        let one = Shared::new((0, ()))?;
        let two = again(&one)?;
        Ok((Self(one), Self(two)))
    }

    fn add(&self) -> Result<()> {
        *self.0.0.lock()? += 1;
        self.0.1.notify_one();
        Ok(())
    }

    fn take(&self, all: bool, wait: Wait) -> Result<u64> {
        let guard = self.0.0.lock()?;
        let (mut guard, waited) = self.0.1.wait_while(guard, wait, |count| *count == 0)?;
        if waited == Waited::TimedOut {
            return Err(Error::new(wait.exhausted(), "wait"));
        }
        let taken = if all { *guard } else { 1 };
        *guard -= taken;
        Ok(taken)
    }
}

impl Semaphore for Counter {
    fn post(&self) -> Result<()> {
        self.add()
    }

    fn wait_with(&self, wait: Wait) -> Result<()> {
        self.take(false, wait).map(drop)
    }
}

impl Notify for Counter {
    fn notify(&self) -> Result<()> {
        self.add()
    }
}

impl Notified for Counter {
    fn wait_with(&self, wait: Wait) -> Result<NonZeroU64> {
        Ok(NonZeroU64::new(self.take(true, wait)?).expect("it was waited for"))
    }
}

impl Handoff for Counter {
    fn give(self, command: &mut Command, key: &str) -> Result<(), Rejected<Self>> {
        let back = |it: Rejected<_>| Rejected { value: Self(it.value), error: it.error };
        self.0.give(command, key).map_err(back)
    }

    fn adopt(key: &str) -> Result<Self> {
        Shared::adopt(key).map(Self)
    }
}

pub(crate) struct Counted;

impl Semaphores for Counted {
    const NAME: &'static str = "mutex-condvar";
    const CAPS: Caps = UnnamedSem::CAPS;
    type Handle = Counter;
    type Across = ByHandoff;

    fn pair() -> Result<(Counter, Counter)> {
        Counter::pair()
    }
}

pub(crate) struct Condvars;

impl Notifications for Condvars {
    const NAME: &'static str = "mutex-condvar";
    // The counter behind the mutex loses none.
    const CAPS: Caps = EventFd::CAPS;
    type Tx = Counter;
    type Rx = Counter;
    type Across = ByHandoff;

    fn pair() -> Result<(Counter, Counter)> {
        Counter::pair()
    }
}

pub(crate) struct EventFds;

impl Notifications for EventFds {
    const NAME: &'static str = "eventfd";
    const CAPS: Caps = EventFd::CAPS;
    type Tx = EventFd;
    type Rx = EventFd;
    type Across = ByHandoff;

    fn pair() -> Result<(EventFd, EventFd)> {
        let one = EventFd::new()?;
        let two = one.try_clone()?;
        Ok((one, two))
    }
}

pub(crate) struct Events;

impl Notifications for Events {
    const NAME: &'static str = "event";
    const CAPS: Caps = Event::CAPS;
    type Tx = Shared<Event>;
    type Rx = Shared<Event>;
    type Across = ByHandoff;

    fn pair() -> Result<(Shared<Event>, Shared<Event>)> {
        let one = Shared::new(Reset::Auto)?;
        let two = again(&one)?;
        Ok((one, two))
    }
}

pub(crate) struct NamedSemNames;

impl NamedObjects for NamedSemNames {
    const NAME: &'static str = "posix-sem";
    const CAPS: Caps = NamedSem::CAPS;
    type Object = NamedSem;
    type Address = Name;

    fn fresh() -> Name {
        fresh_name()
    }

    fn to_text(address: &Name) -> OsString {
        address.as_os_str().to_owned()
    }

    fn from_text(text: &OsStr) -> Name {
        Name::new(text).expect("it is a name")
    }

    fn squat(address: &Name) -> Option<Box<dyn FnOnce()>> {
        let path = Path::new(DEV_SHM).join(format!("sem.{address}"));
        std::fs::create_dir(&path).expect("make a directory");
        Some(Box::new(move || std::fs::remove_dir(path).expect("it is as it was")))
    }

    fn traces() -> Vec<String> {
        traces()
    }
}

pub(crate) struct SystemVSets;

impl NamedObjects for SystemVSets {
    const NAME: &'static str = "sysv-sem";
    const CAPS: Caps = Set::CAPS;
    type Object = Set;
    type Address = Key;

    fn fresh() -> Key {
        fresh_key()
    }

    fn to_text(address: &Key) -> OsString {
        address.get().to_string().into()
    }

    fn from_text(text: &OsStr) -> Key {
        let number = text.to_str().and_then(|text| text.parse().ok()).expect("a number");
        Key::new(number).expect("a key")
    }

    fn traces() -> Vec<String> {
        traces()
    }
}
