//! What a process of a test run knows about itself: environment, directory, unique names.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use std::{env, fs, process};

/// How many seconds a case may take before the watchdog kills it; 60 unless set.
pub const DEADLINE: &str = "IPC_TESTKIT_DEADLINE_SECS";

/// Which case this process runs.
pub(crate) const CASE: &str = "IPC_TESTKIT_CASE";
/// Which role this process plays for a case.
pub(crate) const ROLE: &str = "IPC_TESTKIT_ROLE";
/// The process that this one must not outlive.
pub(crate) const PARENT: &str = "IPC_TESTKIT_PARENT";
/// Whether a role is to say that it has come to its end.
pub(crate) const FINISH: &str = "IPC_TESTKIT_FINISH";
/// The directory of the case.
pub(crate) const DIR: &str = "IPC_TESTKIT_DIR";

/// How long a case may take.
pub(crate) fn deadline() -> Duration {
    let Some(text) = env::var_os(DEADLINE) else {
        return Duration::from_secs(60);
    };
    let secs = text.to_str().and_then(|text| text.parse().ok()).filter(|secs| *secs > 0.0);
    secs.and_then(|secs| Duration::try_from_secs_f64(secs).ok())
        .unwrap_or_else(|| panic!("{DEADLINE} must be a number of seconds above 0, not {text:?}"))
}

/// The directory of this case: empty at its beginning, the same in all its processes, and removed
/// after it. A case that passes and leaves something in it fails.
///
/// # Panics
///
/// Outside of a case.
#[must_use]
pub fn dir() -> PathBuf {
    env::var_os(DIR).expect("dir() is for cases that a Harness runs").into()
}

/// A name that no other test uses, in this checkout or another: for kernel namespaces that all
/// processes share.
///
/// It consists of ASCII letters, digits and dashes, and begins with the same prefix in all
/// processes of a case, so that [`names_in`] finds it.
#[must_use]
pub fn unique_name() -> String {
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    let count = COUNTER.fetch_add(1, Ordering::Relaxed);
    format!("{}-{}-{count}", prefix(), process::id())
}

/// The entries of a directory that bear a [`unique_name`] of this case: what the case has put into
/// `/dev/shm` or `/dev/mqueue`, say. Sorted; empty if there is no such directory.
#[must_use]
pub fn names_in(dir: impl Into<PathBuf>) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(dir.into())
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| name.contains(&prefix()))
        .collect();
    names.sort();
    names
}

/// The entries of the case's directory, sorted.
#[must_use]
pub fn names_in_dir() -> Vec<String> {
    list(&dir())
}

pub(crate) fn list(dir: &std::path::Path) -> Vec<String> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let mut names: Vec<_> =
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// The random name of the case's directory; a process outside of a case has its own prefix.
fn prefix() -> String {
    let dir = env::var_os(DIR).map(PathBuf::from);
    let name = dir.as_deref().and_then(|dir| dir.file_name()).and_then(|name| name.to_str());
    name.map_or_else(|| format!("ipc-testkit-{}", process::id()), str::to_owned)
}
