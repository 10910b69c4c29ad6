//! The matrix: which cells are measured, and why some are not.

mod curated;

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use ipc_bench_schema::{
    CellKey, MechanismInfo, Payload, PeerInfo, Placement, Setting, Topology, Variant, WaitMode,
};
use serde::{Deserialize, Serialize};

use crate::cli::BenchOptions;
use crate::cpus::Cpus;
use crate::error::Usage;
use crate::report::units;

/// How much is measured where the command line does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Preset {
    /// Less than 45 seconds.
    Quick,
    /// Less than three minutes.
    Default,
    /// Every axis.
    Full,
}

impl Preset {
    /// The preset that the options name.
    pub(crate) fn of(options: &BenchOptions) -> Self {
        match (options.quick, options.full) {
            (true, _) => Self::Quick,
            (_, true) => Self::Full,
            _ => Self::Default,
        }
    }

    /// Its name in the results.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Quick => "quick",
            Self::Default => "default",
            Self::Full => "full",
        }
    }

    fn topologies(self) -> &'static [Topology] {
        match self {
            Self::Quick | Self::Default => &[Topology::PingPong, Topology::Stream, Topology::Setup],
            Self::Full => Topology::ALL,
        }
    }

    fn sizes(self, topology: Topology) -> &'static [usize] {
        match (self, topology) {
            // How long its first message is makes no difference to what was created.
            (_, Topology::Setup) => &[64],
            (Self::Full, Topology::FanIn | Topology::FanOut) => &[64, 4096],
            (_, Topology::FanIn | Topology::FanOut) => &[64],
            (_, Topology::IdleGap | Topology::OpenLoop) => &[64],
            (Self::Quick | Self::Default, _) => &[8, 64, 4096, 65536],
            (Self::Full, _) => &[8, 16, 56, 64, 256, 1024, 4096, 8192, 65536, 1 << 20],
        }
    }

    fn settings(self, topology: Topology) -> &'static [Setting] {
        match (self, topology) {
            (_, Topology::PingPong | Topology::Stream | Topology::Setup) => &[Setting::None],
            (_, Topology::IdleGap) => &[
                Setting::Pause(0),
                Setting::Pause(50),
                Setting::Pause(1000),
                Setting::Pause(10_000),
            ],
            (Self::Full, Topology::FanIn | Topology::FanOut) => {
                &[Setting::Many(2), Setting::Many(4), Setting::Many(8)]
            }
            (_, Topology::FanIn | Topology::FanOut) => &[Setting::Many(curated::MANY)],
            (_, Topology::OpenLoop) => &[Setting::Fixed, Setting::Poisson],
        }
    }

    fn placements(self) -> &'static [Placement] {
        match self {
            Self::Quick | Self::Default => &[Placement::SameCpu, Placement::CrossCpu],
            Self::Full => Placement::ALL,
        }
    }

    fn waits(self, topology: Topology) -> &'static [WaitMode] {
        match self {
            _ if topology == Topology::Setup => &[WaitMode::Block],
            Self::Quick | Self::Default => &[WaitMode::Block, WaitMode::Spin],
            Self::Full => WaitMode::ALL,
        }
    }

    /// Messages are handed over without a copy where nothing else takes most of the time.
    fn payloads(
        self,
        topology: Topology,
        placement: Placement,
        wait: WaitMode,
    ) -> &'static [Payload] {
        if !matches!(topology, Topology::PingPong | Topology::Stream) {
            return &[Payload::Touch];
        }
        match (self, placement, wait) {
            (Self::Full, ..) | (_, Placement::CrossCpu, WaitMode::Spin) => Payload::ALL,
            _ => &[Payload::Touch],
        }
    }

    /// How many rounds.
    pub(crate) fn rounds(self) -> usize {
        match self {
            Self::Quick => 5,
            Self::Default => 10,
            Self::Full => 15,
        }
    }

    /// How long everything may take, from the first floor to the last report; `None`: as long as
    /// the budget makes it.
    pub(crate) fn allowance(self) -> Option<Duration> {
        match self {
            Self::Quick => Some(Duration::from_secs(36)),
            Self::Default => Some(Duration::from_secs(155)),
            Self::Full => None,
        }
    }

    /// With how many milliseconds for a variant in a run the figures mean something: rather than less for
    /// each cell, there are fewer cells.
    pub(crate) fn enough_ms(self) -> u64 {
        match self {
            Self::Quick => 8,
            Self::Default | Self::Full => 10,
        }
    }

    /// How long each floor is measured in each round, in milliseconds.
    pub(crate) fn floor_budget_ms(self) -> u64 {
        match self {
            Self::Quick => 20,
            Self::Default => 40,
            Self::Full => 100,
        }
    }
}

/// The sizes of what is handed over: the time of one should be that of any other.
const HANDOFF_SIZES: &[usize] = &[8, 8192, 1 << 20];

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
    let chosen = mechanisms(&options.mechanisms, info)?;
    let shapes = match preset {
        Preset::Quick | Preset::Default if !names_an_axis(options) => curated::shapes(),
        _ => product(options, preset, cpus),
    };
    let mut cells = Vec::new();
    for shape in shapes {
        for it in &chosen {
            cells.extend(cell(it, &shape, options, cpus));
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
    // What is left out unless it is named would be a row of the same reason everywhere.
    if !takes_part && apart.is_none() && !options.topology.contains(&topology) {
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
    let (krate, variants) = (it.krate.clone(), it.variants.clone());
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

fn mechanisms<'a>(named: &[String], info: &'a PeerInfo) -> Result<Vec<&'a MechanismInfo>> {
    if let Some(unknown) = named.iter().find(|id| !info.mechanisms.iter().any(|it| it.id == **id)) {
        let known: Vec<_> = info.mechanisms.iter().map(|it| it.id.as_str()).collect();
        let hint =
            nearest(unknown, &known).map_or(String::new(), |id| format!(" did you mean {id:?}?"));
        return Err(Usage::error(format!(
            "unknown mechanism {unknown:?}:{hint} choose from {}",
            known.join(", ")
        )));
    }
    let wanted = |id: &String| named.is_empty() || named.contains(id);
    Ok(info.mechanisms.iter().filter(|it| wanted(&it.id)).collect())
}

/// The known word that differs least, if any is near.
fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let (distance, id) = known.iter().map(|id| (edits(word, id), *id)).min()?;
    (distance <= 1 + word.len() / 4).then_some(id)
}

/// The Levenshtein distance.
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<_> = b.chars().collect();
    let mut row: Vec<_> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut corner = i;
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let change = corner + usize::from(x != *y);
            corner = row[j + 1];
            row[j + 1] = change.min(corner + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::{Cli, Command};

    fn options(args: &str) -> BenchOptions {
        let words = ["xtask", "bench"].into_iter().chain(args.split_whitespace());
        match Cli::try_parse_from(words).unwrap().command {
            Command::Bench(options) => *options,
            _ => unreachable!("bench was asked for"),
        }
    }

    fn info() -> PeerInfo {
        let mechanism = |id: &str| MechanismInfo {
            id: id.to_owned(),
            krate: "ipc-pipe".to_owned(),
            summary: String::new(),
            variants: vec![Variant::Ours, Variant::Raw],
            topologies: vec![Topology::PingPong, Topology::Stream],
            apart: Vec::new(),
            payloads: vec![Payload::Touch],
            max_message: None,
            caps: Vec::new(),
        };
        PeerInfo {
            debug_assertions: false,
            mechanisms: ["pipe", "pipe-packet", "fifo"].map(mechanism).into(),
        }
    }

    fn cpus(pair: [usize; 2]) -> Cpus {
        let mut allowed = pair.to_vec();
        allowed.dedup();
        let places =
            if allowed.len() == 2 { vec![(Placement::SharedL3, pair)] } else { Vec::new() };
        Cpus { allowed, pair, places }
    }

    #[test]
    fn without_axes_the_plan_is_the_curated_one_for_every_mechanism() {
        for args in ["--quick", "", "pipe fifo pipe-packet"] {
            let cells = plan(&options(args), &info(), &cpus([0, 1])).unwrap();
            // The mechanisms of the example take part in ping-pong and stream.
            assert_eq!(cells.len(), 3 * 10, "{args}");
            assert!(cells.iter().all(|it| it.key.payload == Payload::Touch));
            assert!(cells.iter().all(|it| it.skip.is_none()));
            let first = cells.iter().filter(|it| it.rank == 0).count();
            assert_eq!(first, 3 * 2, "each mechanism's latency is never left out");
        }
    }

    #[test]
    fn an_axis_that_is_named_is_combined_with_all_others_and_never_left_out() {
        let cells = plan(&options("--quick --size 64"), &info(), &cpus([0, 1])).unwrap();
        assert_eq!(cells.len(), 3 * 2 * 2 * 2);
        assert!(cells.iter().all(|it| it.rank == 0));
        let runnable = cells.iter().filter(|it| it.skip.is_none()).count();
        assert_eq!(runnable, 3 * 2 * 3);
    }

    #[test]
    fn topologies_with_settings_have_those_that_are_named() {
        let mut info = info();
        for it in &mut info.mechanisms {
            it.topologies = Topology::ALL.to_vec();
        }
        let forms = |args: &str| {
            let cells = plan(&options(args), &info, &cpus([0, 1])).unwrap();
            let mut forms: Vec<_> = cells.into_iter().map(|it| it.key.form()).collect();
            forms.dedup();
            forms
        };
        let args = "pipe --placement cross-cpu --wait block --topology idle-gap,open-loop,fan-in";
        assert_eq!(
            forms(args),
            [
                "idle-gap:0us",
                "idle-gap:50us",
                "idle-gap:1ms",
                "idle-gap:10ms",
                "fan-in:3",
                "open-loop:fixed",
                "open-loop:poisson"
            ]
        );
        assert_eq!(
            forms(&format!("{args} --setting 5,poisson")),
            [
                "idle-gap:0us",
                "idle-gap:50us",
                "idle-gap:1ms",
                "idle-gap:10ms",
                "fan-in:5",
                "open-loop:poisson"
            ]
        );
    }

    #[test]
    fn who_takes_no_part_among_several_says_why_and_is_not_run() {
        let mut info = info();
        info.mechanisms[0].topologies.push(Topology::FanIn);
        info.mechanisms[1].apart = vec![(Topology::FanIn, "it is a line of two".to_owned())];
        let cells = plan(&options(""), &info, &cpus([0, 1])).unwrap();
        let fans: Vec<_> = cells.iter().filter(|it| it.key.topology == Topology::FanIn).collect();
        assert_eq!(fans.len(), 2, "the third has nothing to do with it");
        assert_eq!(fans[0].skip, None);
        assert_eq!(fans[1].skip.as_deref(), Some("it is a line of two"));
        assert_eq!((fans[0].room, fans[0].key.processes()), (2, 4));
    }

    #[test]
    fn more_spinners_than_cpus_are_not_run() {
        let mut info = info();
        info.mechanisms[0].topologies = vec![Topology::FanIn];
        let args = "pipe --topology fan-in --wait spin --placement cross-cpu --setting 3";
        let four = Cpus { allowed: vec![0, 1, 2, 3], pair: [0, 1], places: Vec::new() };
        assert_eq!(plan(&options(args), &info, &four).unwrap()[0].skip, None);
        let why = plan(&options(args), &info, &cpus([0, 1])).unwrap()[0].skip.clone().unwrap();
        assert!(why.contains("more spinners than CPUs"), "{why}");
    }

    #[test]
    fn a_placement_that_the_machine_does_not_have_is_said_once_unless_it_is_named() {
        let cpus = cpus([0, 1]);
        let full = plan(&options("--full"), &info(), &cpus).unwrap();
        let plain = [Placement::SameCpu, Placement::CrossCpu, Placement::Unpinned];
        assert!(full.iter().all(|it| plain.contains(&it.key.placement)));
        let absent = absent(&options("--full"), &cpus);
        assert_eq!(absent.len(), 4, "{absent:?}");
        assert!(absent.iter().any(|it| it == "shared-l3: it is what cross-cpu is here"));
        assert!(absent.iter().any(|it| it.starts_with("cross-numa: no two of the CPUs")));
        let named = plan(&options("--placement cross-numa,shared-l3"), &info(), &cpus).unwrap();
        let skipped = |it: &&Planned| it.key.placement == Placement::CrossNuma;
        assert!(named.iter().filter(skipped).all(|it| it.skip.is_some()));
        assert!(named.iter().any(|it| !skipped(&it) && it.skip.is_none()));
    }

    #[test]
    fn what_was_left_out_is_told_by_shape() {
        let cells = plan(&options("--quick"), &info(), &cpus([0, 1])).unwrap();
        let out: Vec<_> = cells.into_iter().filter(|it| it.rank >= 11).collect();
        assert_eq!(
            left_out(&out),
            [
                "ping-pong, 64 B, cross-cpu, adaptive: 3 mechanisms",
                "ping-pong, 4 KiB, cross-cpu, spin: 3 mechanisms"
            ]
        );
    }

    #[test]
    fn a_mechanism_is_planned_where_it_takes_part_or_is_told_to() {
        let mut info = info();
        info.mechanisms[1].topologies = vec![Topology::Setup];
        let ids = |args: &str| {
            let cells = plan(&options(args), &info, &cpus([0, 1])).unwrap();
            cells.into_iter().map(|it| it.key.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(
            ids("--quick pipe-packet"),
            [
                "pipe-packet/setup/64B/same-cpu/block/touch",
                "pipe-packet/setup/64B/cross-cpu/block/touch"
            ]
        );
        assert!(ids("--quick fifo").iter().all(|key| !key.contains("setup")));
        assert_eq!(
            ids("fifo --topology setup --placement unpinned"),
            ["fifo/setup/64B/unpinned/block/touch"]
        );
    }

    #[test]
    fn only_what_can_hand_messages_over_does_so() {
        let mut info = info();
        info.mechanisms[1].payloads = Payload::ALL.to_vec();
        let handed = |args: &str| {
            let cells = plan(&options(args), &info, &cpus([0, 1])).unwrap();
            let keys = cells.into_iter().map(|it| it.key);
            keys.filter(|it| it.payload == Payload::Handoff).collect::<Vec<_>>()
        };
        let keys = handed("--quick --topology ping-pong");
        assert_eq!(keys.iter().map(|it| it.size).collect::<Vec<_>>(), [8, 8192, 1 << 20]);
        assert!(keys.iter().all(|it| it.mechanism == "pipe-packet" && it.wait == WaitMode::Spin));
        assert_eq!(handed("--quick --payload touch"), []);
        assert!(handed("--quick --payload handoff").iter().any(|it| it.mechanism == "fifo"));
    }

    #[test]
    fn spinning_on_one_cpu_is_never_run() {
        let cells = plan(&options("--full"), &info(), &cpus([0, 1])).unwrap();
        for cell in cells {
            let key = &cell.key;
            let spins = key.placement == Placement::SameCpu && key.wait != WaitMode::Block;
            assert_eq!(cell.skip.is_some(), spins, "{key}");
        }
    }

    #[test]
    fn one_cpu_leaves_only_what_one_cpu_can_do() {
        let cells = plan(&options("--full"), &info(), &cpus([0, 0])).unwrap();
        let can =
            |key: &CellKey| key.placement != Placement::CrossCpu && key.wait == WaitMode::Block;
        assert!(cells.iter().all(|it| it.skip.is_none() == can(&it.key)));
    }

    #[test]
    fn axes_come_in_order_and_once() {
        let options =
            options("fifo --size 64,8,64 --wait block --topology stream --placement same-cpu");
        let cells = plan(&options, &info(), &cpus([0, 1])).unwrap();
        let keys: Vec<_> = cells.iter().map(|it| it.key.to_string()).collect();
        assert_eq!(
            keys,
            ["fifo/stream/8B/same-cpu/block/touch", "fifo/stream/64B/same-cpu/block/touch"]
        );
    }

    #[test]
    fn what_carries_no_payload_has_one_size_and_comes_first() {
        let mut info = info();
        info.mechanisms[1].max_message = Some(0);
        let options = options("--size 64,8 --wait block --topology ping-pong --placement same-cpu");
        let cells = plan(&options, &info, &cpus([0, 1])).unwrap();
        let keys: Vec<_> = cells.iter().map(|it| (&*it.key.mechanism, it.key.size)).collect();
        let expected = [("pipe-packet", 0), ("pipe", 8), ("fifo", 8), ("pipe", 64), ("fifo", 64)];
        assert_eq!(keys, expected);
    }

    #[test]
    fn an_unknown_mechanism_is_answered_with_the_known_ones() {
        let err = plan(&options("pip"), &info(), &cpus([0, 1])).unwrap_err().to_string();
        assert_eq!(
            err,
            "unknown mechanism \"pip\": did you mean \"pipe\"? choose from pipe, pipe-packet, fifo"
        );
        let err = plan(&options("carrier-pigeon"), &info(), &cpus([0, 1])).unwrap_err().to_string();
        assert!(!err.contains("did you mean"), "{err}");
    }

    #[test]
    fn edit_distances() {
        assert_eq!(edits("kitten", "sitting"), 3);
        assert_eq!(edits("", "abc"), 3);
        assert_eq!(edits("fifo", "fifo"), 0);
    }
}
