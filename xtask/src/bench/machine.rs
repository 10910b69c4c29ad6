//! How the machine did while a round went by: whether others took its CPUs.

use std::fs;

use ipc_bench_schema::results::Round;

/// Above this share of stolen time a reader is warned.
const STOLEN: f64 = 0.01;
/// The same work may take so much longer in one round than in another before a reader is warned.
const SPREAD: f64 = 1.05;

/// What some CPUs have done since the machine was started, in ticks of the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ticks {
    stolen: u64,
    all: u64,
}

impl Ticks {
    /// Reads `/proc/stat`; `None` where it does not tell.
    pub(super) fn now(cpus: &[usize]) -> Option<Self> {
        Self::of(&fs::read_to_string("/proc/stat").ok()?, cpus)
    }

    fn of(stat: &str, cpus: &[usize]) -> Option<Self> {
        let mut sum = Self { stolen: 0, all: 0 };
        for line in stat.lines() {
            let mut words = line.split_ascii_whitespace();
            let cpu = words.next().and_then(|it| it.strip_prefix("cpu")?.parse::<usize>().ok());
            if !cpu.is_some_and(|cpu| cpus.contains(&cpu)) {
                continue;
            }
            // user nice system idle iowait irq softirq steal; what guests take is in user and nice.
            let ticks: Vec<u64> = words.take(8).map_while(|it| it.parse().ok()).collect();
            sum.stolen += ticks.get(7)?;
            sum.all += ticks.iter().sum::<u64>();
        }
        (sum.all > 0).then_some(sum)
    }

    /// The share of the time since `earlier` that the hypervisor gave to others.
    pub(super) fn stolen_since(self, earlier: Self) -> Option<f64> {
        let all = self.all.checked_sub(earlier.all).filter(|all| *all > 0)?;
        Some(self.stolen.saturating_sub(earlier.stolen) as f64 / all as f64)
    }
}

/// What the rounds say of the machine that a reader must know.
pub(super) fn warnings(rounds: &[Round]) -> Vec<String> {
    let mut warnings = Vec::new();
    let shares = rounds.iter().enumerate().filter_map(|(i, it)| Some((i + 1, it.steal_share?)));
    let worst = shares.clone().max_by(|a, b| a.1.total_cmp(&b.1)).filter(|it| it.1 > STOLEN);
    if let Some((round, share)) = worst {
        let many = shares.filter(|it| it.1 > STOLEN).count();
        warnings.push(format!(
            "the hypervisor gave more than 1 % of the CPUs to others in {many} of {} rounds ({:.1} % in \
             round {round})",
            rounds.len(),
            100.0 * share
        ));
    }
    let mut cpus: Vec<_> =
        rounds.iter().flat_map(|it| it.sentinel_ns.iter().map(|it| it.0)).collect();
    cpus.sort_unstable();
    cpus.dedup();
    for cpu in cpus {
        let times = rounds.iter().flat_map(|it| &it.sentinel_ns).filter(|it| it.0 == cpu);
        let times = times.map(|it| it.1 as f64);
        let least = times.clone().fold(f64::INFINITY, f64::min);
        let most = times.fold(0.0, f64::max);
        if most > least * SPREAD {
            warnings.push(format!(
                "the same piece of work took {:.0} % longer in one round than in another on CPU {cpu}: \
                 something disturbed it, or its frequency changed",
                100.0 * (most / least - 1.0)
            ));
        }
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str = "cpu  3 0 3 30 0 0 0 6 0 0\ncpu0 1 0 1 10 0 0 0 2 0 0\n\
                        cpu1 2 0 2 20 0 0 0 4 0 0\nintr 5\n";

    #[test]
    fn the_ticks_of_the_cpus_in_use_are_added_up() {
        assert_eq!(Ticks::of(STAT, &[1]), Some(Ticks { stolen: 4, all: 28 }));
        assert_eq!(Ticks::of(STAT, &[0, 1]), Some(Ticks { stolen: 6, all: 42 }));
        assert_eq!(Ticks::of(STAT, &[7]), None);
        assert_eq!(Ticks::of("cpu0 1 2 3\n", &[0]), None, "a kernel that tells no steal time");
        let (before, after) = (Ticks { stolen: 4, all: 100 }, Ticks { stolen: 5, all: 150 });
        assert_eq!(after.stolen_since(before), Some(0.02));
        assert_eq!(before.stolen_since(before), None);
        assert!(Ticks::now(&[0]).is_some());
    }

    #[test]
    fn a_machine_that_was_disturbed_is_told_of() {
        let round = |ns, steal| Round {
            seconds: 1.0,
            sentinel_ns: vec![(0, 1000), (1, ns)],
            steal_share: Some(steal),
        };
        assert!(warnings(&[round(1000, 0.0), round(1040, 0.005)]).is_empty());
        assert!(warnings(&[]).is_empty());
        let said = warnings(&[round(1000, 0.0), round(1300, 0.2)]);
        assert_eq!(said.len(), 2, "{said:?}");
        assert!(said[0].contains("1 of 2 rounds (20.0 % in round 2)"), "{}", said[0]);
        assert!(said[1].contains("30 % longer") && said[1].contains("CPU 1"), "{}", said[1]);
    }
}
