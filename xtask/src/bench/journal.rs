//! What a run has measured, line by line as it comes, so that one which is stopped can go on.
//!
//! `journal.jsonl` stands beside `results.json` from the first round to the end of the run, and is removed then.
//! A line is whole or is not there: the last may have been cut off by whatever ended the run.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::hash::{DefaultHasher, Hasher as _};
use std::io::{self, Write as _};
use std::path::Path;

use anyhow::{Context as _, Result};
use ipc_bench_schema::results::{Build, Config, Host, Round};
use ipc_bench_schema::{CellKey, FloorReport, MechanismInfo, Outcome};
use serde::{Deserialize, Serialize};

use crate::cpus::Cpus;
use crate::error::Usage;
use crate::plan::Planned;

/// The file.
pub(super) const NAME: &str = "journal.jsonl";
/// The layout of its lines.
pub(super) const SCHEMA: &str = "ipc-bench-journal/1";

/// What must be known to go on.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Header {
    /// [`SCHEMA`].
    pub(super) schema: String,
    /// The [`hash`] of the program that measures.
    pub(super) peer: u64,
    pub(super) host: Host,
    pub(super) build: Build,
    pub(super) config: Config,
    pub(super) warnings: Vec<String>,
    pub(super) cpus: Cpus,
    pub(super) floor_budget_ms: u64,
    pub(super) mechanisms: Vec<MechanismInfo>,
    pub(super) cells: Vec<Planned>,
}

/// A line after the first.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Entry {
    /// The first look showed that this cell cannot be measured.
    Ended { key: CellKey, outcome: Outcome },
    /// What one round of one cell brought.
    Run { round: usize, key: CellKey, outcome: Outcome },
    /// What one round brought of the floors, or why it brought nothing.
    Floors { round: usize, report: Result<FloorReport, String> },
    /// How the machine did in a round.
    Round { round: usize, record: Round },
    /// How long each variant is measured from here on.
    Budget { ms: u64 },
}

/// The journal of the run that is under way.
#[derive(Debug, Default)]
pub(super) struct Journal {
    /// Open from the first round on.
    file: Option<File>,
    /// What comes before it.
    early: Vec<Entry>,
    /// Rounds of cells, and of the floors (`None`), that an earlier process measured.
    done: BTreeSet<(usize, Option<CellKey>)>,
}

/// A journal that was found.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) header: Header,
    pub(super) entries: Vec<Entry>,
    pub(super) journal: Journal,
}

impl Header {
    /// Refuses to go on where figures would be mixed that do not belong together.
    pub(super) fn must_match(&self, host: &Host, peer: &Path) -> Result<()> {
        let told = |it: &Host| -> Vec<(&'static str, String)> {
            let text = |it: &Option<String>| it.clone().unwrap_or_default();
            vec![
                ("CPU", text(&it.cpu)),
                ("set of CPUs", format!("{:?}", it.cpus)),
                ("topology", it.topology.join("; ")),
                ("kernel", text(&it.kernel)),
                ("virtualisation", text(&it.virtualisation)),
                ("clock source", text(&it.clocksource)),
                ("frequency governor", text(&it.governor)),
                ("limits", format!("{:?}", it.limits)),
                ("mitigations", format!("{:?}", it.mitigations)),
                ("memory", format!("{:?}", it.memory_bytes)),
            ]
        };
        for ((what, was), (_, is)) in told(&self.host).into_iter().zip(told(host)) {
            if was != is {
                return Err(Usage::error(format!(
                    "cannot go on: the host's {what} was {was} and is {is}; start a new run without --resume"
                )));
            }
        }
        if hash(peer)? != self.peer {
            return Err(Usage::error(
                "cannot go on: ipc-peer is not the program that measured before; start a new run without --resume, \
                 or go back to the sources and the compiler of the first",
            ));
        }
        Ok(())
    }
}

/// A hash of a program.
pub(super) fn hash(path: &Path) -> Result<u64> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut hasher = DefaultHasher::new();
    hasher.write(&bytes);
    Ok(hasher.finish())
}

impl Journal {
    /// Begins the file: what was noted so far stands in it.
    pub(super) fn begin(&mut self, dir: &Path, header: &Header) -> Result<()> {
        let path = dir.join(NAME);
        let file = OpenOptions::new().create_new(true).append(true).open(&path);
        self.file = Some(file.with_context(|| format!("cannot make {}", path.display()))?);
        self.write(header)?;
        for entry in std::mem::take(&mut self.early) {
            self.write(&entry)?;
        }
        Ok(())
    }

    /// Whether the file is there.
    pub(super) fn has_begun(&self) -> bool {
        self.file.is_some()
    }

    /// Notes something.
    pub(super) fn note(&mut self, entry: Entry) -> Result<()> {
        if self.file.is_none() {
            self.early.push(entry);
            return Ok(());
        }
        self.write(&entry)
    }

    fn write(&mut self, line: &impl Serialize) -> Result<()> {
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        let Some(file) = &mut self.file else {
            return Ok(());
        };
        file.write_all(&text).context("cannot write the journal of the run")
    }

    /// Whether an earlier process has measured this round of a cell, or of the floors.
    pub(super) fn has(&self, round: usize, key: Option<&CellKey>) -> bool {
        self.done.contains(&(round, key.cloned()))
    }

    /// Removes it: the run is complete.
    pub(super) fn end(&mut self, dir: &Path) -> Result<()> {
        self.file = None;
        match std::fs::remove_file(dir.join(NAME)) {
            Err(err) if err.kind() != io::ErrorKind::NotFound => {
                Err(err).context("cannot remove the journal of the run")
            }
            _ => Ok(()),
        }
    }

    /// Finds the journal of a run that was stopped, and opens it to go on.
    pub(super) fn find(dir: &Path) -> Result<Found> {
        let path = dir.join(NAME);
        let shown = path.display();
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(err) if err.kind() == io::ErrorKind::NotFound => {
                return Err(Usage::error(format!(
                    "nothing to go on with in {}: a run that has ended, or was stopped before its first round, has \
                     no {NAME}; start one without --resume",
                    dir.display()
                )));
            }
            Err(err) => return Err(Usage::error(format!("cannot read {shown}: {err}"))),
        };
        // A line that was cut off was not measured.
        let whole = text.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
        let damaged =
            |line: usize, err| Usage::error(format!("{shown} is damaged in line {line}: {err}"));
        let mut lines = text[..whole].split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
        let first = lines.next().ok_or_else(|| Usage::error(format!("{shown} is empty")))?;
        let header: Header = serde_json::from_slice(first).map_err(|err| damaged(1, err))?;
        if header.schema != SCHEMA {
            return Err(Usage::error(format!(
                "{shown} was written by another version of xtask: start a new run"
            )));
        }
        let entries = lines
            .enumerate()
            .map(|(at, line)| serde_json::from_slice(line).map_err(|err| damaged(at + 2, err)));
        let entries = entries.collect::<Result<Vec<Entry>>>()?;
        let done = entries.iter().filter_map(|it| match it {
            Entry::Run { round, key, .. } => Some((*round, Some(key.clone()))),
            Entry::Floors { round, .. } => Some((*round, None)),
            Entry::Ended { .. } | Entry::Budget { .. } | Entry::Round { .. } => None,
        });
        let done = done.collect();
        let file = OpenOptions::new().append(true).open(&path).and_then(|file| {
            file.set_len(whole as u64)?;
            Ok(file)
        });
        let file = file.map_err(|err| Usage::error(format!("cannot write to {shown}: {err}")))?;
        Ok(Found { header, entries, journal: Self { file: Some(file), early: Vec::new(), done } })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::example;

    fn header(peer: &Path) -> Header {
        let results = example::results();
        Header {
            schema: SCHEMA.to_owned(),
            peer: hash(peer).unwrap(),
            host: results.host,
            build: results.build,
            config: results.config,
            warnings: Vec::new(),
            cpus: Cpus::choose(&[]).unwrap(),
            floor_budget_ms: 20,
            mechanisms: Vec::new(),
            cells: Vec::new(),
        }
    }

    fn run(round: usize) -> Entry {
        let key = example::results().cells[0].key.clone();
        Entry::Run {
            round,
            key,
            outcome: Outcome::Void { reason: "a reason\nof two lines".to_owned() },
        }
    }

    #[test]
    fn what_was_noted_is_found_and_a_line_cut_off_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let peer = dir.path().join("peer");
        std::fs::write(&peer, "a program").unwrap();
        let mut journal = Journal::default();
        journal.note(Entry::Budget { ms: 7 }).unwrap();
        journal.begin(dir.path(), &header(&peer)).unwrap();
        journal.note(run(0)).unwrap();
        journal.note(run(1)).unwrap();
        let path = dir.path().join(NAME);
        let text = std::fs::read(&path).unwrap();
        std::fs::write(&path, &text[..text.len() - 5]).unwrap();
        let mut found = Journal::find(dir.path()).unwrap();
        assert!(matches!(
            found.entries.as_slice(),
            [Entry::Budget { ms: 7 }, Entry::Run { round: 0, .. }]
        ));
        let key = example::results().cells[0].key.clone();
        assert!(found.journal.has(0, Some(&key)) && !found.journal.has(1, Some(&key)));
        assert!(!found.journal.has(0, None));
        // It goes on behind the last whole line.
        found.journal.note(run(1)).unwrap();
        assert_eq!(Journal::find(dir.path()).unwrap().entries.len(), 3);
        found.journal.end(dir.path()).unwrap();
        assert!(Journal::find(dir.path()).unwrap_err().is::<Usage>());
    }

    #[test]
    fn another_host_or_program_is_refused_and_named() {
        let dir = tempfile::tempdir().unwrap();
        let peer = dir.path().join("peer");
        std::fs::write(&peer, "a program").unwrap();
        let header = header(&peer);
        let mut host = example::results().host;
        host.load_1m = Some(99.0);
        header.must_match(&host, &peer).unwrap();
        host.kernel = Some("Linux 1.0".to_owned());
        let err = header.must_match(&host, &peer).unwrap_err().to_string();
        assert!(err.contains("kernel was") && err.contains("Linux 1.0"), "{err}");
        std::fs::write(&peer, "another").unwrap();
        let err = header.must_match(&example::results().host, &peer).unwrap_err();
        assert!(err.is::<Usage>() && err.to_string().contains("ipc-peer"), "{err}");
    }

    #[test]
    fn a_damaged_journal_is_no_panic() {
        let dir = tempfile::tempdir().unwrap();
        for text in ["", "hello\n", "{}\n", "half a li"] {
            std::fs::write(dir.path().join(NAME), text).unwrap();
            assert!(Journal::find(dir.path()).unwrap_err().is::<Usage>(), "{text:?}");
        }
    }
}
