//! What a person, or a program, sees while the rounds go by.
//!
//! Everything is drawn between two runs and by this thread: nothing ticks while a peer measures.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use ipc_bench_schema::{CellKey, Outcome};
use serde_json::{Value, json};

use crate::report::terminal;

/// Redraws per second, at most: a terminal emulator takes CPU time too.
const REDRAWS: u8 = 4;

/// The layout of the lines of `--json`. docs/BENCHMARKING.md describes them.
const SCHEMA: &str = "ipc-bench-progress/1";

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Show {
    /// A bar on a terminal.
    Bar,
    /// A line for each round, on standard error.
    Lines,
    /// An object of JSON for each event, on standard output.
    Json,
}

/// A bar on a terminal; elsewhere, a line for each round; or events for a program.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
    show: Show,
    stage: String,
}

impl Progress {
    /// Draws on standard error, or tells a program on standard output.
    pub(crate) fn new(json: bool) -> Self {
        let show = match (json, std::io::stderr().is_terminal()) {
            (true, _) => Show::Json,
            (false, true) => Show::Bar,
            (false, false) => Show::Lines,
        };
        let target = match show {
            Show::Bar => ProgressDrawTarget::stderr_with_hz(REDRAWS),
            Show::Lines | Show::Json => ProgressDrawTarget::hidden(),
        };
        let bar = ProgressBar::with_draw_target(Some(1), target);
        let template = "{bar:16} {prefix} · {wide_msg}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("━━─"));
        }
        Self { bar, show, stage: String::new() }
    }

    fn tell(&self, event: &Value) {
        if self.show == Show::Json {
            terminal::print(&event.to_string());
        }
    }

    /// The run begins, or goes on: it has so many cells and rounds, and leaves its files there.
    pub(crate) fn begin(&self, directory: &Path, cells: usize, rounds: usize, resumed: bool) {
        self.tell(&json!({
            "event": "begin", "schema": SCHEMA, "directory": directory, "cells": cells, "rounds": rounds,
            "resumed": resumed,
        }));
    }

    /// One round of one cell was measured.
    pub(crate) fn done(&self, cell: &CellKey, round: usize, outcome: &Outcome) {
        let (status, reason) = match outcome {
            Outcome::Ok { .. } => ("ok", None),
            Outcome::Unsupported { reason } => ("unsupported", Some(reason)),
            Outcome::Void { reason } => ("void", Some(reason)),
            Outcome::Failed { reason } => ("failed", Some(reason)),
        };
        self.tell(&json!({
            "event": "cell", "round": round + 1, "cell": cell, "status": status, "reason": reason,
        }));
    }

    /// The run is over, with this exit status, and has left these files.
    pub(crate) fn end(&self, exit: u8, complete: bool, files: &[PathBuf]) {
        self.tell(&json!({"event": "end", "exit": exit, "complete": complete, "files": files}));
    }

    /// Says something that stays on the screen.
    pub(crate) fn say(&self, line: &str) {
        match self.show {
            Show::Bar => self.bar.println(line),
            Show::Lines => eprintln!("{line}"),
            Show::Json => self.tell(&json!({"event": "message", "text": line})),
        }
    }

    /// A stage begins: `runs` runs are left in it and in all that come after, which take about
    /// `left`.
    pub(crate) fn stage(&mut self, name: &str, runs: usize, left: Duration) {
        self.stage = name.to_owned();
        self.bar.set_length(self.bar.position() + runs as u64);
        if self.show == Show::Lines {
            eprintln!("{name}: about {} left", seconds(left));
        }
        self.tell(&json!({
            "event": "stage", "stage": name, "runs_left": runs, "seconds_left": left.as_secs_f64().ceil(),
        }));
    }

    /// Names what is measured next.
    pub(crate) fn next(&self, what: &str, left: Duration) {
        self.bar.set_prefix(format!("{} · {} left", self.stage, seconds(left)));
        self.bar.set_message(what.to_owned());
    }

    /// One run is over.
    pub(crate) fn advance(&self) {
        self.bar.inc(1);
    }

    /// Takes the bar away.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

fn seconds(time: Duration) -> String {
    match time.as_secs_f64().ceil() as u64 {
        s @ 0..120 => format!("{s} s"),
        s => format!("{} min", s.div_ceil(60)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_left_is_rounded_up() {
        assert_eq!(seconds(Duration::from_millis(1)), "1 s");
        assert_eq!(seconds(Duration::from_secs(121)), "3 min");
    }
}
