//! `cargo xtask bench`: plans, measures in rounds, and reports.

mod campaign;
mod journal;
mod machine;

use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime};

use anyhow::Result;
use ipc_bench_schema::results::{Config, Floors, Host, Status};
use ipc_bench_schema::{FloorReport, MechanismInfo, PeerInfo, Results};

use crate::cli::BenchOptions;
use crate::cpus::Cpus;
use crate::error::{Stopped, status_of_signal};
use crate::interrupt::Interrupts;
use crate::pace::Pace;
use crate::peer::Peer;
use crate::plan::{Planned, Preset, absent, is_meant, is_others, plan};
use crate::progress::Progress;
use crate::store::{Base, RESULTS, Run};
use crate::tally::Tally;
use crate::{host, provenance, report};
use campaign::Campaign;
use journal::{Found, Journal};

/// The budget where neither the user nor a deadline sets one, in milliseconds.
const BUDGET_MS: u64 = 50;
/// How many floors there are.
const FLOORS: u64 = 7;
/// The budget of the first look at each cell, in milliseconds.
const PILOT_MS: u64 = 2;

/// Runs the benchmark.
pub(crate) fn run(options: &BenchOptions) -> Result<ExitCode> {
    // What the user may have got wrong is found before anything is built.
    let cpus = Cpus::choose(&options.cpus)?;
    let (base, found) = match &options.resume {
        None => (Base::open(options.out.as_deref())?, None),
        Some(dir) => {
            let (base, run) = Base::to_resume(dir.as_deref(), options.out.as_deref())?;
            let found = Journal::find(&run.dir)?;
            (base, Some((run, found)))
        }
    };
    let interrupts = Interrupts::new()?;
    // Before the build, which is a load of its own.
    let host = host::read(found.as_ref().map_or(&cpus, |(_, found)| &found.header.cpus));
    // What the run was begun with, is what it goes on with.
    let begun_with = |word| {
        let command = found.as_ref().map(|(_, found)| found.header.config.command.as_str());
        command.is_some_and(|it| it.split(' ').any(|it| it == word))
    };
    let with_peers = options.peer.is_none() && (options.peers || begun_with("--peers"));
    let peer = match with_peers {
        true => Peer::with_peers(&interrupts)?,
        false => Peer::new(options.peer.as_deref(), &interrupts)?,
    };
    let info = match options.planted || begun_with("--planted") {
        true => peer.list_planted(&interrupts)?,
        false => peer.list(&interrupts)?,
    };
    let mut campaign = match found {
        None => begin(options, &base, cpus, host, info, &peer, &interrupts)?,
        Some((run, found)) => {
            found.header.must_match(&host, peer.path())?;
            base.point_latest_at(&run)?;
            go_on(options, run, found, &peer, &interrupts)?
        }
    };
    let cells = campaign.tallies.len();
    campaign.progress.begin(
        &campaign.run.dir,
        cells,
        campaign.config.rounds,
        options.resume.is_some(),
    );
    let measured = campaign.measure();
    campaign.progress.finish();
    // Whatever happened, what was measured until then is kept.
    let results = campaign.results();
    campaign.run.write_results(&results)?;
    report::write(&campaign.run, &results)?;
    let dir = campaign.run.dir.clone();
    let files = [report::HTML, report::MARKDOWN, report::CSV, RESULTS].map(|name| dir.join(name));
    let status = match measured {
        Ok(()) => {
            if !options.json {
                report::terminal::print(&report::terminal::render(&results));
                for file in &files {
                    report::terminal::print(&file.display().to_string());
                }
            }
            judge(&campaign, &results)
        }
        Err(err) => {
            let Some(&Stopped(signal)) = err.downcast_ref() else {
                let dir = dir.display();
                return Err(
                    err.context(format!("the run broke off; what was measured is in {dir}"))
                );
            };
            eprintln!("stopped: a partial report is in {}", files[0].display());
            if campaign.journal.has_begun() {
                eprintln!("`cargo xtask bench --resume {}` goes on", dir.display());
            }
            status_of_signal(signal)
        }
    };
    campaign.progress.end(status, results.config.complete, &files);
    Ok(ExitCode::from(status))
}

/// The exit status of a run that came to its end.
fn judge(campaign: &Campaign<'_>, results: &Results) -> u8 {
    if !results.cells.iter().any(|cell| cell.status == Status::Ok) {
        let dir = campaign.run.dir.display();
        eprintln!("error: nothing could be measured: {dir}/report.md says why for each cell");
        return 1;
    }
    let bad = campaign.tallies.iter().filter(|tally| tally.is_bad()).count();
    if bad > 0 {
        eprintln!("error: {bad} cells are void or failed; the reasons are in the report");
    }
    u8::from(bad > 0)
}

/// A run from its beginning.
fn begin<'a>(
    options: &BenchOptions,
    base: &Base,
    cpus: Cpus,
    host: Host,
    info: PeerInfo,
    peer: &'a Peer,
    interrupts: &'a Interrupts,
) -> Result<Campaign<'a>> {
    let planned = plan(options, &info, &cpus)?;
    let start = Instant::now();
    let now = SystemTime::now();
    let preset = Preset::of(options);
    let rounds = options.rounds.map_or(preset.rounds(), |rounds| rounds as usize);
    Ok(Campaign {
        peer,
        interrupts,
        start,
        before: Duration::ZERO,
        scratch: scratch()?,
        pace: pace(options, preset, start, &planned),
        floor_budget_ms: options.budget_ms.unwrap_or(preset.floor_budget_ms()),
        config: Config {
            command: command_line(),
            preset: preset.as_str().to_owned(),
            started: humantime::format_rfc3339_seconds(now).to_string(),
            rounds,
            seed: options.seed.unwrap_or_else(|| u64::from(fastrand::u32(..))),
            pinned_cpus: cpus.pair.to_vec(),
            pair: cpus.relation(),
            left_out: absent(options, &cpus),
            ..Config::default()
        },
        build: provenance::build(),
        warnings: host::warnings(&host, &cpus, rounds),
        host,
        cpus,
        floor_report: Some(FloorReport::default()),
        floors: Floors::default(),
        mechanisms: known(options, info),
        tallies: planned.into_iter().map(Tally::new).collect(),
        rounds: Vec::new(),
        sentinel_ns: Vec::new(),
        enough_ms: preset.enough_ms(),
        run: base.begin(now)?,
        journal: Journal::default(),
        progress: Progress::new(options.json),
    })
}

/// What the result says of the mechanisms: of ours all, of other people's those that are asked for.
fn known(options: &BenchOptions, info: PeerInfo) -> Vec<MechanismInfo> {
    let mut known = info.mechanisms;
    known.retain(|it| !is_others(it) || is_meant(options, it));
    known
}

/// A run that was stopped, with what it had measured.
fn go_on<'a>(
    options: &BenchOptions,
    run: Run,
    found: Found,
    peer: &'a Peer,
    interrupts: &'a Interrupts,
) -> Result<Campaign<'a>> {
    let header = found.header.clone();
    let spent = crate::store::read(&run.dir.join(RESULTS))?.config.seconds;
    let mut campaign = Campaign {
        peer,
        interrupts,
        start: Instant::now(),
        before: Duration::try_from_secs_f64(spent).unwrap_or_default(),
        scratch: scratch()?,
        pace: Pace::new(None, BUDGET_MS, most_variants(&header.cells)),
        floor_budget_ms: header.floor_budget_ms,
        config: header.config,
        build: header.build,
        warnings: header.warnings,
        host: header.host,
        cpus: header.cpus,
        floor_report: Some(FloorReport::default()),
        floors: Floors::default(),
        mechanisms: header.mechanisms,
        tallies: header.cells.into_iter().map(Tally::new).collect(),
        rounds: Vec::new(),
        sentinel_ns: Vec::new(),
        enough_ms: 0,
        run,
        journal: Journal::default(),
        progress: Progress::new(options.json),
    };
    campaign.take_over(found);
    Ok(campaign)
}

fn scratch() -> Result<tempfile::TempDir> {
    Ok(tempfile::Builder::new().prefix("ipc-bench-").tempdir()?)
}

fn most_variants(planned: &[Planned]) -> u32 {
    let variants = planned.iter().map(|it| it.variants.len()).max().unwrap_or(1);
    u32::try_from(variants).unwrap_or(1)
}

fn pace(options: &BenchOptions, preset: Preset, start: Instant, planned: &[Planned]) -> Pace {
    let variants = most_variants(planned);
    match (options.budget_ms, preset.allowance()) {
        (Some(budget), _) => Pace::new(None, budget, variants),
        (None, Some(allowance)) => {
            // Each round's floors take their part.
            let rounds = options.rounds.map_or(preset.rounds(), |rounds| rounds as usize);
            let floors = FLOORS * preset.floor_budget_ms() + 50;
            let floors = Duration::from_millis(floors * rounds as u64).min(allowance / 4);
            Pace::new(Some(start + allowance - floors), PILOT_MS, variants)
        }
        (None, None) => Pace::new(None, BUDGET_MS, variants),
    }
}

/// The command line after `cargo xtask`.
fn command_line() -> String {
    let words = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned());
    words.collect::<Vec<_>>().join(" ")
}
