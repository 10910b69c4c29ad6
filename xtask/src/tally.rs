//! What is known of one cell while the rounds go by, and what it amounts to.

mod doubts;
mod loads;

use std::collections::BTreeMap;

use ipc_bench_schema::results::{Cell, Floors, Interval, Status};
use ipc_bench_schema::{CellKey, LoadSample, Outcome, Topology, Variant, VariantSample};

use crate::floors;
use crate::plan::Planned;
use crate::stats::{Distribution, divided, interval, median};

/// One cell and all that its rounds brought.
#[derive(Debug)]
pub(crate) struct Tally {
    /// The cell.
    pub(crate) planned: Planned,
    end: Option<(Status, String)>,
    rounds: Vec<BTreeMap<Variant, Figures>>,
    merged: BTreeMap<Variant, Distribution>,
}

/// One variant in one round.
#[derive(Debug, Clone)]
struct Figures {
    p50: Option<f64>,
    halves_ns: Option<[f64; 2]>,
    loads: Vec<LoadSample>,
    ns_per_msg: f64,
    cpu_ns: f64,
    ctx_switches: f64,
}

impl Tally {
    /// Nothing is known yet, except that some cells cannot be run.
    pub(crate) fn new(planned: Planned) -> Self {
        let end = planned.skip.clone().map(|why| (Status::Unsupported, why));
        Self { planned, end, rounds: Vec::new(), merged: BTreeMap::new() }
    }

    /// Whether another round can tell more.
    pub(crate) fn is_open(&self) -> bool {
        self.end.is_none()
    }

    /// Whether the cell is void or has failed.
    pub(crate) fn is_bad(&self) -> bool {
        matches!(self.end, Some((Status::Void | Status::Failed, _)))
    }

    /// Takes in the outcome of one round.
    pub(crate) fn take(&mut self, outcome: Outcome) {
        let Some(samples) = self.probe(outcome) else {
            return;
        };
        let figures = samples.iter().map(|it| (it.variant, Figures::of(it)));
        self.rounds.push(figures.collect());
        for sample in &samples {
            let latencies = loads::typical_of(&sample.loads).map(|it| &it.latency_ns);
            if let Some(pairs) = sample.rtt_ns.as_ref().or(latencies) {
                self.merged.entry(sample.variant).or_default().add(pairs);
            }
        }
    }

    /// Takes note of an outcome that ends the cell; gives the samples of one that does not.
    pub(crate) fn probe(&mut self, outcome: Outcome) -> Option<Vec<VariantSample>> {
        let end = match outcome {
            Outcome::Ok { samples } if samples.is_empty() => {
                (Status::Failed, "the peer sent no sample".to_owned())
            }
            Outcome::Ok { samples } => {
                match samples.iter().find(|it| it.messages == 0 || it.elapsed_ns == 0) {
                    None => return Some(samples),
                    Some(it) => {
                        (Status::Failed, format!("no message of variant {} was timed", it.variant))
                    }
                }
            }
            Outcome::Unsupported { reason } => (Status::Unsupported, reason),
            Outcome::Void { reason } => (Status::Void, reason),
            Outcome::Failed { reason } => (Status::Failed, reason),
        };
        self.end = Some(end);
        None
    }

    /// The entries of `results.json`: one for each variant.
    pub(crate) fn cells(&self, floors: &Floors, seed: u64) -> Vec<Cell> {
        let variants = self.planned.variants.iter().copied();
        variants.map(|variant| self.cell(variant, floors, seed)).collect()
    }

    fn cell(&self, variant: Variant, floors: &Floors, seed: u64) -> Cell {
        let mut cell = blank(&self.planned, variant);
        let rounds: Vec<_> = self.rounds.iter().filter_map(|round| round.get(&variant)).collect();
        let (status, reason) = match &self.end {
            Some((status, reason)) => (*status, Some(reason.clone())),
            None if self.rounds.is_empty() => {
                (Status::NotRun, Some("the run was stopped before its turn".to_owned()))
            }
            None if rounds.is_empty() => (
                Status::Unsupported,
                Some(format!("the peer has no variant {variant} of this cell")),
            ),
            None => (Status::Ok, None),
        };
        (cell.status, cell.reason) = (status, reason);
        if status != Status::Ok {
            return cell;
        }
        let all =
            |figure: fn(&Figures) -> f64| rounds.iter().map(|it| figure(it)).collect::<Vec<_>>();
        let p50s: Vec<_> = rounds.iter().filter_map(|it| it.p50).collect();
        cell.rounds = rounds.len();
        if let Some(merged) = self.merged.get(&variant) {
            cell.rtt_ns = Some(merged.quantiles());
            cell.histogram = merged.pairs();
        }
        cell.rtt_p50_interval = interval(&p50s, seed);
        cell.msgs_per_s_interval = interval(&all(|it| 1e9 / it.ns_per_msg), seed);
        cell.msgs_per_s = cell.msgs_per_s_interval.map(|it| it.value);
        // What carries no payload has no such rate, and not a rate of zero.
        let rate = cell.msgs_per_s.filter(|_| cell.key.size > 0);
        cell.bytes_per_s = rate.map(|it| it * cell.key.size as f64);
        cell.cpu_ns_per_msg = median(&all(|it| it.cpu_ns));
        cell.ctx_switches_per_msg = median(&all(|it| it.ctx_switches));
        if variant != Variant::Raw {
            cell.ratio_raw = interval(&self.ratios(variant), seed);
        }
        cell.per_round_ns = rounds.iter().filter_map(|it| it.time(&cell.key)).collect();
        if let Some(floor) = floors::of_cell(floors, &cell.key, &cell.krate) {
            cell.ratio_floor = interval(&cell.per_round_ns, seed).map(|it| divided(it, floor.ns));
            cell.floor = Some(floor.words);
        }
        let of_rounds: Vec<_> = rounds.iter().map(|it| it.loads.as_slice()).collect();
        cell.loads = loads::sum_up(&of_rounds, seed);
        let p50 = cell.rtt_p50_interval.map(|it| it.value);
        cell.probe_share = doubts::probe(&cell.key, p50, floors);
        let halves: Vec<_> = rounds.iter().filter_map(|it| it.halves_ns).collect();
        let flags = [
            doubts::crowded(&cell.key, self.planned.room),
            doubts::unsteady(&halves, seed),
            doubts::drift(&cell.per_round_ns),
            doubts::probed(cell.probe_share),
        ];
        cell.flags = flags.into_iter().flatten().collect();
        cell
    }

    /// The time of a message by that of the raw variant in the same round.
    fn ratios(&self, variant: Variant) -> Vec<f64> {
        let key = &self.planned.key;
        let ratio = |round: &BTreeMap<Variant, Figures>| {
            let (it, raw) = (round.get(&variant)?, round.get(&Variant::Raw)?);
            Some(it.time(key)? / raw.time(key)?)
        };
        self.rounds.iter().filter_map(ratio).collect()
    }
}

impl Figures {
    fn of(sample: &VariantSample) -> Self {
        let messages = sample.messages as f64;
        Self {
            p50: match &sample.rtt_ns {
                Some(pairs) => Distribution::of(pairs).median(),
                None => loads::typical(&sample.loads),
            },
            halves_ns: sample.halves_ns,
            loads: sample.loads.clone(),
            ns_per_msg: sample.elapsed_ns as f64 / messages,
            cpu_ns: sample.cpu_ns as f64 / messages,
            ctx_switches: sample.ctx_switches as f64 / messages,
        }
    }

    /// The time of a message as this topology means it.
    fn time(&self, key: &CellKey) -> Option<f64> {
        match key.topology {
            Topology::PingPong | Topology::IdleGap | Topology::OpenLoop | Topology::Setup => {
                self.p50
            }
            Topology::Stream | Topology::FanIn | Topology::FanOut => Some(self.ns_per_msg),
        }
    }
}

fn blank(planned: &Planned, variant: Variant) -> Cell {
    Cell {
        key: planned.key.clone(),
        krate: planned.krate.clone(),
        variant,
        status: Status::NotRun,
        reason: None,
        rounds: 0,
        rtt_ns: None,
        rtt_p50_interval: None,
        msgs_per_s: None,
        msgs_per_s_interval: None,
        bytes_per_s: None,
        cpu_ns_per_msg: None,
        ctx_switches_per_msg: None,
        ratio_raw: None,
        ratio_floor: None,
        floor: None,
        per_round_ns: Vec::new(),
        flags: Vec::new(),
        loads: Vec::new(),
        probe_share: None,
        histogram: Vec::new(),
    }
}

/// With fewer rounds, one cell in some dozens has all of them on the wrong side by luck: it is marked, and no alarm.
const ALARM_ROUNDS: usize = 8;

/// What cannot be: cells that beat their floor, or the bare system calls by more than chance.
pub(crate) fn alarms(cells: &[Cell]) -> Vec<String> {
    let below = |ratio: fn(&Cell) -> Option<Interval>, limit: f64| {
        let many = cells.iter().filter(|cell| cell.rounds >= ALARM_ROUNDS);
        let names = many.filter(|cell| ratio(cell).is_some_and(|it| it.hi < limit));
        names.map(|cell| format!("{} ({})", cell.key, cell.variant)).collect::<Vec<_>>()
    };
    let mut alarms = Vec::new();
    // A floor is measured between the cells and not in turns with them: what waking a sleeper on another CPU
    // costs moves by some per cent meanwhile.
    let floor = below(|cell| cell.ratio_floor, 0.9);
    if !floor.is_empty() {
        alarms.push(format!(
            "measurement alarm: {} beat what the machine itself charges by more than 10 %, which cannot \
             be; do not trust ×floor of {}",
            some_of(floor.len(), "cell"),
            first_of(&floor)
        ));
    }
    let raw = below(|cell| cell.ratio_raw, 0.95);
    if !raw.is_empty() {
        alarms.push(format!(
            "measurement alarm: {} beat the same system calls in a bare loop by more than 5 %; do \
             not trust ×raw of {}",
            some_of(raw.len(), "cell"),
            first_of(&raw)
        ));
    }
    alarms
}

fn some_of(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

fn first_of(names: &[String]) -> String {
    let shown = names.iter().take(4).cloned().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(4) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

#[cfg(test)]
#[path = "tally_tests.rs"]
mod tests;
