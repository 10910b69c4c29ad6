//! `cargo xtask bench`: plans, measures in rounds, and reports.

mod campaign;

use std::process::ExitCode;
use std::time::{Instant, SystemTime};

use anyhow::Result;
use ipc_bench_schema::FloorReport;
use ipc_bench_schema::results::{Config, Status};

use crate::cli::BenchOptions;
use crate::cpus::Cpus;
use crate::error::{Stopped, exit_of_signal};
use crate::interrupt::Interrupts;
use crate::pace::Pace;
use crate::peer::Peer;
use crate::plan::{Planned, Preset, plan};
use crate::store::Base;
use crate::tally::Tally;
use crate::{host, provenance, report};
use campaign::Campaign;

/// The budget where neither the user nor a deadline sets one, in milliseconds.
const BUDGET_MS: u64 = 50;
/// The budget of the first look at each cell, in milliseconds.
const PILOT_MS: u64 = 2;

/// Runs the benchmark.
pub(crate) fn run(options: &BenchOptions) -> Result<ExitCode> {
    // What the user may have got wrong is found before anything is built.
    let cpus = Cpus::choose(&options.cpus)?;
    let base = Base::open(options.out.as_deref())?;
    let interrupts = Interrupts::new()?;
    // Before the build, which is a load of its own.
    let host = host::read(&cpus);
    let peer = Peer::new(options.peer.as_deref(), &interrupts)?;
    let info = peer.list(&interrupts)?;
    let planned = plan(options, &info, &cpus)?;

    let start = Instant::now();
    let now = SystemTime::now();
    let preset = Preset::of(options);
    let rounds = options.rounds.map_or(preset.rounds(), |rounds| rounds as usize);
    let mut campaign = Campaign {
        peer: &peer,
        interrupts: &interrupts,
        start,
        scratch: tempfile::Builder::new().prefix("ipc-bench-").tempdir()?,
        pace: pace(options, preset, start, &planned),
        floor_budget_ms: options.budget_ms.unwrap_or(preset.floor_budget_ms()),
        config: Config {
            command: command_line(),
            preset: preset.as_str().to_owned(),
            started: humantime::format_rfc3339_seconds(now).to_string(),
            rounds,
            seed: options.seed.unwrap_or_else(|| u64::from(fastrand::u32(..))),
            pinned_cpus: cpus.pair.to_vec(),
            ..Config::default()
        },
        build: provenance::build(),
        warnings: host::warnings(&host, &cpus, rounds),
        host,
        cpus,
        floor_report: Some(FloorReport::default()),
        floors: Default::default(),
        mechanisms: info.mechanisms,
        tallies: planned.into_iter().map(Tally::new).collect(),
        run: base.begin(now)?,
        progress: crate::progress::Progress::new(),
    };

    let measured = campaign.measure();
    campaign.progress.finish();
    // Whatever happened, what was measured until then is kept.
    let results = campaign.results();
    campaign.run.write_results(&results)?;
    report::write(&campaign.run, &results)?;
    let dir = campaign.run.dir.display();
    if let Err(err) = measured {
        let Some(&Stopped(signal)) = err.downcast_ref() else {
            return Err(err.context(format!("the run broke off; what was measured is in {dir}")));
        };
        eprintln!("stopped: a partial report is in {dir}/report.html");
        return Ok(exit_of_signal(signal));
    }
    report::terminal::print(&report::terminal::render(&results));
    for file in [report::HTML, report::MARKDOWN, report::CSV, crate::store::RESULTS] {
        report::terminal::print(&format!("{dir}/{file}"));
    }
    if !results.cells.iter().any(|cell| cell.status == Status::Ok) {
        eprintln!("error: nothing could be measured: {dir}/report.md says why for each cell");
        return Ok(ExitCode::FAILURE);
    }
    let bad = campaign.tallies.iter().filter(|tally| tally.is_bad()).count();
    if bad > 0 {
        eprintln!("error: {bad} cells are void or failed; the reasons are in the report");
    }
    Ok(ExitCode::from(u8::from(bad > 0)))
}

fn pace(options: &BenchOptions, preset: Preset, start: Instant, planned: &[Planned]) -> Pace {
    let variants = planned.iter().map(|it| it.variants.len()).max().unwrap_or(1);
    let variants = u32::try_from(variants).unwrap_or(1);
    match (options.budget_ms, preset.allowance()) {
        (Some(budget), _) => Pace::new(None, budget, variants),
        (None, Some(allowance)) => Pace::new(Some(start + allowance), PILOT_MS, variants),
        (None, None) => Pace::new(None, BUDGET_MS, variants),
    }
}

/// The command line after `cargo xtask`.
fn command_line() -> String {
    let words = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned());
    words.collect::<Vec<_>>().join(" ")
}
