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
}

impl Cpus {
    /// Chooses a pair, or takes the one that the user named.
    pub(crate) fn choose(named: &[usize]) -> Result<Self> {
        let set = sched_getaffinity(None)?;
        let allowed: Vec<_> = (0..CpuSet::MAX_CPU).filter(|&cpu| set.is_set(cpu)).collect();
        let pair =
            if named.is_empty() { pick(&allowed, sysfs_distance) } else { check(named, &allowed)? };
        Ok(Self { allowed, pair })
    }

    /// The CPUs for a placement; `None` leaves both processes to the scheduler.
    ///
    /// `same-cpu` takes the second of the pair: the first of the machine serves most interrupts.
    pub(crate) fn pinned(&self, placement: Placement) -> Option<[usize; 2]> {
        match placement {
            Placement::SameCpu => Some([self.pair[1]; 2]),
            Placement::CrossCpu
            | Placement::SmtSibling
            | Placement::SharedL3
            | Placement::CrossL3
            | Placement::CrossNuma => Some(self.pair),
            Placement::Unpinned => None,
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

    #[test]
    fn a_cpu_that_is_not_there_is_named_with_those_that_are() {
        let err = check(&[0, 9], &[0, 1, 2, 5]).unwrap_err().to_string();
        assert!(err.contains("CPU 9") && err.contains("0-2,5"), "{err}");
        assert!(check(&[1], &[0, 1]).is_err());
        assert_eq!(check(&[1, 1], &[0, 1]).unwrap(), [1, 1]);
    }
}
