//! The matrix: which cells are measured, and why some are not.

mod curated;
mod names;
mod preset;

use std::collections::BTreeMap;

use anyhow::Result;
use ipc_bench_schema::{
    CellKey, MechanismInfo, Payload, PeerInfo, Placement, Setting, Topology, Variant, WaitMode,
};
use serde::{Deserialize, Serialize};

pub(crate) use names::{is_meant, is_others};
use preset::HANDOFF_SIZES;
pub(crate) use preset::Preset;

use crate::cli::BenchOptions;
use crate::cpus::Cpus;
use crate::report::units;

/// One cell of the matrix.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Planned {
    /// Its axes.
    pub(crate) key: CellKey,
    /// The crate that implements the mechanism.
    pub(crate) krate: String,
    /// The variants to expect.
    pub(crate) variants: Vec<Variant>,
    /// Why it is not even tried.
    pub(crate) skip: Option<String>,
    /// How soon it is left out when time is short: the highest first, 0 never.
    #[serde(default)]
    pub(crate) rank: u8,
    /// How many CPUs its processes have between them.
    #[serde(default)]
    pub(crate) room: usize,
}

/// Lays the matrix out in the order of the report: group by group, size by size, and in each the
/// mechanisms one after the other.
///
/// Where the command line names no axis, it is the curated choice of cells that answers which mechanism to
/// take; where it names one, it is every combination.
pub(crate) fn plan(options: &BenchOptions, info: &PeerInfo, cpus: &Cpus) -> Result<Vec<Planned>> {
    let preset = Preset::of(options);
    let chosen = names::mechanisms(options, info)?;
    let is_curated = preset != Preset::Full && !names_an_axis(options);
    let shapes = if is_curated { curated::shapes() } else { product(options, preset, cpus) };
    let mut cells = Vec::new();
    for shape in shapes {
        for it in &chosen {
            let rank = if is_curated { curated::rank(&shape, it) } else { 0 };
            cells.extend(cell(it, &Shape { rank, ..shape }, options, cpus));
        }
    }
    // A mechanism without payload has one size: the same cell comes once.
    let mut seen = std::collections::HashSet::new();
    cells.retain(|it| seen.insert(it.key.clone()));
    let place = |it: &Planned| {
        let at = chosen.iter().position(|known| known.id == it.key.mechanism);
        let CellKey { topology, setting, placement, wait, payload, size, .. } = it.key;
        (topology, setting, placement, wait, payload, size, at)
    };
    cells.sort_by_key(place);
    Ok(cells)
}

/// Whether the command line says which cells, and not only of which mechanisms.
fn names_an_axis(options: &BenchOptions) -> bool {
    !(options.size.is_empty()
        && options.placement.is_empty()
        && options.wait.is_empty()
        && options.topology.is_empty()
        && options.setting.is_empty()
        && options.payload.is_empty())
}

/// A cell without its mechanism.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Shape {
    rank: u8,
    topology: Topology,
    setting: Setting,
    size: usize,
    placement: Placement,
    wait: WaitMode,
    payload: Payload,
}

/// Every combination of what is named and, where nothing is, of what the preset has.
fn product(options: &BenchOptions, preset: Preset, cpus: &Cpus) -> Vec<Shape> {
    let mut shapes = Vec::new();
    for topology in axis(&options.topology, preset.topologies()) {
        let named: Vec<_> =
            options.setting.iter().copied().filter(|it| it.fits(topology)).collect();
        for setting in axis(&named, preset.settings(topology)) {
            for placement in placements(options, preset, cpus) {
                for wait in axis(&options.wait, preset.waits(topology)) {
                    let payloads = preset.payloads(topology, placement, wait);
                    for payload in axis(&options.payload, payloads) {
                        let sizes = match payload {
                            Payload::Handoff => HANDOFF_SIZES,
                            Payload::Touch => preset.sizes(topology),
                        };
                        for size in axis(&options.size, sizes) {
                            shapes.push(Shape {
                                rank: 0,
                                topology,
                                setting,
                                size,
                                placement,
                                wait,
                                payload,
                            });
                        }
                    }
                }
            }
        }
    }
    shapes
}

/// Those that are named, and of the preset's those that this machine has; `cross-cpu` is one of them.
fn placements(options: &BenchOptions, preset: Preset, cpus: &Cpus) -> Vec<Placement> {
    let mut placements = axis(&options.placement, preset.placements());
    if options.placement.is_empty() {
        let plain = [Placement::SameCpu, Placement::CrossCpu, Placement::Unpinned];
        placements.retain(|it| {
            plain.contains(it) || cpus.absent(*it).is_none() && cpus.relation() != Some(*it)
        });
    }
    placements
}

/// What is not in the plan because the machine does not have it, in words.
pub(crate) fn absent(options: &BenchOptions, cpus: &Cpus) -> Vec<String> {
    if !options.placement.is_empty() || Preset::of(options) != Preset::Full {
        return Vec::new();
    }
    let missing = |it: &Placement| match cpus.absent(*it) {
        Some(why) if *it != Placement::CrossCpu => Some(format!("{it}: {why}")),
        _ if cpus.two() && cpus.relation() == Some(*it) => {
            Some(format!("{it}: it is what cross-cpu is here"))
        }
        _ => None,
    };
    Placement::ALL.iter().filter_map(missing).collect()
}

/// A cell of this shape, if this mechanism has one.
fn cell(it: &MechanismInfo, shape: &Shape, options: &BenchOptions, cpus: &Cpus) -> Option<Planned> {
    let Shape { rank, topology, setting, size, placement, wait, payload } = *shape;
    let takes_part = it.topologies.contains(&topology);
    let apart = it.apart.iter().find(|(known, _)| *known == topology).map(|(_, why)| why.clone());
    // Notifications, and what is created for one message, are other kinds of things than what the rest of a table
    // has: unless the topology is named, they are not in it.
    let fits = it.topologies.contains(&Topology::PingPong) && it.max_message != Some(0);
    if !takes_part && (apart.is_none() || !fits) && !options.topology.contains(&topology) {
        return None;
    }
    // Few mechanisms can do without a copy: one that cannot is left out unless it is named.
    if !it.payloads.contains(&payload) && !options.payload.contains(&payload) {
        return None;
    }
    // Those without payload have one size, 0, whatever sizes the others are measured with.
    let size = if it.max_message == Some(0) { 0 } else { size };
    if size == 0 && rank > 0 && shape.size != curated::SIZE {
        return None;
    }
    let mechanism = it.id.clone();
    let key = CellKey { mechanism, topology, size, placement, wait, payload, setting };
    let room = cpus.room(placement, setting.many());
    let skip = skip(&key, room, cpus).or(apart);
    let absent = |variant| it.absent.iter().any(|a| (a.variant, a.topology) == (variant, topology));
    let variants = it.variants.iter().copied().filter(|variant| !absent(*variant)).collect();
    let krate = it.krate.clone();
    Some(Planned { key, krate, variants, skip, rank, room })
}

/// What the user named, in the axis' own order and once each, or else the preset's.
fn axis<T: Copy + Ord>(named: &[T], preset: &[T]) -> Vec<T> {
    let mut values = if named.is_empty() { preset } else { named }.to_vec();
    values.sort_unstable();
    values.dedup();
    values
}

/// Why a setting measures nothing on this machine.
fn skip(key: &CellKey, room: usize, cpus: &Cpus) -> Option<String> {
    if let Some(why) = cpus.absent(key.placement) {
        return Some(why);
    }
    let alone = key.placement == Placement::SameCpu || room < 2;
    let why = match key.wait {
        _ if alone && key.topology == Topology::OpenLoop => {
            "the sender keeps time by spinning, and would take the CPU from the receiver"
        }
        WaitMode::Spin if alone => match key.placement {
            Placement::SameCpu => {
                "two spinners on one CPU measure the scheduler's time slice, not the mechanism"
            }
            _ => {
                "only one CPU may be used, and two spinners on one CPU measure the scheduler's \
                 time slice"
            }
        },
        WaitMode::Spin if room < key.processes() => {
            "more spinners than CPUs measure the scheduler's time slice, not the mechanism"
        }
        WaitMode::Adaptive if alone => {
            "on one CPU spinning only keeps the other from what is waited for: see block"
        }
        _ => return None,
    };
    Some(why.to_owned())
}

/// Cells that were left out, in words: a line for each shape, the most important first.
pub(crate) fn left_out(cells: &[Planned]) -> Vec<String> {
    let mut shapes: BTreeMap<(u8, String), usize> = BTreeMap::new();
    for it in cells {
        let key = &it.key;
        let size = if key.size == 0 { curated::SIZE } else { key.size };
        let words =
            format!("{}, {}, {}, {}", key.form(), units::size(size), key.placement, key.wait);
        let words = match key.payload {
            Payload::Touch => words,
            other => format!("{words}, {other}"),
        };
        *shapes.entry((it.rank, words)).or_default() += 1;
    }
    let lines = shapes.into_iter().map(|((_, words), count)| {
        format!("{words}: {count} mechanism{}", if count == 1 { "" } else { "s" })
    });
    lines.collect()
}

#[cfg(test)]
mod tests;
