//! `cargo xtask self-test`: does the harness find what is wrong?
//!
//! `ipc-peer` has mechanisms that are faulty on purpose. They are measured as all others are, by `cargo xtask
//! bench` in a process of its own, and what `results.json` says of each must be right: a fault that it does not
//! find there, it would not find elsewhere.

use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use ipc_bench_schema::Results;
use ipc_bench_schema::results::{Cell, Status};

use crate::child::{self, Ended, Stderr};
use crate::cli::SelfTestOptions;
use crate::error::Stopped;
use crate::interrupt::Interrupts;
use crate::peer::Peer;
use crate::report::{status_word, terminal};
use crate::store::{self, RESULTS};

/// What must be found: the mechanism, the status, and words of the reason.
const EXPECTED: [(&str, Status, &str); 5] = [
    ("planted-sound", Status::Ok, ""),
    ("planted-lossy", Status::Void, "1 lost"),
    ("planted-duplicating", Status::Void, "came again"),
    ("planted-corrupting", Status::Void, "byte"),
    ("planted-hanging", Status::Failed, "hung and was killed"),
];

/// A run of these few cells takes seconds.
const LIMIT: Duration = Duration::from_secs(300);

/// Measures the faulty mechanisms, and says of each what was found.
pub(crate) fn run(options: &SelfTestOptions) -> Result<ExitCode> {
    let interrupts = Interrupts::new()?;
    let peer = Peer::new(options.peer.as_deref(), &interrupts)?;
    let out = tempfile::Builder::new().prefix("ipc-bench-self-test-").tempdir()?;
    let results = bench(&peer, out.path(), &interrupts)?;
    let mut all_right = true;
    for (mechanism, status, says) in EXPECTED {
        let cells = results.cells.iter().filter(|it| it.key.mechanism == mechanism);
        let cells: Vec<_> = cells.collect();
        let right = !cells.is_empty() && cells.iter().all(|it| is_as_expected(it, status, says));
        all_right &= right;
        let found = cells.first().map_or_else(
            || "is not in the results".to_owned(),
            |it| {
                format!(
                    "{}: {}",
                    status_word(it.status),
                    it.reason.as_deref().unwrap_or("measured")
                )
            },
        );
        let verdict = if right { "right" } else { "WRONG" };
        terminal::print(&format!("{verdict}  {mechanism:20} {found}"));
    }
    if !all_right {
        eprintln!("error: the harness does not find what is wrong, or finds what is not");
    }
    Ok(ExitCode::from(u8::from(!all_right)))
}

fn is_as_expected(cell: &Cell, status: Status, says: &str) -> bool {
    let figures = cell.msgs_per_s.is_some() || cell.rtt_ns.is_some();
    cell.status == status
        && cell.reason.as_deref().unwrap_or_default().contains(says)
        && figures == (status == Status::Ok)
}

/// Runs `xtask bench` over them.
fn bench(peer: &Peer, out: &Path, interrupts: &Interrupts) -> Result<Results> {
    let mut command = Command::new(std::env::current_exe().context("own path")?);
    command.args(["bench", "--planted", "--topology", "stream", "--size", "64"]);
    command.args([
        "--placement",
        "same-cpu",
        "--wait",
        "block",
        "--rounds",
        "2",
        "--budget-ms",
        "5",
    ]);
    command.arg("--peer").arg(peer.path()).arg("--out").arg(out);
    let done = child::run(&mut command, Stderr::Capture, Some(LIMIT), interrupts)?;
    match done.ended {
        Ended::Stopped(signal) => return Err(Stopped(signal).into()),
        // Void cells are what it is about.
        Ended::Exited(status) if matches!(status.code(), Some(0 | 1)) => {}
        Ended::Exited(_) | Ended::Hung => {
            bail!("bench broke off: {}", String::from_utf8_lossy(&done.stderr).trim())
        }
    }
    store::read(&out.join("latest").join(RESULTS))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::example;

    #[test]
    fn a_void_cell_with_figures_or_for_another_reason_is_wrong() {
        let mut cell = example::results().cells.remove(0);
        assert!(is_as_expected(&cell, Status::Ok, ""));
        assert!(!is_as_expected(&cell, Status::Void, ""));
        cell.status = Status::Void;
        cell.reason = Some("message 7 came again in place of 8".to_owned());
        assert!(!is_as_expected(&cell, Status::Void, "came again"), "it has figures");
        (cell.msgs_per_s, cell.rtt_ns) = (None, None);
        assert!(is_as_expected(&cell, Status::Void, "came again"));
        assert!(!is_as_expected(&cell, Status::Void, "lost"));
    }
}
