//! One run of the benchmark: a first look at each cell, and the rounds.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use ipc_bench_schema::results::{Build, Config, Floors, Host, Round};
use ipc_bench_schema::{
    CellKey, FloorReport, FloorRequest, MechanismInfo, Outcome, Results, RunRequest, SCHEMA,
};
use tempfile::TempDir;

use super::journal::{self, Entry, Found, Header, Journal};
use super::machine::{self, Ticks};
use crate::cpus::Cpus;
use crate::floors;
use crate::interrupt::Interrupts;
use crate::pace::Pace;
use crate::peer::Peer;
use crate::plan;
use crate::progress::Progress;
use crate::report::units;
use crate::store::Run;
use crate::tally::{Tally, alarms};

/// What the first look at a cell and its runs are expected to cost beside their budget, until that is seen.
const EXPECTED: Duration = Duration::from_millis(20);

/// Everything that a run needs and knows.
#[derive(Debug)]
pub(super) struct Campaign<'a> {
    pub(super) peer: &'a Peer,
    pub(super) interrupts: &'a Interrupts,
    /// When it began.
    pub(super) start: Instant,
    /// What earlier processes spent on it.
    pub(super) before: Duration,
    /// Where the peers may put names. Removed at the end.
    pub(super) scratch: TempDir,
    pub(super) pace: Pace,
    pub(super) floor_budget_ms: u64,
    pub(super) config: Config,
    pub(super) build: Build,
    /// What was known to disturb before anything was measured.
    pub(super) warnings: Vec<String>,
    pub(super) host: Host,
    pub(super) cpus: Cpus,
    /// All that was measured of the floors; `None` once that has failed.
    pub(super) floor_report: Option<FloorReport>,
    pub(super) floors: Floors,
    /// What the peer says of the mechanisms.
    pub(super) mechanisms: Vec<MechanismInfo>,
    pub(super) tallies: Vec<Tally>,
    /// How the machine did in the rounds so far.
    pub(super) rounds: Vec<Round>,
    /// What this round's floors say of the sentinel.
    pub(super) sentinel_ns: Vec<(usize, u64)>,
    /// With less for a variant, cells are left out instead.
    pub(super) enough_ms: u64,
    pub(super) run: Run,
    pub(super) journal: Journal,
    pub(super) progress: Progress,
}

impl Campaign<'_> {
    /// Measures everything. The figures so far are on disk after each round.
    pub(super) fn measure(&mut self) -> Result<()> {
        self.save()?;
        if !self.journal.has_begun() {
            if self.pace.adapts() {
                self.make_room(Some(EXPECTED));
                self.look()?;
            }
            let header = self.header()?;
            self.journal.begin(&self.run.dir, &header)?;
            self.journal.note(Entry::Budget { ms: self.pace.budget_ms })?;
        }
        self.announce();
        for round in 0..self.config.rounds {
            if self.open().is_empty() {
                break;
            }
            self.round(round)?;
            self.save()?;
        }
        self.config.complete = true;
        self.journal.end(&self.run.dir)
    }

    fn header(&self) -> Result<Header> {
        Ok(Header {
            schema: journal::SCHEMA.to_owned(),
            peer: journal::hash(self.peer.path())?,
            host: self.host.clone(),
            build: self.build.clone(),
            config: self.config.clone(),
            warnings: self.warnings.clone(),
            cpus: self.cpus.clone(),
            floor_budget_ms: self.floor_budget_ms,
            mechanisms: self.mechanisms.clone(),
            cells: self.tallies.iter().map(|it| it.planned.clone()).collect(),
        })
    }

    /// Takes over what an earlier process measured, in the order in which it came.
    pub(super) fn take_over(&mut self, found: Found) {
        for entry in found.entries {
            match entry {
                Entry::Ended { key, outcome } => {
                    if let Some(tally) = self.tally(&key) {
                        tally.probe(outcome);
                    }
                }
                Entry::Run { key, outcome, .. } => {
                    if let Some(tally) = self.tally(&key) {
                        tally.take(outcome);
                    }
                }
                Entry::Floors { report, .. } => self.take_floors(report),
                Entry::Round { round, record } => self.note_round(round, record),
                Entry::Budget { ms } => self.pace.budget_ms = ms,
            }
        }
        self.journal = found.journal;
    }

    fn tally(&mut self, key: &CellKey) -> Option<&mut Tally> {
        self.tallies.iter_mut().find(|it| it.planned.key == *key)
    }

    /// The results as they are now.
    pub(super) fn results(&self) -> Results {
        let cells = self.tallies.iter().flat_map(|it| it.cells(&self.floors, self.config.seed));
        let cells: Vec<_> = cells.collect();
        let mut host = self.host.clone();
        host.warnings.clone_from(&self.warnings);
        host.warnings.extend(machine::warnings(&self.rounds));
        host.warnings.extend(alarms(&cells));
        Results {
            schema: SCHEMA.to_owned(),
            host,
            build: self.build.clone(),
            config: Config {
                seconds: (self.before + self.start.elapsed()).as_secs_f64(),
                budget_ms: self.pace.budget_ms,
                planned_cells: cells.len(),
                ..self.config.clone()
            },
            floors: self.floors.clone(),
            mechanisms: self.mechanisms.clone(),
            rounds: self.rounds.clone(),
            cells,
        }
    }

    fn save(&self) -> Result<()> {
        self.run.write_results(&self.results())
    }

    /// Measures the floors again and adds that to what is known of them: once a round, as the cells
    /// are, since the machine does not charge the same all the time.
    fn measure_floors(&mut self, round: usize, left: Duration) -> Result<()> {
        self.progress.next("what the machine itself costs", left);
        let request = FloorRequest { cpus: self.cpus.pair, budget_ms: self.floor_budget_ms };
        if self.floor_report.is_some() && !self.journal.has(round, None) {
            let report = self.peer.floors(&request, self.interrupts)?;
            self.journal.note(Entry::Floors { round, report: report.clone() })?;
            self.take_floors(report);
        }
        self.progress.advance();
        Ok(())
    }

    fn take_floors(&mut self, report: Result<FloorReport, String>) {
        match (report, &mut self.floor_report) {
            (Ok(report), Some(known)) => {
                self.sentinel_ns.clone_from(&report.sentinel_ns);
                floors::merge(known, report);
                self.floors = floors::record(known);
            }
            (Ok(_), None) => {}
            (Err(why), _) => {
                self.floors = floors::none(&why);
                self.floor_report = None;
                self.warnings.push(format!("the floors could not be measured ({why}): no ×floor"));
            }
        }
    }

    /// Runs each cell once and briefly. The figures are thrown away; what is kept is which cells
    /// cannot be measured and what a run costs beside its budget.
    fn look(&mut self) -> Result<()> {
        let open = self.open();
        self.progress.stage("first look", open.len(), self.pace.left(open.len()));
        let mut spent = Spent::default();
        for (done, &cell) in open.iter().enumerate() {
            let began = Instant::now();
            let outcome = self.run_cell(cell, 0, 0, self.pace.left(open.len() - done))?;
            let key = self.tallies[cell].planned.key.clone();
            let noted = outcome.clone();
            self.tallies[cell].probe(outcome);
            if !self.tallies[cell].is_open() {
                self.journal.note(Entry::Ended { key, outcome: noted })?;
            }
            spent.add(&self.tallies[cell], began);
        }
        self.pace.observe(spent.runs, spent.time);
        self.make_room(None);
        Ok(())
    }

    /// Chooses the budget, and leaves out what matters least until there is enough of it for each of the
    /// others. Before anything was seen, with what a run is expected to cost.
    fn make_room(&mut self, expected: Option<Duration>) {
        if let Some(per_run) = expected {
            self.pace.observe(1, per_run);
        }
        let open = self.tallies.iter().filter(|it| it.is_open());
        let ranks: Vec<_> = open.map(|it| it.planned.rank).collect();
        let now = Instant::now();
        let least = self.pace.make_room(&ranks, self.config.rounds, self.enough_ms, now);
        let (rest, gone): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.tallies).into_iter().partition(|it| it.planned.rank <= least);
        self.tallies = rest;
        if expected.is_some() {
            // The first look is brief.
            self.pace.begin();
        }
        if !gone.is_empty() {
            let gone: Vec<_> = gone.into_iter().map(|it| it.planned).collect();
            let mut lines = plan::left_out(&gone);
            for line in &lines {
                self.progress.say(&format!("no time for {line}"));
            }
            lines.append(&mut self.config.left_out);
            self.config.left_out = lines;
        }
    }

    fn note_round(&mut self, round: usize, record: Round) {
        self.rounds.truncate(round);
        self.rounds.push(record);
    }

    fn announce(&mut self) {
        let (cells, rounds) = (self.open().len(), self.config.rounds);
        if cells == 0 {
            self.progress.say("no cell can be measured: the report says why");
            return;
        }
        let line = format!(
            "{cells} cells × {rounds} rounds on CPUs {} and {}, {} ms a variant: about {} s",
            self.cpus.pair[0],
            self.cpus.pair[1],
            self.pace.budget_ms,
            self.pace.left(cells * rounds).as_secs()
        );
        self.progress.say(&line);
    }

    /// Runs every cell once, in an order of its own.
    fn round(&mut self, round: usize) -> Result<()> {
        let order = self.order(round);
        if order.is_empty() && self.journal.has(round, None) {
            return Ok(());
        }
        let later = self.open().len() * (self.config.rounds - round - 1);
        let name = format!("round {} of {}", round + 1, self.config.rounds);
        let left = order.len() + later;
        let (began, ticks) = (Instant::now(), Ticks::now(&self.cpus.pair));
        self.progress.stage(&name, left + 1, self.pace.left(left));
        self.measure_floors(round, self.pace.left(left))?;
        let mut spent = Spent::default();
        for (done, &(cell, seed)) in order.iter().enumerate() {
            let began = Instant::now();
            let left = self.pace.left(order.len() - done + later);
            let outcome = self.run_cell(cell, round, seed, left)?;
            let key = self.tallies[cell].planned.key.clone();
            self.progress.done(&key, round, &outcome);
            self.journal.note(Entry::Run { round, key, outcome: outcome.clone() })?;
            self.tallies[cell].take(outcome);
            spent.add(&self.tallies[cell], began);
        }
        let steal = Ticks::now(&self.cpus.pair).zip(ticks);
        let record = Round {
            seconds: began.elapsed().as_secs_f64(),
            sentinel_ns: std::mem::take(&mut self.sentinel_ns),
            steal_share: steal.and_then(|(now, then)| now.stolen_since(then)),
        };
        self.journal.note(Entry::Round { round, record: record.clone() })?;
        self.note_round(round, record);
        self.pace.observe(spent.runs, spent.time);
        let later = self.open().len() * (self.config.rounds - round - 1);
        self.pace.shrink(later, Instant::now());
        self.journal.note(Entry::Budget { ms: self.pace.budget_ms })
    }

    /// The cells of a round in their order, each with the seed of its run. Both depend on the seed and the
    /// round alone, so that a run which was stopped goes on as it would have.
    fn order(&self, round: usize) -> Vec<(usize, u64)> {
        let mut rng = fastrand::Rng::with_seed(self.config.seed);
        for _ in 0..round {
            rng = rng.fork();
        }
        let mut order: Vec<_> = (0..self.tallies.len()).collect();
        rng.shuffle(&mut order);
        let seeded = order.into_iter().map(|cell| (cell, u64::from(rng.u32(..))));
        let left = seeded.filter(|&(cell, _)| {
            let tally = &self.tallies[cell];
            tally.is_open() && !self.journal.has(round, Some(&tally.planned.key))
        });
        left.collect()
    }

    /// The cells that another round can tell more about.
    fn open(&self) -> Vec<usize> {
        (0..self.tallies.len()).filter(|&cell| self.tallies[cell].is_open()).collect()
    }

    /// One run: a fresh peer with a fresh directory.
    fn run_cell(&self, cell: usize, round: usize, seed: u64, left: Duration) -> Result<Outcome> {
        let key = &self.tallies[cell].planned.key;
        let size = units::size(key.size);
        let what = format!("{} {} {size} {} {}", key.row(), key.form(), key.placement, key.wait);
        self.progress.next(&what, left);
        let dir = self.make_scratch(cell, round)?;
        let request = RunRequest {
            key: key.clone(),
            cpus: self.cpus.pinned(key.placement),
            spread: self.cpus.spread(key.placement, key.setting.many()),
            budget_ms: self.pace.budget_ms,
            dir: dir.clone(),
            seed,
        };
        let outcome = self.peer.run(&request, self.interrupts);
        // What stays behind goes with the scratch directory at the end.
        let _ = std::fs::remove_dir_all(&dir);
        self.progress.advance();
        outcome
    }

    fn make_scratch(&self, cell: usize, round: usize) -> Result<PathBuf> {
        let dir = self.scratch.path().join(format!("{cell}.{round}"));
        std::fs::create_dir(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
        Ok(dir)
    }
}

/// What the runs of a round took, those left out that ended their cell: a cell that is unsupported
/// answers at once, one that hangs takes long, and neither says what the others will take.
#[derive(Debug, Default)]
struct Spent {
    runs: usize,
    time: Duration,
}

impl Spent {
    fn add(&mut self, tally: &Tally, began: Instant) {
        if tally.is_open() {
            self.runs += 1;
            self.time += began.elapsed();
        }
    }
}
