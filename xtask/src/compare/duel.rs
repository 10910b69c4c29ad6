//! Two programs, measured in turns: before, after, after, before, and the other way round in the next round.
//!
//! What the machine does meanwhile hits both alike, so that each round has one shift for each cell. The first pass
//! looks at all cells and only names suspects. These are measured again, in more rounds, and only what the second
//! pass says is reported: what the first found by chance among many cells does not come back.

use std::time::{Duration, Instant};

use anyhow::Result;
use ipc_bench_schema::{CellKey, Outcome, PeerInfo, RunRequest, Topology, Variant, VariantSample};
use tempfile::TempDir;

use super::contest::{Contest, Judged, SUSPECTS};
use super::judge::{Comparison, LeftOut, Row};
use super::show::cell_name;
use crate::cli::{BenchOptions, CompareOptions};
use crate::cpus::Cpus;
use crate::error::Usage;
use crate::interrupt::Interrupts;
use crate::peer::Peer;
use crate::plan::plan;
use crate::progress::Progress;
use crate::stats::Distribution;

/// What is no difference, whatever the interval says.
const NOISE: f64 = 0.01;
/// Rounds of the first pass.
const ROUNDS: usize = 8;
/// Rounds of the second.
const ROUNDS_AGAIN: usize = 24;
/// Milliseconds for each variant in each run.
const BUDGET_MS: u64 = 12;
/// The runs of one round: which side, in which order.
const TURNS: [[usize; 4]; 2] = [[0, 1, 1, 0], [1, 0, 0, 1]];

/// Measures and judges.
pub(super) fn compare(
    options: &CompareOptions,
    before: &Peer,
    after: &Peer,
    names: [String; 2],
    interrupts: &Interrupts,
) -> Result<Comparison> {
    let cpus = Cpus::choose(&options.cpus)?;
    let (mut cells, left_out) = cells(options, before, after, &cpus, interrupts)?;
    let seed = options.seed.unwrap_or_else(|| u64::from(fastrand::u32(..)));
    let mut duel = Duel {
        peers: [before, after],
        interrupts,
        cpus: &cpus,
        budget_ms: options.budget_ms.unwrap_or(BUDGET_MS),
        scratch: tempfile::Builder::new().prefix("ipc-compare-").tempdir()?,
        rng: fastrand::Rng::with_seed(seed),
        progress: Progress::new(false),
        runs: 0,
        began: Instant::now(),
    };
    let noise = options.noise.unwrap_or(NOISE);
    let rounds = options.rounds.map_or(ROUNDS, |it| it as usize);
    duel.pass("first pass", &mut cells, rounds)?;
    let first = Judged::of(&cells, noise, seed);
    let suspects = first.suspects(&cells);
    let mut again: Vec<_> =
        suspects.iter().map(|&cell| Contest::new(cells[cell].key.clone())).collect();
    let mut notes = Vec::new();
    if let Some(drag) = &options.drag {
        notes.push(format!("the later side was made slower on purpose: {drag} %"));
    }
    if !again.is_empty() {
        let line = format!("{} cells look different and are measured again", again.len());
        duel.progress.say(&line);
        duel.pass("second pass", &mut again, rounds.max(ROUNDS_AGAIN))?;
        if again.len() == SUSPECTS {
            notes.push(format!(
                "no more than the {SUSPECTS} cells that look worst were measured again"
            ));
        }
    }
    duel.progress.finish();
    let mut rows = Judged::of(&again, noise, seed).confirmed();
    rows.extend(first.rows_but(&again));
    let both = cells.iter().chain(&again);
    rows.extend(
        both.filter_map(|it| {
            Some(Row::broken(cell_name(&it.key, Variant::Ours), it.broken.clone()?))
        }),
    );
    let mut left_out = left_out;
    let excused =
        cells.iter().filter_map(|it| Some((cell_name(&it.key, Variant::Ours), it.excuse.clone()?)));
    left_out.extend(excused);
    if rows.is_empty() {
        return Err(Usage::error(
            "no cell could be measured by both programs: choose others with --mechanism, --size, --placement, --wait \
             and --topology",
        ));
    }
    Ok(Comparison {
        names,
        method: format!(
            "measured in turns, {rounds} rounds of four runs, then {} for what looked different; signed-rank tests, \
             corrected for their number",
            rounds.max(ROUNDS_AGAIN)
        ),
        noise,
        rows,
        left_out,
        notes,
    })
}

/// The cells that both programs know, and those that only one does.
fn cells(
    options: &CompareOptions,
    before: &Peer,
    after: &Peer,
    cpus: &Cpus,
    interrupts: &Interrupts,
) -> Result<(Vec<Contest>, LeftOut)> {
    let topology = match options.topology.as_slice() {
        [] => vec![Topology::PingPong, Topology::Stream, Topology::Setup],
        named => named.to_vec(),
    };
    let wanted = BenchOptions {
        mechanisms: options.mechanism.clone(),
        quick: true,
        size: if options.size.is_empty() { vec![64] } else { options.size.clone() },
        placement: options.placement.clone(),
        wait: options.wait.clone(),
        topology,
        ..BenchOptions::default()
    };
    let (old, new) = (before.list(interrupts)?, after.list(interrupts)?);
    let (mut cells, mut left_out) = (Vec::new(), Vec::new());
    for planned in plan(&wanted, &new, cpus)? {
        // Other people's libraries are not what changes between our revisions.
        if planned.skip.is_some() || !planned.variants.contains(&Variant::Ours) {
            continue;
        }
        let key = planned.key;
        // A fork takes most of that time, unless it is what the mechanism is.
        let also = key.topology == Topology::Setup && !creates_only(&new, &key.mechanism);
        if also && options.topology.is_empty() {
            continue;
        }
        match old.mechanisms.iter().find(|it| it.id == key.mechanism) {
            Some(it) if it.topologies.contains(&key.topology) => cells.push(Contest::new(key)),
            _ => left_out.push((cell_name(&key, Variant::Ours), "it is new".to_owned())),
        }
    }
    let gone = old.mechanisms.iter().filter(|it| {
        let named = options.mechanism.is_empty() || options.mechanism.contains(&it.id);
        named && !new.mechanisms.iter().any(|other| other.id == it.id)
    });
    left_out.extend(gone.map(|it| (it.id.clone(), "it is gone".to_owned())));
    Ok((cells, left_out))
}

fn creates_only(info: &PeerInfo, mechanism: &str) -> bool {
    let of = info.mechanisms.iter().find(|it| it.id == mechanism);
    of.is_some_and(|it| it.topologies == [Topology::Setup])
}

/// The measuring.
struct Duel<'a> {
    peers: [&'a Peer; 2],
    interrupts: &'a Interrupts,
    cpus: &'a Cpus,
    budget_ms: u64,
    scratch: TempDir,
    rng: fastrand::Rng,
    progress: Progress,
    runs: usize,
    began: Instant,
}

impl Duel<'_> {
    fn pass(&mut self, name: &str, cells: &mut [Contest], rounds: usize) -> Result<()> {
        for round in 0..rounds {
            let mut order: Vec<_> = (0..cells.len()).filter(|&it| cells[it].is_open()).collect();
            self.rng.shuffle(&mut order);
            let runs = 4 * order.len();
            let left = self.left(runs * (rounds - round));
            self.progress.stage(&format!("{name}, round {} of {rounds}", round + 1), runs, left);
            for (done, cell) in order.into_iter().enumerate() {
                let left = self.left(runs * (rounds - round) - 4 * done);
                self.progress.next(&cell_name(&cells[cell].key, Variant::Ours), left);
                self.contest(&mut cells[cell], TURNS[round % 2])?;
            }
        }
        Ok(())
    }

    /// One round of one cell.
    fn contest(&mut self, cell: &mut Contest, turns: [usize; 4]) -> Result<()> {
        let mut logs: [Vec<f64>; 2] = Default::default();
        // The variants of a run alternate, and all four runs begin with the same.
        let seed = u64::from(self.rng.u32(..));
        for side in turns {
            let outcome = self.run(side, &cell.key, seed)?;
            self.progress.advance();
            match outcome {
                Outcome::Ok { samples } if time(&cell.key, &samples).is_some() => {
                    logs[side].extend(time(&cell.key, &samples).map(f64::ln));
                }
                outcome => {
                    cell.end(side, outcome);
                    return Ok(());
                }
            }
        }
        if let ([a, b], [c, d]) = (logs[0].as_slice(), logs[1].as_slice()) {
            cell.take([[*a, *b], [*c, *d]]);
        }
        Ok(())
    }

    fn run(&mut self, side: usize, key: &CellKey, seed: u64) -> Result<Outcome> {
        self.runs += 1;
        let dir = self.scratch.path().join(self.runs.to_string());
        std::fs::create_dir(&dir)?;
        let request = RunRequest {
            key: key.clone(),
            cpus: self.cpus.pinned(key.placement),
            budget_ms: self.budget_ms,
            spread: self.cpus.spread(key.placement, key.setting.many()),
            dir: dir.clone(),
            seed,
        };
        let outcome = self.peers[side].run(&request, self.interrupts);
        let _ = std::fs::remove_dir_all(&dir);
        outcome
    }

    fn left(&self, runs: usize) -> Duration {
        let guess = Duration::from_millis(20 + 2 * self.budget_ms);
        let done = u32::try_from(self.runs).unwrap_or(u32::MAX);
        let each = self.began.elapsed().checked_div(done).unwrap_or(guess);
        each * u32::try_from(runs).unwrap_or(u32::MAX)
    }
}

/// The time of a message by the crate's own code.
fn time(key: &CellKey, samples: &[VariantSample]) -> Option<f64> {
    let ours = samples.iter().find(|it| it.variant == Variant::Ours && it.messages > 0)?;
    let ns = match (&ours.rtt_ns, key.topology.is_clocked_each()) {
        (Some(pairs), true) => Distribution::of(pairs).median()?,
        _ => ours.elapsed_ns as f64 / ours.messages as f64,
    };
    (ns > 0.0).then_some(ns)
}

#[cfg(test)]
#[path = "duel_tests.rs"]
mod tests;
