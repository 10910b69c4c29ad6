//! The descriptors of this process: which are open, which a child would inherit, and how to run out
//! of them.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::RawFd;
use std::{fmt, fs};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// `O_CLOEXEC` in `/proc/self/fdinfo`.
const CLOEXEC: u32 = 0o2_000_000;

/// One open descriptor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Descriptor {
    /// What it refers to, as `/proc/self/fd` names it: `pipe:[1234]`, a path.
    pub target: String,
    /// Whether it is closed when the process executes another program.
    pub close_on_exec: bool,
}

/// The open descriptors of this process at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Descriptors(pub BTreeMap<RawFd, Descriptor>);

impl Descriptors {
    /// Looks at `/proc/self/fd`.
    ///
    /// # Panics
    ///
    /// If `/proc` is not mounted, or there is no descriptor left to read it with.
    #[must_use]
    pub fn now() -> Self {
        let entries = fs::read_dir("/proc/self/fd").expect("list /proc/self/fd");
        let numbers: Vec<RawFd> = entries
            .map(|entry| entry.expect("read /proc/self/fd"))
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .collect();
        // The directory's own descriptor was among them and is closed by now.
        let open = numbers.into_iter().filter_map(|fd| {
            let target = fs::read_link(format!("/proc/self/fd/{fd}")).ok()?;
            let info = fs::read_to_string(format!("/proc/self/fdinfo/{fd}")).ok()?;
            let flags = info.lines().find_map(|line| line.strip_prefix("flags:"))?;
            let flags = u32::from_str_radix(flags.trim(), 8).ok()?;
            let target = target.to_string_lossy().into_owned();
            Some((fd, Descriptor { target, close_on_exec: flags & CLOEXEC != 0 }))
        });
        Self(open.collect())
    }

    /// Those that were not open `before`, or were something else.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        let new = self.0.iter().filter(|(fd, it)| before.0.get(fd) != Some(it));
        Self(new.map(|(fd, it)| (*fd, it.clone())).collect())
    }
}

impl fmt::Display for Descriptors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for (fd, it) in &self.0 {
            let note = if it.close_on_exec { "" } else { ", inherited by children" };
            write!(f, "{separator}{fd} ({}{note})", it.target)?;
            separator = ", ";
        }
        Ok(())
    }
}

/// Runs `op` while exactly `free` more descriptors can be opened in this process.
///
/// It lowers `RLIMIT_NOFILE` and fills the holes below it, so that it is for a case that is alone
/// in its process.
///
/// # Panics
///
/// If the limit cannot be changed.
pub fn with_free_descriptors<T>(free: usize, op: impl FnOnce() -> T) -> T {
    let before = getrlimit(Resource::Nofile);
    let highest = Descriptors::now().0.keys().last().copied().unwrap_or(0);
    let limit = u64::try_from(highest).expect("descriptors are not negative") + 1 + free as u64;
    setrlimit(Resource::Nofile, Rlimit { current: Some(limit), maximum: before.maximum })
        .expect("lower RLIMIT_NOFILE");
    let mut plugs = Vec::new();
    while let Ok(plug) = File::open("/dev/null") {
        plugs.push(plug);
    }
    for _ in 0..free {
        plugs.pop();
    }
    let result = op();
    setrlimit(Resource::Nofile, before).expect("restore RLIMIT_NOFILE");
    drop(plugs);
    result
}
