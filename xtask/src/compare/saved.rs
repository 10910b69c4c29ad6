//! Two saved results.
//!
//! Between two runs the machine has changed by some per cent, for all cells of a kind alike. Where the bare system
//! calls were measured beside the crate, what is compared is the time by theirs, round by round, so that what
//! the machine did meanwhile cancels out. Elsewhere the times are compared, and what no raw cell of the same kind
//! has moved by is the noise.

use std::collections::BTreeMap;

use anyhow::Result;
use ipc_bench_schema::results::{Cell, Host, Status};
use ipc_bench_schema::{CellKey, Placement, Results, Topology, Variant, WaitMode};

use super::judge::{Comparison, Row, Verdict};
use crate::cli::CompareOptions;
use crate::error::Usage;
use crate::stats::median;
use crate::stats::shift::unpaired;

/// What two runs of the same program may differ by although their intervals do not show it.
const NOISE: f64 = 0.03;
/// A comparison in which nothing differs reports something as often as this.
const WRONG: f64 = 0.01;

/// Which cells are compared; an empty list is all.
#[derive(Debug, Default)]
pub(super) struct Chosen {
    mechanisms: Vec<String>,
    sizes: Vec<usize>,
    placements: Vec<Placement>,
    waits: Vec<WaitMode>,
    topologies: Vec<Topology>,
}

impl Chosen {
    /// What the user named.
    pub(super) fn of(options: &CompareOptions) -> Self {
        Self {
            mechanisms: options.mechanism.clone(),
            sizes: options.size.clone(),
            placements: options.placement.clone(),
            waits: options.wait.clone(),
            topologies: options.topology.clone(),
        }
    }

    fn has(&self, key: &CellKey) -> bool {
        fn among<T: PartialEq>(named: &[T], it: &T) -> bool {
            named.is_empty() || named.contains(it)
        }
        among(&self.mechanisms, &key.mechanism)
            && among(&self.sizes, &key.size)
            && among(&self.placements, &key.placement)
            && among(&self.waits, &key.wait)
            && among(&self.topologies, &key.topology)
    }
}

/// The cells of a kind share what the machine does to them.
type Kind = (Topology, Placement, WaitMode);

fn kind(key: &CellKey) -> Kind {
    (key.topology, key.placement, key.wait)
}

/// A cell that both results have.
struct Both<'a> {
    cells: [&'a Cell; 2],
    /// The time of a message in each round: by that of the raw variant, or in nanoseconds.
    rounds: [Vec<f64>; 2],
    by_raw: bool,
}

/// Compares them.
pub(super) fn compare(
    before: &Results,
    after: &Results,
    chosen: &Chosen,
    noise: Option<f64>,
) -> Result<Comparison> {
    let noise = noise.unwrap_or(NOISE);
    let (mut both, mut broken, mut left_out) = (Vec::new(), Vec::new(), Vec::new());
    let sides = [Index::of(before), Index::of(after)];
    let judged = before.cells.iter().filter(|it| it.variant != Variant::Raw && chosen.has(&it.key));
    for old in judged.filter(|it| it.status == Status::Ok) {
        let name = super::show::cell_name(&old.key, old.variant);
        match sides[1].get(&old.key, old.variant) {
            None => left_out.push((name, "the later result has no such cell".to_owned())),
            Some(new) => match (new.status, of_both([old, new], &sides)) {
                (Status::Ok, Some(it)) => both.push(it),
                (Status::Ok, None) => {
                    left_out.push((name, "a result has no figures of single rounds".to_owned()));
                }
                (Status::Failed | Status::Void, _) => {
                    broken.push(Row::broken(name, new.reason.clone().unwrap_or_default()));
                }
                (Status::Unsupported | Status::NotRun, _) => {
                    left_out.push((name, new.reason.clone().unwrap_or_default()));
                }
            },
        }
    }
    if both.is_empty() && broken.is_empty() {
        return Err(Usage::error(
            "the two results have no measured cell in common: compare runs of the same mechanisms, sizes, \
             placements and waits",
        ));
    }
    let moved = raw_moves(&sides, chosen);
    let pools = pools(&both);
    let wrong = WRONG / (both.len() + pools.len()) as f64;
    let mut rows: Vec<_> = pools.iter().filter_map(|it| it.row(&moved, noise, wrong)).collect();
    rows.extend(both.iter().filter_map(|it| {
        let [old, new] = it.cells;
        let ratio = unpaired(&it.rounds[0], &it.rounds[1], wrong, after.config.seed)?;
        let noise = if it.by_raw { noise } else { noise.max(moved.get(&kind(&old.key)).copied()?) };
        let ns = [median(&old.per_round_ns)?, median(&new.per_round_ns)?];
        Some(Row {
            name: super::show::cell_name(&old.key, old.variant),
            cells: 1,
            ns: Some(ns),
            ratio,
            chance: None,
            verdict: Verdict::of(ratio, noise),
        })
    }));
    rows.extend(broken);
    Ok(Comparison {
        names: [before, after].map(name),
        method: "saved results, by the time of the bare system calls where those were measured beside it, else by \
                 time; intervals that are wrong for one of all cells in one comparison of a hundred"
            .to_owned(),
        noise,
        rows,
        left_out,
        notes: notes(before, after, &moved),
    })
}

/// Finds cells by their axes.
struct Index<'a>(BTreeMap<(&'a CellKey, Variant), &'a Cell>);

impl<'a> Index<'a> {
    fn of(results: &'a Results) -> Self {
        Self(results.cells.iter().map(|it| ((&it.key, it.variant), it)).collect())
    }

    fn get(&self, key: &'a CellKey, variant: Variant) -> Option<&'a Cell> {
        self.0.get(&(key, variant)).copied()
    }

    /// The rounds of the raw variant, where they are those of this cell too.
    fn raw_of(&self, cell: &'a Cell) -> Option<&'a [f64]> {
        let raw = &self.get(&cell.key, Variant::Raw)?.per_round_ns;
        (cell.variant == Variant::Ours && raw.len() == cell.per_round_ns.len()).then_some(raw)
    }
}

fn of_both<'a>(cells: [&'a Cell; 2], sides: &[Index<'a>; 2]) -> Option<Both<'a>> {
    if cells.iter().any(|it| it.per_round_ns.is_empty()) {
        return None;
    }
    let by_raw = |side: usize| {
        let (cell, raw) = (cells[side], sides[side].raw_of(cells[side])?);
        Some(cell.per_round_ns.iter().zip(raw).map(|(ours, raw)| ours / raw).collect::<Vec<_>>())
    };
    Some(match (by_raw(0), by_raw(1)) {
        (Some(old), Some(new)) => Both { cells, rounds: [old, new], by_raw: true },
        _ => Both { cells, rounds: cells.map(|it| it.per_round_ns.clone()), by_raw: false },
    })
}

/// The furthest that a raw cell of each kind has moved: nobody changed those.
fn raw_moves(sides: &[Index<'_>; 2], chosen: &Chosen) -> BTreeMap<Kind, f64> {
    let mut moves = BTreeMap::new();
    for (&(key, variant), old) in sides[0].0.iter().filter(|(it, _)| chosen.has(it.0)) {
        let furthest: &mut f64 = moves.entry(kind(key)).or_default();
        let moved = || {
            let new = sides[1].get(key, variant)?;
            let (old, new) = (median(&old.per_round_ns)?, median(&new.per_round_ns)?);
            Some((new / old).max(old / new) - 1.0)
        };
        if let Some(moved) = moved().filter(|_| variant == Variant::Raw) {
            *furthest = furthest.max(moved);
        }
    }
    moves
}

/// All cells of a mechanism together: what slows all of them is seen although it is little.
struct Pool {
    name: String,
    cells: usize,
    rounds: [Vec<f64>; 2],
    kinds: Vec<Kind>,
    by_raw: bool,
}

fn pools(both: &[Both<'_>]) -> Vec<Pool> {
    let mut groups: BTreeMap<(&str, bool), Vec<&Both<'_>>> = BTreeMap::new();
    for it in both.iter().filter(|it| it.cells[0].variant == Variant::Ours) {
        groups.entry((&it.cells[0].key.mechanism, it.by_raw)).or_default().push(it);
    }
    let pool = |((name, by_raw), cells): (_, Vec<&Both<'_>>)| {
        // In each round the geometric mean; a cell that was not measured in all rounds is left out.
        let most = |side: usize| cells.iter().map(|it| it.rounds[side].len()).max().unwrap_or(0);
        let whole = [most(0), most(1)];
        let fit: Vec<_> =
            cells.iter().filter(|it| it.rounds.each_ref().map(Vec::len) == whole).collect();
        let mean = |side: usize| {
            let of_round = |round: usize| {
                let logs = fit.iter().map(|it| it.rounds[side][round].ln());
                (logs.sum::<f64>() / fit.len() as f64).exp()
            };
            (0..whole[side]).map(of_round).collect::<Vec<_>>()
        };
        (fit.len() > 1).then(|| Pool {
            name: str::to_owned(name),
            cells: fit.len(),
            rounds: [mean(0), mean(1)],
            kinds: fit.iter().map(|it| kind(&it.cells[0].key)).collect(),
            by_raw,
        })
    };
    groups.into_iter().filter_map(pool).collect()
}

impl Pool {
    fn row(&self, moved: &BTreeMap<Kind, f64>, noise: f64, wrong: f64) -> Option<Row> {
        let ratio = unpaired(&self.rounds[0], &self.rounds[1], wrong, 0)?;
        let moved = self.kinds.iter().filter_map(|it| moved.get(it)).copied().fold(noise, f64::max);
        Some(Row {
            name: self.name.clone(),
            cells: self.cells,
            ns: None,
            ratio,
            chance: None,
            verdict: Verdict::of(ratio, if self.by_raw { noise } else { moved }),
        })
    }
}

fn name(results: &Results) -> String {
    let commit = results.build.commit.as_deref().map(|it| it.chars().take(10).collect::<String>());
    let dirty = if results.build.dirty == Some(true) { " with changes" } else { "" };
    let commit = commit.map_or(String::new(), |it| format!(", commit {it}{dirty}"));
    format!("{}{commit}", results.config.started)
}

fn notes(before: &Results, after: &Results, moved: &BTreeMap<Kind, f64>) -> Vec<String> {
    let mut notes = Vec::new();
    let told = |host: &Host| (host.cpu.clone(), host.kernel.clone(), host.cpus.len());
    if told(&before.host) != told(&after.host) {
        notes.push(
            "the two were measured on different machines or kernels: what differs may be those"
                .to_owned(),
        );
    }
    if !before.config.complete || !after.config.complete {
        notes.push("a run was stopped before its end".to_owned());
    }
    if let Some((kind, most)) =
        moved.iter().max_by(|a, b| a.1.total_cmp(b.1)).filter(|it| *it.1 > NOISE)
    {
        notes.push(format!(
            "the bare system calls, which no change of ours touches, moved by up to {:.0} % ({}, {}, {}): that much \
             is the machine's",
            most * 100.0,
            kind.0,
            kind.1,
            kind.2
        ));
    }
    notes
}

#[cfg(test)]
#[path = "saved_tests.rs"]
mod tests;
