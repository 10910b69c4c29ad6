//! `cargo xtask compare`: what got slower, between two saved results, or between two programs that are measured
//! in turns.
//!
//! Every figure that is judged comes with its interval, and a verdict takes three things: that the interval lies
//! beyond the noise, that chance does not explain it although many cells were looked at, and in a campaign of turns
//! that a second, fresh measurement says so again. Exit status 1 is for a regression alone.

mod agree;
mod contest;
mod duel;
mod judge;
mod revision;
mod saved;
mod show;

use std::process::ExitCode;

use anyhow::Result;

use crate::cli::CompareOptions;
use crate::error::Usage;
use crate::interrupt::Interrupts;
use crate::peer::Peer;
use crate::report::terminal;
use crate::store::{self, Base, Run};
use judge::Comparison;

/// Runs the comparison.
pub(crate) fn run(options: &CompareOptions) -> Result<ExitCode> {
    let comparison = match (&options.before, &options.against, options.peers.as_slice()) {
        (Some(before), None, []) => {
            let before = store::read(&Run::find(Some(before))?.1)?;
            let after = store::read(&Run::find(options.after.as_deref())?.1)?;
            if options.agree {
                return agree::run(&before, &after, options.json);
            }
            let chosen = saved::Chosen::of(options);
            saved::compare(&before, &after, &chosen, options.noise)?
        }
        (None, Some(against), []) => {
            // Held until the end: two benchmarks disturb each other, and builds share a directory.
            let _base = Base::open(None)?;
            let interrupts = Interrupts::new()?;
            let built = revision::build(against, options.candidate.as_deref(), &interrupts)?;
            let after = built.after.dragged(options.drag.clone());
            duel::compare(options, &built.before, &after, built.names, &interrupts)?
        }
        (None, None, [before, after]) => {
            let _base = Base::open(None)?;
            let interrupts = Interrupts::new()?;
            let names = [before, after].map(|it| it.display().to_string());
            let before = Peer::new(Some(before), &interrupts)?;
            let after = Peer::new(Some(after), &interrupts)?.dragged(options.drag.clone());
            duel::compare(options, &before, &after, names, &interrupts)?
        }
        (None, None, []) => {
            return Err(Usage::error(
                "say what to compare: two results, `compare BEFORE AFTER`, or `compare --against REVISION`",
            ));
        }
        _ => return Err(Usage::error("--peers takes two programs: --peers BEFORE,AFTER")),
    };
    report(&comparison, options.json)
}

fn report(comparison: &Comparison, json: bool) -> Result<ExitCode> {
    let text = match json {
        true => serde_json::to_string(&show::json(comparison))?,
        false => show::text(comparison),
    };
    terminal::print(&text);
    Ok(ExitCode::from(u8::from(comparison.regressed())))
}
