//! Which CPUs the two processes run on.

use std::fs;
use std::path::Path;

use anyhow::Result;
use ipc_bench_schema::Placement;
use rustix::thread::{CpuSet, sched_getaffinity};
use serde::{Deserialize, Serialize};

use crate::error::Usage;

/// The CPUs that may be used, and the pair that is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Cpus {
    /// Every CPU in the affinity mask.
    pub(crate) allowed: Vec<usize>,
    /// The initiator's and the responder's; the same twice where there is one.
    pub(crate) pair: [usize; 2],
    /// A pair for each relation that two CPUs of this machine have.
    #[serde(default)]
    pub(crate) places: Vec<(Placement, [usize; 2])>,
}

impl Cpus {
    /// Chooses a pair, or takes the one that the user named.
    pub(crate) fn choose(named: &[usize]) -> Result<Self> {
        let set = sched_getaffinity(None)?;
        let allowed: Vec<_> = (0..CpuSet::MAX_CPU).filter(|&cpu| set.is_set(cpu)).collect();
        let pair =
            if named.is_empty() { pick(&allowed, sysfs_distance) } else { check(named, &allowed)? };
        let places = places(&allowed, pair, |a, b| relation(&Where::of(a), &Where::of(b)));
        Ok(Self { allowed, pair, places })
    }

    /// How the CPUs of the pair are related.
    pub(crate) fn relation(&self) -> Option<Placement> {
        let [a, b] = self.pair;
        if a == b {
            return Some(Placement::SameCpu);
        }
        self.places.iter().find(|(_, pair)| *pair == self.pair).map(|(relation, _)| *relation)
    }

    /// The CPUs of the many where one process meets several, as far as they are pinned: each another, and
    /// none that of the one, for as long as there are any.
    pub(crate) fn spread(&self, placement: Placement, many: usize) -> Vec<usize> {
        let Some([one, other]) = self.pinned(placement) else {
            return Vec::new();
        };
        if one == other {
            return vec![other; many];
        }
        let rest = self.allowed.iter().copied().filter(|cpu| ![one, other].contains(cpu));
        let rest: Vec<_> = [other].into_iter().chain(rest).collect();
        rest.iter().copied().cycle().take(many).collect()
    }

    /// How many CPUs the processes of a cell have between them.
    pub(crate) fn room(&self, placement: Placement, many: usize) -> usize {
        let Some([one, _]) = self.pinned(placement) else {
            return self.allowed.len();
        };
        let mut cpus = self.spread(placement, many);
        cpus.push(one);
        cpus.sort_unstable();
        cpus.dedup();
        cpus.len()
    }

    /// Why a placement cannot be had here, if it cannot.
    pub(crate) fn absent(&self, placement: Placement) -> Option<String> {
        let there = match placement {
            Placement::SameCpu | Placement::Unpinned => true,
            Placement::CrossCpu => self.two(),
            other => self.places.iter().any(|(relation, _)| *relation == other),
        };
        let what = match placement {
            _ if there => return None,
            Placement::SmtSibling => "are threads of one core",
            Placement::SharedL3 => "of two cores share a last-level cache",
            Placement::CrossL3 => "of one node have last-level caches of their own",
            Placement::CrossNuma => "are on two NUMA nodes",
            _ => {
                return Some(
                    "only one CPU may be used: two processes cannot run on two".to_owned(),
                );
            }
        };
        Some(format!("no two of the CPUs that may be used {what}"))
    }

    /// The CPUs for a placement; `None` leaves both processes to the scheduler.
    ///
    /// `same-cpu` takes the second of the pair: the first of the machine serves most interrupts.
    pub(crate) fn pinned(&self, placement: Placement) -> Option<[usize; 2]> {
        match placement {
            Placement::SameCpu => Some([self.pair[1]; 2]),
            Placement::CrossCpu => Some(self.pair),
            Placement::Unpinned => None,
            // One that is absent is not measured.
            other => {
                let found = self.places.iter().find(|(relation, _)| *relation == other);
                Some(found.map_or(self.pair, |(_, pair)| *pair))
            }
        }
    }

    /// Whether the two processes of a `cross-cpu` cell can run at the same moment.
    pub(crate) fn two(&self) -> bool {
        self.pair[0] != self.pair[1]
    }
}

fn check(named: &[usize], allowed: &[usize]) -> Result<[usize; 2]> {
    let &[a, b] = named else {
        return Err(Usage::error("--cpus takes two numbers, such as --cpus 0,1"));
    };
    if let Some(cpu) = [a, b].into_iter().find(|cpu| !allowed.contains(cpu)) {
        let choice = ranges(allowed);
        return Err(Usage::error(format!(
            "CPU {cpu} does not exist or is not ours to use: choose --cpus from {choice}"
        )));
    }
    Ok([a, b])
}

/// The second CPU, and beside it the nearest that is not its hyper-thread; the first is left to the
/// kernel and to xtask where there are more than two.
fn pick(allowed: &[usize], distance: impl Fn(usize, usize) -> u32) -> [usize; 2] {
    match *allowed {
        [] => [0, 0],
        [only] => [only, only],
        [a, b] => [a, b],
        [_, b, ref rest @ ..] => {
            let a = rest.iter().copied().min_by_key(|&cpu| distance(b, cpu)).unwrap_or(b);
            [a, b]
        }
    }
}

/// 0: the same socket; 1: another; 2: two threads of one core, which are not two CPUs.
fn sysfs_distance(a: usize, b: usize) -> u32 {
    let read = |cpu: usize, file: &str| {
        let path = format!("/sys/devices/system/cpu/cpu{cpu}/topology/{file}");
        fs::read_to_string(Path::new(&path)).unwrap_or_default()
    };
    let same = |file| read(a, file) == read(b, file);
    match (same("thread_siblings_list"), same("physical_package_id")) {
        (true, _) => 2,
        (false, true) => 0,
        (false, false) => 1,
    }
}

/// Where a CPU is, as the kernel tells. A word that is not there is empty, and equal to another that is not.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Where {
    /// The threads of its core.
    core: String,
    /// The CPUs that share its last-level cache.
    cache: String,
    /// Its NUMA node.
    node: String,
}

impl Where {
    fn of(cpu: usize) -> Self {
        let base = format!("/sys/devices/system/cpu/cpu{cpu}");
        let read = |file: &str| {
            let text = fs::read_to_string(format!("{base}/{file}")).unwrap_or_default();
            text.trim().to_owned()
        };
        // The last level is the third, except where there is no third.
        let cache = ["index3", "index2"].map(|it| read(&format!("cache/{it}/shared_cpu_list")));
        let cache = cache.into_iter().find(|it| !it.is_empty());
        let names = fs::read_dir(&base).into_iter().flatten().flatten();
        let mut names = names.map(|it| it.file_name().to_string_lossy().into_owned());
        Self {
            core: read("topology/thread_siblings_list"),
            // A machine that does not tell its caches has one a socket.
            cache: cache.unwrap_or_else(|| read("topology/package_cpus_list")),
            node: names.find(|it| it.starts_with("node")).unwrap_or_default(),
        }
    }
}

/// How two CPUs are related.
fn relation(a: &Where, b: &Where) -> Placement {
    if a.node != b.node {
        Placement::CrossNuma
    } else if !a.core.is_empty() && a.core == b.core {
        Placement::SmtSibling
    } else if a.cache == b.cache {
        Placement::SharedL3
    } else {
        Placement::CrossL3
    }
}

/// A pair for each relation: the chosen one for its own, for the others one with the second of it if there
/// is one.
fn places(
    allowed: &[usize],
    pair: [usize; 2],
    relation: impl Fn(usize, usize) -> Placement,
) -> Vec<(Placement, [usize; 2])> {
    let [a, b] = pair;
    let mut places = Vec::new();
    if a != b {
        places.push((relation(a, b), pair));
    }
    let by_second = allowed.iter().map(|&other| [other, b]);
    let all = allowed.iter().flat_map(|&x| allowed.iter().map(move |&y| [x, y]));
    for [x, y] in by_second.chain(all).filter(|[x, y]| x != y) {
        let found = relation(x, y);
        if !places.iter().any(|(known, _)| *known == found) {
            places.push((found, [x, y]));
        }
    }
    places
}

/// `[0, 1, 2, 5]` as `0-2,5`.
pub(crate) fn ranges(cpus: &[usize]) -> String {
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for &cpu in cpus {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == cpu => *last = cpu,
            _ => runs.push((cpu, cpu)),
        }
    }
    let words = runs.iter().map(|&(first, last)| match first == last {
        true => first.to_string(),
        false => format!("{first}-{last}"),
    });
    words.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_cpu_is_left_alone_where_there_are_three() {
        assert_eq!(pick(&[3], |_, _| 0), [3, 3]);
        assert_eq!(pick(&[0, 1], |_, _| 0), [0, 1]);
        assert_eq!(pick(&[0, 1, 2], |_, _| 0), [2, 1]);
    }

    #[test]
    fn hyper_threads_of_one_core_are_not_a_pair() {
        let distance = |a: usize, b: usize| if a / 2 == b / 2 { 2 } else { 0 };
        assert_eq!(pick(&[0, 2, 3, 4, 5], distance), [4, 2]);
    }

    /// Two nodes, two caches on each, two cores on each of these, two threads each: CPU `2n + t`.
    fn large() -> Cpus {
        let at = |cpu: usize| Where {
            core: format!("c{}", cpu / 2),
            cache: format!("l{}", cpu / 4),
            node: format!("node{}", cpu / 8),
        };
        let allowed: Vec<_> = (0..16).collect();
        let pair = [3, 1];
        let places = places(&allowed, pair, |a, b| relation(&at(a), &at(b)));
        Cpus { allowed, pair, places }
    }

    #[test]
    fn each_relation_has_a_pair_and_what_is_absent_says_so() {
        use Placement::{CrossCpu, CrossL3, CrossNuma, SameCpu, SharedL3, SmtSibling, Unpinned};
        let cpus = large();
        assert_eq!(cpus.relation(), Some(SharedL3));
        let pairs = [SameCpu, CrossCpu, SmtSibling, SharedL3, CrossL3, CrossNuma, Unpinned]
            .map(|it| cpus.pinned(it));
        let pinned = [[1, 1], [3, 1], [0, 1], [3, 1], [4, 1], [8, 1]].map(Some);
        assert_eq!(pairs[..6], pinned);
        assert_eq!(pairs[6], None);
        assert!(Placement::ALL.iter().all(|it| cpus.absent(*it).is_none()));
        let small = Cpus { allowed: vec![0, 1], pair: [0, 1], places: vec![(SharedL3, [0, 1])] };
        assert!(small.absent(SharedL3).is_none());
        for (it, says) in [(SmtSibling, "threads"), (CrossL3, "caches"), (CrossNuma, "NUMA")] {
            assert!(small.absent(it).unwrap().contains(says), "{it}");
        }
    }

    #[test]
    fn the_many_are_spread_over_the_cpus_that_are_not_the_ones() {
        let cpus = Cpus { allowed: vec![0, 1, 2, 3], pair: [2, 1], places: Vec::new() };
        assert_eq!(cpus.spread(Placement::CrossCpu, 4), [1, 0, 3, 1]);
        assert_eq!(cpus.spread(Placement::SameCpu, 2), [1, 1]);
        assert!(cpus.spread(Placement::Unpinned, 3).is_empty());
        let room = |placement, many| cpus.room(placement, many);
        assert_eq!(room(Placement::CrossCpu, 2), 3);
        assert_eq!(room(Placement::CrossCpu, 9), 4);
        assert_eq!((room(Placement::SameCpu, 3), room(Placement::Unpinned, 3)), (1, 4));
    }

    #[test]
    fn a_cpu_that_is_not_there_is_named_with_those_that_are() {
        let err = check(&[0, 9], &[0, 1, 2, 5]).unwrap_err().to_string();
        assert!(err.contains("CPU 9") && err.contains("0-2,5"), "{err}");
        assert!(check(&[1], &[0, 1]).is_err());
        assert_eq!(check(&[1, 1], &[0, 1]).unwrap(), [1, 1]);
    }
}
