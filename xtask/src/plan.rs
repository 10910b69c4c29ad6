//! The matrix: which cells are measured, and why some are not.

use std::time::Duration;

use anyhow::Result;
use ipc_bench_schema::{
    CellKey, MechanismInfo, Payload, PeerInfo, Placement, Setting, Topology, Variant, WaitMode,
};
use serde::{Deserialize, Serialize};

use crate::cli::BenchOptions;
use crate::cpus::Cpus;
use crate::error::Usage;

/// How much is measured where the command line does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Preset {
    /// Less than 45 seconds.
    Quick,
    /// About two minutes.
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

    fn sizes(self, topology: Topology) -> &'static [usize] {
        match self {
            // How long its first message is makes no difference to what was created.
            _ if topology == Topology::Setup => &[64],
            Self::Quick | Self::Default => &[8, 64, 4096, 65536],
            Self::Full => &[8, 16, 56, 64, 256, 1024, 4096, 8192, 65536, 1 << 20],
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
            Self::Default => Some(Duration::from_secs(115)),
            Self::Full => None,
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
}

/// Lays the matrix out in the order of the report: group by group, size by size, and in each the
/// mechanisms one after the other.
pub(crate) fn plan(options: &BenchOptions, info: &PeerInfo, cpus: &Cpus) -> Result<Vec<Planned>> {
    let preset = Preset::of(options);
    let chosen = mechanisms(&options.mechanisms, info)?;
    let mut cells = Vec::new();
    for topology in axis(&options.topology, Topology::ALL) {
        let sizes = axis(&options.size, preset.sizes(topology));
        // What is left out unless it is named would be a row of the same reason everywhere.
        let named = options.topology.contains(&topology);
        let takes_part = |it: &&MechanismInfo| named || it.topologies.contains(&topology);
        for placement in axis(&options.placement, preset.placements()) {
            for wait in axis(&options.wait, preset.waits(topology)) {
                let taking_part: Vec<_> = chosen.iter().copied().filter(takes_part).collect();
                for (size, it) in by_size(&sizes, &taking_part) {
                    cells.push(Planned {
                        key: CellKey {
                            mechanism: it.id.clone(),
                            topology,
                            size,
                            placement,
                            wait,
                            payload: Payload::Touch,
                            setting: Setting::None,
                        },
                        krate: it.krate.clone(),
                        variants: it.variants.clone(),
                        skip: skip(placement, wait, cpus),
                    });
                }
            }
        }
    }
    Ok(cells)
}

/// Size by size, the mechanisms one after the other. Those without payload have one size, 0, whatever
/// sizes the others are measured with.
fn by_size<'a>(
    sizes: &[usize],
    chosen: &[&'a MechanismInfo],
) -> impl Iterator<Item = (usize, &'a MechanismInfo)> {
    let (without, with): (Vec<_>, Vec<_>) =
        chosen.iter().copied().partition(|it| it.max_message == Some(0));
    let sizes = sizes.to_vec();
    let with =
        sizes.into_iter().flat_map(move |size| with.clone().into_iter().map(move |it| (size, it)));
    without.into_iter().map(|it| (0, it)).chain(with)
}

/// What the user named, in the axis' own order and once each, or else the preset's.
fn axis<T: Copy + Ord>(named: &[T], preset: &[T]) -> Vec<T> {
    let mut values = if named.is_empty() { preset } else { named }.to_vec();
    values.sort_unstable();
    values.dedup();
    values
}

/// Why a setting measures nothing on this machine.
fn skip(placement: Placement, wait: WaitMode, cpus: &Cpus) -> Option<String> {
    let why = match (placement, wait) {
        (Placement::SameCpu, WaitMode::Spin) => {
            "two spinners on one CPU measure the scheduler's time slice, not the mechanism"
        }
        (Placement::CrossCpu, _) if !cpus.two() => {
            "only one CPU may be used: two processes cannot run on two"
        }
        (Placement::Unpinned, WaitMode::Spin) if cpus.allowed.len() < 2 => {
            "only one CPU may be used, and two spinners on one CPU measure the scheduler's time \
             slice"
        }
        _ => return None,
    };
    Some(why.to_owned())
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
        Cpus { allowed, pair }
    }

    #[test]
    fn quick_is_the_matrix_of_the_issue() {
        let cells = plan(&options("--quick"), &info(), &cpus([0, 1])).unwrap();
        assert_eq!(cells.len(), 3 * 4 * 2 * 2 * 2);
        let runnable = cells.iter().filter(|it| it.skip.is_none()).count();
        assert_eq!(runnable, 3 * 4 * 2 * 3);
        assert!(cells.iter().all(|it| it.key.payload == Payload::Touch));
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
    fn spinning_on_one_cpu_is_never_run() {
        let cells = plan(&options("--full"), &info(), &cpus([0, 1])).unwrap();
        for cell in cells {
            let key = &cell.key;
            let spins = key.placement == Placement::SameCpu && key.wait == WaitMode::Spin;
            assert_eq!(cell.skip.is_some(), spins, "{key}");
        }
    }

    #[test]
    fn one_cpu_leaves_only_what_one_cpu_can_do() {
        let cells = plan(&options("--full"), &info(), &cpus([0, 0])).unwrap();
        let can =
            |key: &CellKey| key.placement != Placement::CrossCpu && key.wait != WaitMode::Spin;
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
