//! `ipc-peer`, the program that measures: how it is built, asked, and believed.

use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use ipc_bench_schema::{FloorReport, FloorRequest, Outcome, PeerInfo, RunReport, RunRequest};
use serde::de::DeserializeOwned;

use crate::child::{self, Ended, Finished, Stderr};
use crate::error::{Stopped, Usage, one_line};
use crate::interrupt::Interrupts;

/// The environment variable by which a peer is told to slow a mechanism down (`drag.rs` of ipc-benches).
const SLOW: &str = "IPC_BENCH_SLOW";
/// How much of a peer's standard error is quoted.
const QUOTE: usize = 600;

/// The measuring program.
#[derive(Debug)]
pub(crate) struct Peer {
    path: PathBuf,
    /// What it is to slow down on purpose.
    drag: Option<String>,
}

/// What came of asking a peer: its answer, or why there is none.
type Answer<T> = Result<T, String>;

impl Peer {
    /// The given binary, or the workspace's own, built in release.
    pub(crate) fn new(given: Option<&Path>, interrupts: &Interrupts) -> Result<Self> {
        let Some(path) = given else {
            return Self::build(&crate::provenance::workspace(), None, interrupts);
        };
        let path = path.canonicalize().map_err(|err| {
            Usage::error(format!("no peer at {}: {err}: give --peer a binary", path.display()))
        })?;
        Ok(Self { path, drag: None })
    }

    /// The workspace's own, with other people's libraries.
    pub(crate) fn with_peers(interrupts: &Interrupts) -> Result<Self> {
        Self::build_with(&crate::provenance::workspace(), None, &["peers"], interrupts)
    }

    /// The peer of the workspace in `root`, built in release; into a directory other than Cargo's own, if one is
    /// given.
    pub(crate) fn build(
        root: &Path,
        target: Option<&Path>,
        interrupts: &Interrupts,
    ) -> Result<Self> {
        Self::build_with(root, target, &[], interrupts)
    }

    fn build_with(
        root: &Path,
        target: Option<&Path>,
        features: &[&str],
        interrupts: &Interrupts,
    ) -> Result<Self> {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command.current_dir(root).args([
            "build",
            "--release",
            "--package=ipc-benches",
            "--bin=ipc-peer",
            "--message-format=json-render-diagnostics",
        ]);
        if !features.is_empty() {
            command.arg("--features").arg(features.join(","));
        }
        if let Some(target) = target {
            command.arg("--target-dir").arg(target);
        }
        let done = child::run(&mut command, Stderr::Inherit, None, interrupts)?;
        match done.ended {
            Ended::Exited(status) if status.success() => {}
            Ended::Stopped(signal) => return Err(Stopped(signal).into()),
            _ => bail!("ipc-peer does not build: see the compiler's messages above"),
        }
        let path = artifact(&done.stdout)
            .ok_or_else(|| anyhow!("cargo did not name the ipc-peer it built"))?;
        Ok(Self { path, drag: None })
    }

    /// The same program, which makes one of its mechanisms slower than it is: `pipe:5`, by 5 %.
    pub(crate) fn dragged(self, drag: Option<String>) -> Self {
        Self { drag, ..self }
    }

    /// The program.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The mechanisms that are faulty on purpose. Nobody reads their figures, so that a peer with debug
    /// assertions will do.
    pub(crate) fn list_planted(&self, interrupts: &Interrupts) -> Result<PeerInfo> {
        let done = self.ask(&["list", "--planted"], Duration::from_secs(60), interrupts)?;
        answer(&done)?.map_err(|why| anyhow!("{} list --planted: {why}", self.path.display()))
    }

    /// What can be measured. A peer built with debug assertions is refused.
    pub(crate) fn list(&self, interrupts: &Interrupts) -> Result<PeerInfo> {
        let done = self.ask(&["list"], Duration::from_secs(60), interrupts)?;
        let info: PeerInfo =
            answer(&done)?.map_err(|why| anyhow!("{} list: {why}", self.path.display()))?;
        if info.debug_assertions {
            let path = self.path.display();
            return Err(Usage::error(format!(
                "{path} was built with debug assertions and its figures would mean nothing: build \
                 it with --release"
            )));
        }
        if info.mechanisms.is_empty() {
            bail!("{} knows no mechanism", self.path.display());
        }
        Ok(info)
    }

    /// Measures the floors.
    pub(crate) fn floors(
        &self,
        request: &FloorRequest,
        interrupts: &Interrupts,
    ) -> Result<Answer<FloorReport>> {
        // There are about eight floors.
        let limit = Duration::from_millis(80 * request.budget_ms) + Duration::from_secs(10);
        let request = serde_json::to_string(request)?;
        let done = self.ask(&["floors", &request], limit, interrupts)?;
        answer(&done)
    }

    /// Measures one cell once. Whatever goes wrong with the peer is a failure of the cell.
    pub(crate) fn run(&self, request: &RunRequest, interrupts: &Interrupts) -> Result<Outcome> {
        let limit = Duration::from_millis(10 * request.budget_ms) + Duration::from_secs(5);
        let text = serde_json::to_string(request)?;
        let done = self.ask(&["run", &text], limit, interrupts)?;
        let report: Answer<RunReport> = answer(&done)?;
        Ok(match report {
            Ok(report) if report.key == request.key => report.outcome,
            Ok(report) => Outcome::Failed {
                reason: format!("the peer answered for another cell: {}", report.key),
            },
            Err(reason) => Outcome::Failed { reason },
        })
    }

    fn ask(&self, args: &[&str], limit: Duration, interrupts: &Interrupts) -> Result<Finished> {
        let mut command = Command::new(&self.path);
        command.args(args);
        if let Some(drag) = &self.drag {
            command.env(SLOW, drag);
        }
        child::run(&mut command, Stderr::Capture, Some(limit), interrupts)
    }
}

/// The peer's answer, if it gave one. Fails where a signal asked us to stop.
fn answer<T: DeserializeOwned>(done: &Finished) -> Result<Answer<T>> {
    let why = match &done.ended {
        Ended::Stopped(signal) => return Err(Stopped(*signal).into()),
        Ended::Hung => "the peer hung and was killed".to_owned(),
        Ended::Exited(status) if !status.success() => died(*status),
        Ended::Exited(_) => match last_line(&done.stdout).context("it printed nothing") {
            Err(err) => format!("the peer gave no answer: {err}"),
            Ok(line) => match serde_json::from_slice(line) {
                Ok(answer) => return Ok(Ok(answer)),
                Err(err) => format!("the peer's answer makes no sense: {err}: {}", quote(line)),
            },
        },
    };
    let said = quote(&done.stderr);
    Ok(Err(if said.is_empty() { why } else { format!("{why}; it said: {said}") }))
}

fn died(status: ExitStatus) -> String {
    match (status.signal(), status.code()) {
        (Some(signal), _) => format!("the peer was killed by signal {signal}"),
        (None, Some(code)) => format!("the peer exited with status {code}"),
        (None, None) => "the peer died".to_owned(),
    }
}

/// The end of what was printed, on one line.
fn quote(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let text = one_line(text.trim());
    let skip = text.chars().count().saturating_sub(QUOTE);
    let tail: String = text.chars().skip(skip).filter(|c| !c.is_control()).collect();
    if skip == 0 { tail } else { format!("…{tail}") }
}

fn last_line(bytes: &[u8]) -> Option<&[u8]> {
    bytes.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii).rfind(|line| !line.is_empty())
}

/// The executable in what `cargo build --message-format=json` printed.
fn artifact(stdout: &[u8]) -> Option<PathBuf> {
    let messages = stdout.split(|&byte| byte == b'\n');
    messages
        .filter_map(|line| serde_json::from_slice::<serde_json::Value>(line).ok())
        .filter(|it| it["reason"] == "compiler-artifact" && it["target"]["name"] == "ipc-peer")
        .filter_map(|it| it["executable"].as_str().map(PathBuf::from))
        .next_back()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_executable_is_found_among_cargos_messages() {
        let out = br#"{"reason":"compiler-artifact","target":{"name":"ipc-core"},"executable":null}
{"reason":"compiler-artifact","target":{"name":"ipc-peer"},"executable":"/t/release/ipc-peer"}
{"reason":"build-finished","success":true}
"#;
        assert_eq!(artifact(out), Some(PathBuf::from("/t/release/ipc-peer")));
        assert_eq!(artifact(b"warning: nothing\n"), None);
    }

    #[test]
    fn the_answer_is_the_last_line_with_something_on_it() {
        assert_eq!(last_line(b"one\n two \n\n"), Some(&b"two"[..]));
        assert_eq!(last_line(b"\n \n"), None);
    }

    #[test]
    fn a_long_complaint_is_cut_at_its_front() {
        let quoted = quote(format!("{}the end", "x".repeat(5000)).as_bytes());
        assert!(quoted.starts_with('…') && quoted.ends_with("the end"));
        assert_eq!(quoted.chars().count(), QUOTE + 1);
    }
}
