//! `report.md`: the report for an issue, a review, or a terminal.

use std::fmt::Write as _;

use ipc_bench_schema::Results;
use ipc_bench_schema::results::Round;

use super::{
    BELOW_ONE, doubts, floor_lines, groups, headline, label, low, ratio, setting, status_word,
    units, with_interval, without_figures,
};
use crate::stats::median;

/// The file.
pub(super) fn render(results: &Results) -> String {
    let mut out = String::from("# Inter-process communication, measured\n\n");
    for answer in headline::answers(results) {
        let _ = writeln!(out, "- {answer}");
    }
    if !results.config.complete {
        out.push_str("\n**The run was stopped before its end: this report is partial.**\n");
    }
    list(&mut out, "Warnings", results.host.warnings.iter().map(|it| escape(it)));
    for group in groups(results) {
        let trips = group.topology.has_latency();
        let _ = writeln!(out, "\n## {}, {}\n", group.form(), setting(group.placement, group.wait));
        let columns: &[&str] = if trips {
            &[
                "mechanism",
                "size",
                "p50",
                "p90",
                "p99",
                "p99.9",
                "CPU/msg",
                "ctx/msg",
                "×raw",
                "×floor",
            ]
        } else {
            &["mechanism", "size", "msgs/s", "bytes/s", "CPU/msg", "ctx/msg", "×raw", "×floor"]
        };
        let _ = writeln!(out, "| {} |", columns.join(" | "));
        let _ = writeln!(out, "|---|{}", "--:|".repeat(columns.len() - 1));
        for cell in &group.cells {
            let show = |value: Option<f64>, unit: fn(f64) -> String| {
                value.map_or_else(|| "–".to_owned(), unit)
            };
            let mut row = vec![label(cell), units::size(cell.key.size)];
            let rtt = cell.rtt_ns.as_ref();
            if trips {
                row.push(with_interval(cell.rtt_p50_interval, units::time));
                row.push(show(rtt.and_then(|it| it.p90), units::time));
                row.push(show(rtt.and_then(|it| it.p99), units::time));
                row.push(show(rtt.and_then(|it| it.p999), units::time));
            } else {
                row.push(with_interval(cell.msgs_per_s_interval, units::per_s));
                row.push(show(cell.bytes_per_s, units::bytes_per_s));
            }
            row.push(show(cell.cpu_ns_per_msg, units::time));
            row.push(show(cell.ctx_switches_per_msg, units::count));
            row.push(ratio(cell.ratio_raw));
            row.push(ratio(cell.ratio_floor));
            let _ = writeln!(out, "| {} |", row.join(" | "));
        }
    }
    if results.cells.iter().any(|it| !low(it).is_empty()) {
        let _ = writeln!(out, "\n⚠ {BELOW_ONE}.");
    }
    let floors = floor_lines(results);
    list(
        &mut out,
        "Floors",
        floors.iter().map(|(name, value)| format!("{name}: {}", escape(value))),
    );
    let doubts = doubts(results);
    list(
        &mut out,
        "Measured, with a doubt",
        doubts.iter().map(|(meaning, cells)| format!("{meaning}: {}", escape(&cells.join("; ")))),
    );
    let reasons = without_figures(results);
    list(
        &mut out,
        "Not measured",
        reasons.iter().map(|(status, reason, cells)| {
            format!("{}: {}: {}", status_word(*status), escape(reason), cells.join(", "))
        }),
    );
    list(
        &mut out,
        "Host and run",
        environment(results).into_iter().map(|(name, value)| format!("{name}: {}", escape(&value))),
    );
    out
}

fn list(out: &mut String, title: &str, lines: impl Iterator<Item = String>) {
    let lines: Vec<_> = lines.collect();
    if !lines.is_empty() {
        let _ = writeln!(out, "\n## {title}\n");
    }
    for line in lines {
        let _ = writeln!(out, "- {line}");
    }
}

/// Keeps what a machine or a peer said from being read as markup.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if "\\`*_[]<>|#".contains(c) {
            out.push('\\');
        }
        out.push(if c == '\n' { ' ' } else { c });
    }
    out
}

/// The machine, the build and the run, a line for each fact that is known.
pub(crate) fn environment(results: &Results) -> Vec<(String, String)> {
    let (host, build, config) = (&results.host, &results.build, &results.config);
    let dirty = if build.dirty == Some(true) { ", with changes not committed" } else { "" };
    let pinned: Vec<_> = config.pinned_cpus.iter().map(usize::to_string).collect();
    let known = [
        ("CPU", host.cpu.clone()),
        ("topology", Some(host.topology.join("; "))),
        ("kernel", host.kernel.clone()),
        ("virtualisation", host.virtualisation.clone()),
        ("clock source", host.clocksource.clone()),
        ("governor", host.governor.clone()),
        ("load at the start", host.load_1m.map(|it| it.to_string())),
        ("memory", host.memory_bytes.map(|it| format!("{} MiB", it >> 20))),
        ("commit", build.commit.as_ref().map(|it| format!("{it}{dirty}"))),
        ("compiler", build.rustc.clone()),
        ("profile", Some(build.profile.clone())),
        ("command", Some(format!("cargo xtask {}", config.command))),
        ("started", Some(config.started.clone())),
        ("took", Some(format!("{:.1} s", config.seconds))),
        ("rounds", Some(config.rounds.to_string())),
        ("time for each variant and round", Some(format!("{} ms", config.budget_ms))),
        ("seed", Some(config.seed.to_string())),
        ("CPUs of the two processes", Some(pinned.join(", "))),
    ];
    let mut lines: Vec<_> =
        known.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
    lines.extend(steadiness(results));
    lines.extend(host.limits.clone());
    lines.extend(host.mitigations.clone());
    lines
}

/// How the machine did while it measured, where the rounds say so.
fn steadiness(results: &Results) -> Vec<(String, String)> {
    let mut lines = Vec::new();
    let cpus: std::collections::BTreeSet<_> =
        results.rounds.iter().flat_map(|it| it.sentinel_ns.iter().map(|it| it.0)).collect();
    for cpu in cpus {
        let of_round =
            |it: &Round| it.sentinel_ns.iter().find(|it| it.0 == cpu).map(|it| it.1 as f64);
        let times: Vec<_> = results.rounds.iter().filter_map(of_round).collect();
        let Some(usual) = median(&times) else { continue };
        let shown: Vec<_> = times.iter().map(|it| format!("{:.2}", it / usual)).collect();
        let name = format!("the same work on CPU {cpu}, by round, 1 is the median");
        lines.push((name, shown.join(" ")));
    }
    let steal: Vec<_> = results.rounds.iter().filter_map(|it| it.steal_share).collect();
    if !steal.is_empty() {
        let shown: Vec<_> = steal.iter().map(|it| format!("{:.1} %", it * 100.0)).collect();
        lines.push(("CPU time that other guests took, by round".to_owned(), shown.join(" ")));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::example;

    #[test]
    fn the_environment_says_how_steady_the_machine_was() {
        let mut results = example::results();
        let round = |ns, steal| Round {
            seconds: 1.0,
            sentinel_ns: vec![(1, ns)],
            steal_share: Some(steal),
        };
        results.rounds = vec![round(1000, 0.0), round(1000, 0.25), round(1100, 0.0)];
        let text = render(&results);
        assert!(
            text.contains("the same work on CPU 1, by round, 1 is the median: 1.00 1.00 1.10"),
            "{text}"
        );
        assert!(text.contains("by round: 0.0 % 25.0 % 0.0 %"), "{text}");
    }

    #[test]
    fn every_group_has_its_table() {
        let text = render(&example::results());
        assert!(text.contains("## ping-pong, on the same CPU, blocking"), "{text}");
        assert!(text.contains("## stream, across CPUs, spinning"));
        assert!(text.contains("two spinners on one CPU"));
        assert!(
            text.contains("drifting: later rounds differ from earlier ones: pipe stream 64 B"),
            "{text}"
        );
    }

    #[test]
    fn tables_have_as_many_columns_as_their_header() {
        let text = render(&example::results());
        let mut columns = 0;
        for line in text.lines() {
            let count = line.matches('|').count();
            if !line.starts_with("|") {
                columns = 0;
            } else if columns == 0 {
                columns = count;
            } else {
                assert_eq!(count, columns, "{line}");
            }
        }
    }

    #[test]
    fn what_a_peer_says_is_no_markup() {
        assert_eq!(escape("<b> | a_b\nc"), "\\<b\\> \\| a\\_b c");
    }
}
