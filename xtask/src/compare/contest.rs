//! What the turns brought for each cell, and what it says.

use ipc_bench_schema::{CellKey, Outcome, Variant};

use super::judge::{Row, Verdict};
use super::show::cell_name;
use crate::stats::median;
use crate::stats::shift::{chance, holm, middle_mean, paired};

/// A comparison in which nothing differs reports something as often as this.
const WRONG: f64 = 0.01;
/// The most cells that are measured again: the worst of the suspects.
pub(super) const SUSPECTS: usize = 24;

/// One cell and what its rounds brought.
#[derive(Debug)]
pub(super) struct Contest {
    pub(super) key: CellKey,
    /// The time of a message on each side, in each round.
    ns: [Vec<f64>; 2],
    /// The shift of each round.
    shifts: Vec<f64>,
    /// Why it fails now, when it did not before.
    pub(super) broken: Option<String>,
    /// Why it is not compared.
    pub(super) excuse: Option<String>,
}

impl Contest {
    pub(super) fn new(key: CellKey) -> Self {
        Self { key, ns: [Vec::new(), Vec::new()], shifts: Vec::new(), broken: None, excuse: None }
    }

    pub(super) fn is_open(&self) -> bool {
        self.broken.is_none() && self.excuse.is_none()
    }

    /// Takes in what one round brought: the two times of each side.
    pub(super) fn take(&mut self, logs: [[f64; 2]; 2]) {
        let mean = logs.map(|[a, b]| (a + b) / 2.0);
        self.shifts.push(mean[1] - mean[0]);
        for (all, mean) in self.ns.iter_mut().zip(mean) {
            all.push(mean.exp());
        }
    }

    pub(super) fn end(&mut self, side: usize, outcome: Outcome) {
        match (outcome, side) {
            (Outcome::Void { reason } | Outcome::Failed { reason }, 1) => {
                self.broken = Some(reason)
            }
            (Outcome::Void { reason } | Outcome::Failed { reason }, _) => {
                self.excuse = Some(format!("it failed before, too: {reason}"));
            }
            (Outcome::Unsupported { reason }, _) => self.excuse = Some(reason),
            (Outcome::Ok { .. }, _) => {
                self.excuse = Some("it has no figures of the crate".to_owned())
            }
        }
    }
}

/// A pass with its intervals and tests: each cell, and the cells of each mechanism together.
#[derive(Debug)]
pub(super) struct Judged {
    noise: f64,
    pub(super) rows: Vec<(Row, Vec<usize>)>,
}

impl Judged {
    pub(super) fn of(cells: &[Contest], noise: f64, seed: u64) -> Self {
        let whole: Vec<_> = (0..cells.len()).filter(|&it| cells[it].is_open()).collect();
        let row = |name: String, members: Vec<usize>, shifts: &[f64]| {
            let alone = match members.as_slice() {
                [one] => cells[*one].ns.each_ref().map(|it| median(it).unwrap_or(f64::NAN)).into(),
                _ => None,
            };
            let row = Row {
                name,
                cells: members.len(),
                ns: alone,
                ratio: paired(shifts, seed)?,
                chance: Some(chance(shifts, seed)),
                verdict: Verdict::Same,
            };
            Some((row, members))
        };
        let mut rows = Vec::new();
        for (name, members) in by_mechanism(cells, &whole) {
            rows.extend(row(name, members.clone(), &together(cells, &members)));
        }
        for cell in whole {
            rows.extend(row(
                cell_name(&cells[cell].key, Variant::Ours),
                vec![cell],
                &cells[cell].shifts,
            ));
        }
        Self { noise, rows }
    }

    /// The cells that may differ, the worst first: their interval does not hold 1, and the difference is more
    /// than noise.
    pub(super) fn suspects(&self, cells: &[Contest]) -> Vec<usize> {
        let off = |row: &Row| {
            (row.ratio.lo > 1.0 || row.ratio.hi < 1.0)
                && row.ratio.value.ln().abs() > self.noise.ln_1p()
        };
        let mut suspects: Vec<(usize, f64)> = Vec::new();
        for (row, members) in self.rows.iter().filter(|(row, _)| off(row)) {
            for &cell in members {
                if !suspects.iter().any(|it| it.0 == cell) {
                    let own = middle_mean(&cells[cell].shifts).unwrap_or(0.0);
                    suspects.push((cell, own * row.ratio.value.ln().signum()));
                }
            }
        }
        suspects.sort_by(|a, b| b.1.total_cmp(&a.1));
        suspects.into_iter().map(|it| it.0).take(SUSPECTS).collect()
    }

    /// The rows with their verdicts.
    pub(super) fn confirmed(self) -> Vec<Row> {
        let chances: Vec<_> = self.rows.iter().map(|(row, _)| row.chance.unwrap_or(1.0)).collect();
        let holds = holm(&chances, WRONG);
        let judged = self.rows.into_iter().zip(holds).map(|((mut row, _), holds)| {
            if holds {
                row.verdict = Verdict::of(row.ratio, self.noise);
            }
            row
        });
        judged.collect()
    }

    /// The cells of the first pass that were not measured again, as the same.
    pub(super) fn rows_but(self, again: &[Contest]) -> Vec<Row> {
        let again: Vec<_> = again.iter().map(|it| cell_name(&it.key, Variant::Ours)).collect();
        let rows = self.rows.into_iter().map(|it| it.0);
        rows.filter(|row| row.cells == 1 && !again.contains(&row.name)).collect()
    }
}

/// The mechanisms with two cells or more.
fn by_mechanism(cells: &[Contest], whole: &[usize]) -> Vec<(String, Vec<usize>)> {
    let mut groups: Vec<(String, Vec<usize>)> = Vec::new();
    for &cell in whole {
        let id = &cells[cell].key.mechanism;
        match groups.iter_mut().find(|it| it.0 == *id) {
            Some((_, members)) => members.push(cell),
            None => groups.push((id.clone(), vec![cell])),
        }
    }
    groups.retain(|it| it.1.len() > 1);
    groups
}

/// The mean shift of some cells in each round.
fn together(cells: &[Contest], members: &[usize]) -> Vec<f64> {
    let rounds = members.iter().map(|&it| cells[it].shifts.len()).min().unwrap_or(0);
    let mean = |round: usize| {
        let sum: f64 = members.iter().map(|&it| cells[it].shifts[round]).sum();
        sum / members.len() as f64
    };
    (0..rounds).map(mean).collect()
}
