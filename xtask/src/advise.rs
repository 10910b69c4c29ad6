//! `cargo xtask advise`: which mechanism to take, by what it can do and by what was measured.
//!
//! Capabilities exclude, figures rank. Each figure names its cell, and what was not measured is said to be so: a
//! mechanism that would do is then listed apart, and never ranked by a guess.

mod figures;
mod needs;
mod show;

use std::process::ExitCode;

use anyhow::Result;
use ipc_bench_schema::results::Interval;
use ipc_bench_schema::{MechanismInfo, Placement, Results, WaitMode};
use serde::Serialize;

use crate::cli::AdviseOptions;
use crate::error::Usage;
use crate::report::{headline, terminal};
use crate::store::{self, Run};
use figures::Figures;
pub(crate) use needs::{cap, carries_payload, has};

/// Prints the answer; exit status 1 where nothing that was measured does.
pub(crate) fn run(options: &AdviseOptions) -> Result<ExitCode> {
    let results = store::read(&Run::find(options.results.as_deref())?.1)?;
    let advice = advise(options, &results)?;
    let text = match options.json {
        true => serde_json::to_string(&advice)?,
        false => show::text(&advice),
    };
    terminal::print(&text);
    Ok(ExitCode::from(u8::from(advice.ranked.is_empty())))
}

/// The answer.
#[derive(Debug, Serialize)]
pub(crate) struct Advice {
    schema: &'static str,
    /// The result that is cited.
    result: String,
    /// What it was run on.
    host: String,
    /// Which figures count.
    placement: Placement,
    wait: WaitMode,
    /// What the ranking is by.
    by: &'static str,
    /// What does, best first.
    ranked: Vec<Candidate>,
    /// What can do it, but was not measured in all that was asked.
    not_measured: Vec<Candidate>,
    /// What does not, and why.
    excluded: Vec<Excluded>,
}

/// A mechanism that can do what is needed.
#[derive(Debug, Serialize)]
struct Candidate {
    mechanism: String,
    #[serde(rename = "crate")]
    krate: String,
    summary: String,
    /// Whether its figure cannot be told from that of the first.
    tied: bool,
    evidence: Vec<Evidence>,
    #[serde(skip)]
    rank: Option<Interval>,
}

/// One figure, or why there is none.
#[derive(Debug, Clone, Serialize)]
struct Evidence {
    /// What it says, in words.
    text: String,
    /// The cell that says so.
    cell: Option<String>,
    /// Whether that is enough; `None` where nothing was measured.
    meets: Option<bool>,
}

/// A mechanism that cannot do what is needed.
#[derive(Debug, Serialize)]
struct Excluded {
    mechanism: String,
    reason: String,
}

/// Answers.
fn advise(options: &AdviseOptions, results: &Results) -> Result<Advice> {
    if results.mechanisms.is_empty() {
        return Err(Usage::error(
            "this result does not say what the mechanisms can do: measure again with `cargo xtask bench`",
        ));
    }
    let (placement, wait) = (
        options.placement.unwrap_or_else(|| usual_placement(results)),
        options.wait.unwrap_or(WaitMode::Block),
    );
    let figures = Figures { results, placement, wait };
    let (mut ranked, mut not_measured, mut excluded) = (Vec::new(), Vec::new(), Vec::new());
    for it in &results.mechanisms {
        let no = |reason| Excluded { mechanism: it.id.clone(), reason };
        if let Some(reason) = needs::lacks(options, it) {
            excluded.push(no(reason));
            continue;
        }
        let candidate = candidate(options, it, &figures);
        let fails = candidate.evidence.iter().find(|it| it.meets == Some(false));
        match fails {
            Some(fails) => {
                let cell = fails.cell.as_ref().map_or(String::new(), |it| format!(" ({it})"));
                excluded.push(no(format!("{}{cell}", fails.text)));
            }
            None if candidate.evidence.iter().all(|it| it.meets.is_some()) => {
                ranked.push(candidate)
            }
            None => not_measured.push(candidate),
        }
    }
    let more_is_better = options.bulk;
    ranked.sort_by(|a, b| {
        let value = |it: &Candidate| it.rank.map_or(f64::INFINITY, |it| it.value);
        let order = value(a).total_cmp(&value(b));
        if more_is_better { order.reverse() } else { order }
    });
    if let Some(best) = ranked.first().and_then(|it| it.rank) {
        for it in ranked.iter_mut().skip(1) {
            it.tied = it.rank.is_some_and(|it| headline::overlap(&best, &it));
        }
    }
    Ok(Advice {
        schema: "ipc-bench-advice/1",
        result: format!("{}, cargo xtask {}", results.config.started, results.config.command),
        host: results.host.cpu.clone().unwrap_or_else(|| "an unknown CPU".to_owned()),
        placement,
        wait,
        by: if options.bulk { "bytes a second, one way" } else { "the median round trip" },
        ranked,
        not_measured,
        excluded,
    })
}

/// Across CPUs, where that was measured.
fn usual_placement(results: &Results) -> Placement {
    let there = |placement: &Placement| {
        results.cells.iter().any(|it| it.key.placement == *placement && it.rounds > 0)
    };
    [Placement::CrossCpu, Placement::SameCpu].into_iter().find(there).unwrap_or(Placement::CrossCpu)
}

fn candidate(options: &AdviseOptions, it: &MechanismInfo, figures: &Figures<'_>) -> Candidate {
    let size = figures::size(options, it);
    let (rank, first) = match options.bulk {
        true => figures.bandwidth(it, size),
        false => figures.round_trip(it, size),
    };
    let mut evidence = vec![first];
    evidence.extend(options.rate.map(|rate| figures.carries(it, size, options.fan_in, rate)));
    evidence.extend(options.p99.map(|limit| figures.tail(it, size, options.rate, limit)));
    if options.rate.is_none() {
        evidence.extend(options.fan_in.map(|many| figures.fan_in(it, size, many)));
    }
    Candidate {
        mechanism: it.id.clone(),
        krate: it.krate.clone(),
        summary: it.summary.clone(),
        tied: false,
        evidence,
        rank,
    }
}

#[cfg(test)]
#[path = "advise/tests.rs"]
mod tests;
