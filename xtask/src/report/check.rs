//! `cargo xtask report --check`: whether results are sound and complete.

use ipc_bench_schema::results::{Cell, Interval, Quantiles, Status};
use ipc_bench_schema::{Results, Variant};

use super::status_word;

/// Everything that is wrong, a line each. The schema was checked by whoever read the file.
pub(super) fn problems(results: &Results) -> Vec<String> {
    let mut problems = Vec::new();
    if !results.config.complete {
        problems.push("the run was stopped before its end (config.complete is false)".to_owned());
    }
    if results.cells.is_empty() {
        problems.push("there is no cell".to_owned());
    }
    let (there, planned) = (results.cells.len(), results.config.planned_cells);
    if there != planned {
        problems.push(format!("{planned} cells were planned and {there} are there"));
    }
    if !results.cells.iter().any(|cell| cell.status == Status::Ok) {
        problems.push("nothing was measured".to_owned());
    }
    let mut seen = std::collections::BTreeSet::new();
    for cell in &results.cells {
        let name = format!("{} ({})", cell.key, cell.variant);
        if !seen.insert((&cell.key, cell.variant)) {
            problems.push(format!("{name}: is there twice"));
        }
        problems.extend(of_cell(cell).into_iter().map(|problem| format!("{name}: {problem}")));
    }
    problems
}

fn of_cell(cell: &Cell) -> Vec<String> {
    let mut problems = Vec::new();
    let reason = cell.reason.as_deref().unwrap_or_default();
    if cell.key.mechanism.is_empty() {
        problems.push("has no mechanism".to_owned());
    }
    if cell.key.size == 0 && !cell.key.topology.is_clocked_each() && cell.status == Status::Ok {
        problems.push("has no payload and nobody who would notice a loss".to_owned());
    }
    match cell.status {
        Status::Ok => problems.extend(of_figures(cell)),
        Status::Unsupported if reason.is_empty() => {
            problems.push("is unsupported and does not say why".to_owned());
        }
        Status::Unsupported => {}
        Status::Failed | Status::Void | Status::NotRun => {
            problems.push(format!("{}: {reason}", status_word(cell.status)));
        }
    }
    problems
}

fn of_figures(cell: &Cell) -> Vec<String> {
    let mut problems = Vec::new();
    let mut require = |name: &str, there: bool| {
        if !there {
            problems.push(format!("is ok and has no {name}"));
        }
    };
    require("rounds", cell.rounds > 0);
    require("msgs_per_s", cell.msgs_per_s.is_some());
    require("bytes_per_s", cell.bytes_per_s.is_some() || cell.key.size == 0);
    require("cpu_ns_per_msg", cell.cpu_ns_per_msg.is_some());
    require("ctx_switches_per_msg", cell.ctx_switches_per_msg.is_some());
    if cell.key.topology.has_latency() {
        require("rtt_ns", cell.rtt_ns.as_ref().is_some_and(|it| it.count > 0));
        require("rtt_p50_interval", cell.rtt_p50_interval.is_some());
    }
    if cell.key.size == 0 && cell.bytes_per_s.is_some() {
        problems.push("has no payload and a rate of it".to_owned());
    }
    let figures =
        [cell.msgs_per_s, cell.bytes_per_s, cell.cpu_ns_per_msg, cell.ctx_switches_per_msg];
    if figures.into_iter().flatten().any(|it| !it.is_finite() || it < 0.0) {
        problems.push("has a figure that is no quantity".to_owned());
    }
    if cell.msgs_per_s.zip(cell.msgs_per_s_interval).is_some_and(|(rate, it)| rate != it.value) {
        problems.push("msgs_per_s is not the value of its interval".to_owned());
    }
    if cell.rtt_ns.as_ref().and_then(|it| it.p50).is_some_and(|it| it <= 0.0) {
        problems.push("a round trip took no time".to_owned());
    }
    let intervals = [
        ("rtt_p50_interval", cell.rtt_p50_interval),
        ("msgs_per_s_interval", cell.msgs_per_s_interval),
        ("ratio_raw", cell.ratio_raw),
        ("ratio_floor", cell.ratio_floor),
    ];
    for (name, it) in intervals {
        if it.is_some_and(|it| !ordered(it)) {
            problems.push(format!("{name} is not ordered lo <= value <= hi"));
        }
    }
    if cell.rtt_ns.as_ref().is_some_and(|it| !monotone(it)) {
        problems.push("the quantiles of rtt_ns go down".to_owned());
    }
    if cell.variant == Variant::Raw && cell.ratio_raw.is_some() {
        problems.push("the raw variant is compared with itself".to_owned());
    }
    problems
}

fn ordered(it: Interval) -> bool {
    0.0 < it.lo && it.lo <= it.value && it.value <= it.hi && it.hi.is_finite()
}

fn monotone(it: &Quantiles) -> bool {
    let known = [it.p50, it.p90, it.p99, it.p999, it.max];
    known.into_iter().flatten().is_sorted()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::example;
    use ipc_bench_schema::Topology;

    /// The problems of the example after something was done to its first cell.
    fn after(change: impl FnOnce(&mut Cell)) -> Vec<String> {
        let mut results = example::results();
        change(&mut results.cells[0]);
        problems(&results)
    }

    #[test]
    fn sound_results_have_no_problem() {
        assert_eq!(problems(&example::results()), Vec::<String>::new());
    }

    #[test]
    fn what_carries_no_payload_needs_no_rate_of_it() {
        let problems = after(|it| (it.key.size, it.bytes_per_s) = (0, None));
        assert_eq!(problems, Vec::<String>::new());
    }

    #[test]
    fn each_kind_of_damage_is_found() {
        let found = [
            after(|it| it.status = Status::Void),
            after(|it| it.status = Status::NotRun),
            after(|it| it.msgs_per_s = None),
            after(|it| it.rtt_ns = None),
            after(|it| it.rounds = 0),
            after(|it| it.cpu_ns_per_msg = Some(f64::NAN)),
            after(|it| it.rtt_p50_interval = Some(Interval { value: 1.0, lo: 2.0, hi: 3.0 })),
            after(|it| it.rtt_ns.as_mut().unwrap().p90 = Some(1.0)),
            after(|it| it.variant = Variant::Raw),
            after(|it| it.msgs_per_s = Some(1.0)),
            after(|it| it.rtt_ns.as_mut().unwrap().p50 = Some(-5.0)),
            after(|it| it.key.size = 0),
            after(|it| {
                (it.key.size, it.bytes_per_s) = (0, None);
                it.key.topology = Topology::Stream;
            }),
        ];
        for problems in found {
            assert!(!problems.is_empty());
        }
        let mut partial = example::results();
        partial.config.complete = false;
        assert_eq!(problems(&partial).len(), 1);
        partial.cells.pop();
        assert_eq!(problems(&partial).len(), 2, "a cell is missing");
        partial.cells.clear();
        assert_eq!(problems(&partial).len(), 4);
    }
}
