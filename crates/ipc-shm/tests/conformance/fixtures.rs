//! The mechanisms of this crate, as the suites see them.

#![expect(unsafe_code, reason = "the suite wants a region that can be passed on")]

use std::ffi::{OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::Command;
use std::ptr::NonNull;

use ipc_core::{Caps, Error, Mechanism, Name, Region, RegionMut, Result};
use ipc_shm::ring::spsc::{Receiver, Sender};
use ipc_shm::ring::{RingOptions, Strategy, broadcast, mpmc, mpsc, unbounded};
use ipc_shm::{
    FileMap, FileMapOptions, Key, Memfd, MemfdOptions, PosixShm, PosixShmOptions, ReadWrite,
    SysvShm, SysvShmOptions,
};
use ipc_testkit::{
    Across, ByHandoff, Messages, NamedObjects, Regions, adopt_descriptor, dir, give_descriptor,
    names_in, unique_name,
};

pub(crate) const DEV_SHM: &str = "/dev/shm";

pub(crate) fn fresh() -> Name {
    Name::new(unique_name()).expect("a valid name")
}

pub(crate) struct Memfds;

impl Regions for Memfds {
    const NAME: &'static str = "memfd";
    const CAPS: Caps = Memfd::<ReadWrite>::CAPS;
    type View = Memfd;
    type Across = ByHandoff;

    fn pair(len: usize) -> Result<(Memfd, Memfd)> {
        let one = MemfdOptions::new(len).create()?;
        let fd = one.as_fd().try_clone_to_owned().map_err(io("dup"))?;
        Ok((one, Memfd::try_from(fd)?))
    }
}

pub(crate) struct PosixShms;

impl Regions for PosixShms {
    const NAME: &'static str = "posix-shm";
    const CAPS: Caps = PosixShm::<ReadWrite>::CAPS;
    type View = PosixShm;
    type Across = ByName;

    fn pair(len: usize) -> Result<(PosixShm, PosixShm)> {
        let name = fresh();
        let one = PosixShmOptions::new().len(len).create(&name)?;
        let two = PosixShmOptions::new().open(&name)?;
        Ok((one, two))
    }

    fn traces() -> Vec<String> {
        names_in(DEV_SHM)
    }
}

/// The other process opens it by its name.
pub(crate) struct ByName;

impl Across<PosixShm> for ByName {
    fn give(memory: PosixShm, command: &mut Command, key: &str) -> Result<()> {
        command.env(key, memory.name().as_os_str());
        Ok(())
    }

    fn adopt(key: &str) -> Result<PosixShm> {
        PosixShmOptions::new().open(&Name::new(std::env::var_os(key).unwrap_or_default())?)
    }
}

/// A file that is mapped, with a descriptor by which it can be passed on.
#[derive(Debug)]
pub(crate) struct Mapped {
    map: FileMap,
    file: File,
}

// SAFETY: it is a region by way of its field, which stays as long as it does. Nobody shortens the file.
unsafe impl Region for Mapped {
    fn base(&self) -> NonNull<u8> {
        self.map.base()
    }

    fn len(&self) -> usize {
        self.map.len()
    }
}

// SAFETY: the field may be written.
unsafe impl RegionMut for Mapped {}

pub(crate) struct SharedFiles;

impl Regions for SharedFiles {
    const NAME: &'static str = "file-map";
    const CAPS: Caps = FileMap::<ReadWrite>::CAPS;
    type View = Mapped;
    type Across = ByFile;

    fn pair(len: usize) -> Result<(Mapped, Mapped)> {
        let path = dir().join(unique_name());
        let options = OpenOptions::new().read(true).write(true).create_new(true).open(&path);
        let file = options.map_err(io("open"))?;
        std::fs::remove_file(&path).expect("remove");
        let map = FileMapOptions::new().len(len).reserve(true).shared(&file)?;
        let again = file.try_clone().map_err(io("dup"))?;
        let two = Mapped { map: FileMapOptions::new().shared(&again)?, file: again };
        Ok((Mapped { map, file }, two))
    }
}

/// The other process inherits the descriptor of the file.
pub(crate) struct ByFile;

impl Across<Mapped> for ByFile {
    fn give(mapped: Mapped, command: &mut Command, key: &str) -> Result<()> {
        give_descriptor(mapped.file.into(), command, key)
    }

    fn adopt(key: &str) -> Result<Mapped> {
        let file = File::from(adopt_descriptor(key)?);
        Ok(Mapped { map: FileMap::shared(&file)?, file })
    }
}

pub(crate) struct Names;

impl NamedObjects for Names {
    const NAME: &'static str = "posix-shm";
    const CAPS: Caps = PosixShm::<ReadWrite>::CAPS;
    type Object = PosixShm;
    type Address = Name;

    fn fresh() -> Name {
        fresh()
    }

    fn to_text(name: &Name) -> OsString {
        name.as_os_str().to_owned()
    }

    fn from_text(text: &OsStr) -> Name {
        Name::new(text).expect("a valid name")
    }

    fn traces() -> Vec<String> {
        names_in(DEV_SHM)
    }

    fn squat(name: &Name) -> Option<Box<dyn FnOnce()>> {
        let path = Path::new(DEV_SHM).join(name.as_os_str());
        std::fs::create_dir(&path).expect("make a directory");
        Some(Box::new(move || std::fs::remove_dir(&path).expect("the stranger was touched")))
    }
}

pub(crate) struct Segments;

impl Regions for Segments {
    const NAME: &'static str = "sysv-shm";
    const CAPS: Caps = SysvShm::<ReadWrite>::CAPS;
    type View = SysvShm;
    type Across = ByHandoff;

    fn pair(len: usize) -> Result<(SysvShm, SysvShm)> {
        let one = SysvShmOptions::new().len(len).create(Key::PRIVATE)?;
        let two = SysvShmOptions::new().open_id(one.id())?;
        Ok((one, two))
    }

    fn traces() -> Vec<String> {
        segments()
    }
}

pub(crate) struct Keys;

impl NamedObjects for Keys {
    const NAME: &'static str = "sysv-shm";
    const CAPS: Caps = SysvShm::<ReadWrite>::CAPS;
    type Object = SysvShm;
    type Address = Key;

    fn fresh() -> Key {
        fresh_key()
    }

    fn to_text(key: &Key) -> OsString {
        key.get().to_string().into()
    }

    fn from_text(text: &OsStr) -> Key {
        let number = text.to_str().and_then(|text| text.parse().ok()).expect("a number");
        Key::new(number).expect("a key")
    }

    fn traces() -> Vec<String> {
        segments()
    }
}

pub(crate) struct Spsc;

impl Messages for Spsc {
    const NAME: &'static str = "shm-spsc";
    const CAPS: Caps = Sender::<Memfd>::CAPS;
    type Tx = Sender;
    type Rx = Receiver;
    type Across = ByHandoff;

    fn pair() -> Result<(Sender, Receiver)> {
        RingOptions::new().pair()
    }
}

/// Declares fixtures of rings with their own default memory.
macro_rules! rings {
    ($($fixture:ident: $ring:ident, $name:literal, $options:expr;)+) => {$(
        pub(crate) struct $fixture;

        impl Messages for $fixture {
            const NAME: &'static str = $name;
            const CAPS: Caps = <$ring::Sender as Mechanism>::CAPS;
            type Tx = $ring::Sender;
            type Rx = $ring::Receiver;
            type Across = ByHandoff;

            fn pair() -> Result<($ring::Sender, $ring::Receiver)> {
                $ring::pair(&$options)
            }
        }
    )+};
}

rings! {
    Broadcast: broadcast, "shm-broadcast", RingOptions::new();
    BroadcastFenced: broadcast, "shm-broadcast-full-fences",
        RingOptions::new().full_fences(true).strategy(Strategy::Block);
    Unbounded: unbounded, "shm-unbounded", RingOptions::new().capacity(4096).limit(1 << 18);
    Mpsc: mpsc, "shm-mpsc", RingOptions::new();
    MpscFenced: mpsc, "shm-mpsc-full-fences",
        RingOptions::new().full_fences(true).strategy(Strategy::Block);
    Mpmc: mpmc, "shm-mpmc", RingOptions::new();
    MpmcFenced: mpmc, "shm-mpmc-full-fences",
        RingOptions::new().full_fences(true).strategy(Strategy::Block);
}

/// The same with the fences of a kernel without membarrier.
pub(crate) struct Fenced;

impl Messages for Fenced {
    const NAME: &'static str = "shm-spsc-full-fences";
    const CAPS: Caps = Sender::<Memfd>::CAPS;
    type Tx = Sender;
    type Rx = Receiver;
    type Across = ByHandoff;

    fn pair() -> Result<(Sender, Receiver)> {
        RingOptions::new().full_fences(true).strategy(Strategy::Block).pair()
    }
}

/// A key that no other case of any run uses at the same time.
pub(crate) fn fresh_key() -> Key {
    use std::hash::{BuildHasher, RandomState};
    let hash = RandomState::new().hash_one(unique_name());
    Key::new((hash >> 33) as i32 | 0x4000_0000).expect("it is not 0")
}

/// The segments that this process created and that were not removed.
pub(crate) fn segments() -> Vec<String> {
    let table = std::fs::read_to_string("/proc/sysvipc/shm").expect("read /proc/sysvipc/shm");
    let own = std::process::id().to_string();
    let mine = |line: &&str| line.split_whitespace().nth(4) == Some(&own[..]);
    table.lines().skip(1).filter(mine).map(str::to_owned).collect()
}

fn io(op: &'static str) -> impl Fn(std::io::Error) -> Error {
    move |error| Error::from_os(op, error.raw_os_error().unwrap_or_default())
}
