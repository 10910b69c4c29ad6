//! Where a run leaves its files.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context as _, Result, anyhow};
use ipc_bench_schema::{Results, SCHEMA};
use rustix::fs::{FlockOperation, flock};

use crate::error::Usage;
use crate::provenance;

/// The file that a run's figures are in.
pub(crate) const RESULTS: &str = "results.json";
/// The name that points at the newest run.
const LATEST: &str = "latest";

/// The directory that keeps the runs, locked for one of them.
#[derive(Debug)]
pub(crate) struct Base {
    dir: PathBuf,
    /// Held until the run ends; the kernel lets go of it when the process dies.
    _lock: File,
}

impl Base {
    /// Makes the directory if need be, and sees to it that one benchmark runs at a time.
    pub(crate) fn open(dir: Option<&Path>) -> Result<Self> {
        let dir = base(dir)?;
        let refused = |err: io::Error| {
            Usage::error(format!(
                "cannot write to {}: {err}: give --out another directory",
                dir.display()
            ))
        };
        fs::create_dir_all(&dir).map_err(refused)?;
        let dir = dir.canonicalize().map_err(refused)?;
        let lock = dir.join(".lock");
        let lock = OpenOptions::new().create(true).append(true).open(lock).map_err(refused)?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { dir, _lock: lock }),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(Usage::error(format!(
                "another benchmark is running into {}: wait for its end, as two disturb each other",
                dir.display()
            ))),
            Err(err) => Err(refused(err.into())),
        }
    }

    /// Locks the directory in which a run was stopped, to go on with it: the one given, or the latest.
    pub(crate) fn to_resume(dir: Option<&Path>, out: Option<&Path>) -> Result<(Self, Run)> {
        let wanted = match dir {
            Some(dir) => dir.to_path_buf(),
            None => base(out)?.join(LATEST),
        };
        let dir = wanted.canonicalize().ok().filter(|it| it.is_dir()).ok_or_else(|| {
            Usage::error(format!("no run in {}: start one without --resume", wanted.display()))
        })?;
        Ok((Self::open(dir.parent())?, Run { dir }))
    }

    /// Makes the directory of a run that begins now, and points `latest` at it.
    pub(crate) fn begin(&self, now: SystemTime) -> Result<Run> {
        let time = humantime::format_rfc3339_seconds(now).to_string().replace(':', "-");
        for count in 1..1000 {
            let name = if count == 1 { time.clone() } else { format!("{time}-{count}") };
            let dir = self.dir.join(&name);
            match fs::create_dir(&dir) {
                Ok(()) => {
                    let run = Run { dir };
                    self.point_latest_at(&run)?;
                    return Ok(run);
                }
                Err(err) if err.kind() == io::ErrorKind::AlreadyExists => {}
                Err(err) => {
                    return Err(err).with_context(|| format!("cannot make {}", dir.display()));
                }
            }
        }
        Err(anyhow!("{} is full of runs of this second", self.dir.display()))
    }

    /// Swaps the link in one step: there is no moment without a `latest`.
    pub(crate) fn point_latest_at(&self, run: &Run) -> Result<()> {
        let name = run.dir.file_name().unwrap_or_default();
        let temporary = self.dir.join(".latest");
        let latest = self.dir.join(LATEST);
        let swapped = match fs::remove_file(&temporary) {
            Err(err) if err.kind() != io::ErrorKind::NotFound => Err(err),
            _ => symlink(name, &temporary).and_then(|()| fs::rename(&temporary, &latest)),
        };
        swapped.with_context(|| format!("cannot point {} at the new run", latest.display()))
    }
}

/// The directory of one run.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    /// Where it is.
    pub(crate) dir: PathBuf,
}

impl Run {
    /// Replaces one of the run's files in one step: a reader sees the old one or the new one.
    pub(crate) fn write(&self, name: &str, contents: &[u8]) -> Result<()> {
        let (path, temporary) = (self.dir.join(name), self.dir.join(format!(".{name}.new")));
        let replace = || {
            let mut file = File::create(&temporary)?;
            file.write_all(contents)?;
            fs::rename(&temporary, &path)
        };
        replace().with_context(|| {
            // Half a file is no use to anybody.
            let _ = fs::remove_file(&temporary);
            format!("cannot write {}", path.display())
        })
    }

    /// Replaces `results.json`.
    pub(crate) fn write_results(&self, results: &Results) -> Result<()> {
        let mut json = serde_json::to_vec(results)?;
        json.push(b'\n');
        self.write(RESULTS, &json)
    }

    /// Finds the run that the user means: a `results.json`, its directory, a directory of runs, or
    /// nothing for the latest.
    pub(crate) fn find(given: Option<&Path>) -> Result<(Self, PathBuf)> {
        let path = given.map_or_else(|| base(None), |path| Ok(path.to_path_buf()))?;
        let candidates = if path.is_dir() {
            vec![path.join(RESULTS), path.join(LATEST).join(RESULTS)]
        } else {
            vec![path.clone()]
        };
        let file = candidates.into_iter().find(|file| file.is_file()).ok_or_else(|| {
            let path = path.display();
            Usage::error(format!(
                "no {RESULTS} in {path}: run `cargo xtask bench` first, or name a run's directory"
            ))
        })?;
        let file =
            file.canonicalize().with_context(|| format!("cannot open {}", file.display()))?;
        let dir = file.parent().map_or_else(|| PathBuf::from("/"), Path::to_path_buf);
        Ok((Self { dir }, file))
    }
}

/// Reads results; a file that is something else, or newer than this program, is told apart.
pub(crate) fn read(path: &Path) -> Result<Results> {
    let shown = path.display();
    let text = fs::read(path).map_err(|err| Usage::error(format!("cannot read {shown}: {err}")))?;
    let value: serde_json::Value = serde_json::from_slice(&text)
        .map_err(|err| Usage::error(format!("{shown} is not JSON: {err}")))?;
    let foreign = || {
        Usage::error(format!("{shown} is not a result of this benchmark (no schema \"{SCHEMA}\")"))
    };
    let schema = value.get("schema").and_then(|it| it.as_str()).ok_or_else(foreign)?;
    let (name, version) = SCHEMA.rsplit_once('/').unwrap_or((SCHEMA, "1"));
    let number = |text: &str| text.parse::<u32>().ok();
    match schema.strip_prefix(name).and_then(|it| number(it.strip_prefix('/')?)) {
        None => Err(foreign()),
        found if found > number(version) => Err(Usage::error(format!(
            "{shown} has schema \"{schema}\", newer than \"{SCHEMA}\": use the xtask of \
             the checkout that wrote it"
        ))),
        _ => serde_json::from_value(value)
            .map_err(|err| Usage::error(format!("{shown} is damaged or incomplete: {err}"))),
    }
}

fn base(given: Option<&Path>) -> Result<PathBuf> {
    match given {
        Some(dir) => Ok(dir.to_path_buf()),
        None => Ok(provenance::target_directory()?.join("ipc-bench")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_the_same_second_do_not_meet() {
        let dir = tempfile::tempdir().unwrap();
        let base = Base::open(Some(dir.path())).unwrap();
        let first = base.begin(SystemTime::UNIX_EPOCH).unwrap();
        let second = base.begin(SystemTime::UNIX_EPOCH).unwrap();
        assert_ne!(first.dir, second.dir);
        assert_eq!(dir.path().join(LATEST).canonicalize().unwrap(), second.dir);
    }

    #[test]
    fn a_second_benchmark_is_turned_away() {
        let dir = tempfile::tempdir().unwrap();
        let first = Base::open(Some(dir.path())).unwrap();
        let err = Base::open(Some(dir.path())).unwrap_err();
        assert!(err.is::<Usage>() && err.to_string().contains("another benchmark"));
        drop(first);
        Base::open(Some(dir.path())).unwrap();
    }

    #[test]
    fn a_file_is_replaced_whole() {
        let dir = tempfile::tempdir().unwrap();
        let run = Run { dir: dir.path().to_path_buf() };
        run.write("a", b"one").unwrap();
        run.write("a", b"two").unwrap();
        assert_eq!(fs::read(dir.path().join("a")).unwrap(), b"two");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn files_that_are_something_else_are_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(RESULTS);
        let said = |text: &str| {
            fs::write(&path, text).unwrap();
            read(&path).unwrap_err().to_string()
        };
        assert!(said("hello").contains("is not JSON"));
        assert!(said("{}").contains("not a result of this benchmark"));
        assert!(said(r#"{"schema":"other/1"}"#).contains("not a result of this benchmark"));
        assert!(said(r#"{"schema":"ipc-bench/2"}"#).contains("newer than"));
        assert!(said(r#"{"schema":"ipc-bench/1"}"#).contains("damaged or incomplete"));
    }
}
