//! What a person sees while the rounds go by.
//!
//! Everything is drawn between two runs and by this thread: nothing ticks while a peer measures.

use std::io::IsTerminal as _;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Redraws per second, at most: a terminal emulator takes CPU time too.
const REDRAWS: u8 = 4;

/// A bar on a terminal; elsewhere, a line for each round.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
    plain: bool,
    stage: String,
}

impl Progress {
    /// Draws on standard error.
    pub(crate) fn new() -> Self {
        let plain = !std::io::stderr().is_terminal();
        let target = match plain {
            true => ProgressDrawTarget::hidden(),
            false => ProgressDrawTarget::stderr_with_hz(REDRAWS),
        };
        let bar = ProgressBar::with_draw_target(Some(1), target);
        let template = "{bar:16} {prefix} · {wide_msg}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("━━─"));
        }
        Self { bar, plain, stage: String::new() }
    }

    /// Says something that stays on the screen.
    pub(crate) fn say(&self, line: &str) {
        if self.plain {
            eprintln!("{line}");
        } else {
            self.bar.println(line);
        }
    }

    /// A stage begins: `runs` runs are left in it and in all that come after, which take about
    /// `left`.
    pub(crate) fn stage(&mut self, name: &str, runs: usize, left: Duration) {
        self.stage = name.to_owned();
        self.bar.set_length(self.bar.position() + runs as u64);
        if self.plain {
            eprintln!("{name}: about {} left", seconds(left));
        }
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
