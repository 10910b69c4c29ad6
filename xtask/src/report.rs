//! The reports: what a person reads, made from `results.json`.

mod check;
mod csv;
pub(crate) mod headline;
pub(crate) mod markdown;
pub(crate) mod terminal;
pub(crate) mod units;

use std::process::ExitCode;

use anyhow::Result;
use ipc_bench_schema::results::{Cell, FlagKind, Interval, Status};
use ipc_bench_schema::{CellKey, Placement, Results, Setting, Topology, Variant, WaitMode};

use crate::cli::ReportOptions;
use crate::html;
use crate::store::{self, Run};

/// The name of the page.
pub(crate) const HTML: &str = "report.html";
/// The name of the report in Markdown.
pub(crate) const MARKDOWN: &str = "report.md";
/// The name of the table for other programs.
pub(crate) const CSV: &str = "results.csv";

/// `cargo xtask report`: writes the reports of a run again, or checks its results.
pub(crate) fn run(options: &ReportOptions) -> Result<ExitCode> {
    let (run, file) = Run::find(options.path.as_deref())?;
    let results = store::read(&file)?;
    if options.check {
        let problems = check::problems(&results);
        for problem in &problems {
            eprintln!("{}: {problem}", file.display());
        }
        if problems.is_empty() {
            terminal::print(&format!("{}: sound and complete", file.display()));
        }
        return Ok(ExitCode::from(u8::from(!problems.is_empty())));
    }
    write(&run, &results)?;
    for name in [HTML, MARKDOWN, CSV] {
        terminal::print(&run.dir.join(name).display().to_string());
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes every report of a run beside its results.
pub(crate) fn write(run: &Run, results: &Results) -> Result<()> {
    run.write(CSV, &csv::render(results)?)?;
    run.write(MARKDOWN, markdown::render(results).as_bytes())?;
    run.write(HTML, html::render(results)?.as_bytes())
}

/// The cells that may be compared with each other: they differ in mechanism and size alone.
#[derive(Debug)]
pub(crate) struct Group<'a> {
    /// Who sends to whom.
    pub(crate) topology: Topology,
    /// Where the processes run.
    pub(crate) placement: Placement,
    /// How they wait.
    pub(crate) wait: WaitMode,
    /// What the topology is set to.
    pub(crate) setting: Setting,
    /// The cells that were measured, in the order of the results.
    pub(crate) cells: Vec<&'a Cell>,
}

/// Every group with a measured cell of a mechanism, the raw variants left out.
pub(crate) fn groups(results: &Results) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for cell in results.cells.iter().filter(|it| is_measured(it)) {
        let CellKey { topology, placement, wait, setting, .. } = cell.key;
        let axes = (topology, placement, wait, setting);
        let known =
            groups.iter_mut().find(|it| (it.topology, it.placement, it.wait, it.setting) == axes);
        match known {
            Some(group) => group.cells.push(cell),
            None => {
                groups.push(Group { topology, placement, wait, setting, cells: vec![cell] });
            }
        }
    }
    groups
}

impl Group<'_> {
    /// The topology with its setting.
    pub(crate) fn form(&self) -> String {
        self.cells.first().map_or_else(String::new, |cell| cell.key.form())
    }
}

/// The figure that cells of a topology are ranked by.
pub(crate) fn ranked_by(cell: &Cell) -> Option<Interval> {
    match cell.key.topology.has_latency() {
        true => cell.rtt_p50_interval,
        false => cell.msgs_per_s_interval,
    }
}

/// How that figure reads.
pub(crate) fn unit_of(topology: Topology) -> fn(f64) -> String {
    if topology.has_latency() { units::time } else { units::per_s }
}

/// What it means that a ratio's whole interval lies below 1 by more than 2 %. (The bare loop calls `syscall()`, and
/// the crates do without that function: so much less they may take.)
pub(crate) const BELOW_ONE: &str =
    "below 1 by more than 2 %, which cannot be: chance, or something was measured wrongly";

/// Whether the whole interval lies below 1 by more than that.
pub(crate) fn below_one(it: Interval) -> bool {
    it.hi < 0.98
}

/// Which ratios of a cell lie below 1.
pub(crate) fn low(cell: &Cell) -> Vec<&'static str> {
    let ratios = [("×raw", cell.ratio_raw), ("×floor", cell.ratio_floor)];
    ratios.into_iter().filter(|(_, it)| it.is_some_and(below_one)).map(|it| it.0).collect()
}

/// A ratio with its interval, marked where that lies below 1.
pub(crate) fn ratio(it: Option<Interval>) -> String {
    let mark = if it.is_some_and(below_one) { " ⚠" } else { "" };
    with_interval(it, units::ratio) + mark
}

fn is_measured(cell: &Cell) -> bool {
    cell.status == Status::Ok && cell.variant != Variant::Raw
}

/// A cell's mechanism, with the variant where it is not ours.
pub(crate) fn label(cell: &Cell) -> String {
    match cell.variant {
        Variant::Ours => cell.key.row(),
        other => format!("{} ({other})", cell.key.row()),
    }
}

/// Cells without figures, one line a reason: its status, the reason, and the cells.
pub(crate) fn without_figures(results: &Results) -> Vec<(Status, String, Vec<String>)> {
    let mut reasons: Vec<(Status, String, Vec<String>)> = Vec::new();
    for cell in results.cells.iter().filter(|it| it.status != Status::Ok) {
        let reason = cell.reason.clone().unwrap_or_else(|| "no reason was given".to_owned());
        let key = &cell.key;
        let mut name = place(cell);
        // The raw variant fares like ours where both have the same reason.
        if cell.variant == Variant::Raw {
            let same = |it: &&Cell| it.key == *key && it.variant != Variant::Raw;
            if results.cells.iter().find(same).is_some_and(|it| it.reason == cell.reason) {
                continue;
            }
            name.push_str(" (raw)");
        }
        match reasons.iter_mut().find(|it| it.0 == cell.status && it.1 == reason) {
            Some((_, _, names)) => names.push(name),
            None => reasons.push((cell.status, reason, vec![name])),
        }
    }
    reasons
}

/// Figures that are there, but with a doubt: what kind of doubt, and the cells, each with what was seen.
pub(crate) fn doubts(results: &Results) -> Vec<(&'static str, Vec<String>)> {
    let kinds = [
        (FlagKind::Unsteady, "not settled: within a run the second half differs from the first"),
        (FlagKind::Drift, "drifting: later rounds differ from earlier ones"),
        (FlagKind::Oversubscribed, "more processes than CPUs: the scheduler is in the figures"),
        (FlagKind::Probe, "reading the clock is a good part of the figure"),
    ];
    let of_kind = |kind: FlagKind| {
        let flagged =
            results.cells.iter().filter(|it| it.variant != Variant::Raw).flat_map(|cell| {
                let flags = cell.flags.iter().filter(move |it| it.kind == kind);
                flags.map(move |it| format!("{}: {}", place(cell), it.text))
            });
        flagged.collect::<Vec<_>>()
    };
    let all = kinds.map(|(kind, meaning)| (meaning, of_kind(kind)));
    all.into_iter().filter(|it| !it.1.is_empty()).collect()
}

/// A cell by its axes, without the variant.
fn place(cell: &Cell) -> String {
    let key = &cell.key;
    format!("{} {} {} {} {}", key.row(), key.form(), units::size(key.size), key.placement, key.wait)
}

/// The name of a status in reports.
pub(crate) fn status_word(status: Status) -> &'static str {
    match status {
        Status::Ok => "ok",
        Status::Unsupported => "unsupported",
        Status::Failed => "failed",
        Status::Void => "void",
        Status::NotRun => "not run",
    }
}

/// A setting of the axes in words: `on the same CPU, blocking`.
pub(crate) fn setting(placement: Placement, wait: WaitMode) -> String {
    let place = match placement {
        Placement::SameCpu => "on the same CPU",
        Placement::CrossCpu => "across CPUs",
        Placement::SmtSibling => "on two threads of one core",
        Placement::SharedL3 => "across CPUs that share a cache",
        Placement::CrossL3 => "across CPUs that share no cache",
        Placement::CrossNuma => "across NUMA nodes",
        Placement::Unpinned => "unpinned",
    };
    let how = match wait {
        WaitMode::Block => "blocking",
        WaitMode::Spin => "spinning",
        WaitMode::Adaptive => "spinning, then blocking",
    };
    format!("{place}, {how}")
}

/// The floors in the order of the report: name, and the measured value.
pub(crate) fn floor_lines(results: &Results) -> Vec<(String, String)> {
    let floors = &results.floors;
    let time =
        |it: &Option<ipc_bench_schema::results::Quantiles>| it.as_ref()?.p50.map(units::time);
    let mut lines = vec![
        ("cache line there and back".to_owned(), time(&floors.cache_line_rtt_ns)),
        ("two cache lines, one a direction".to_owned(), time(&floors.two_line_rtt_ns)),
        ("cheapest system call".to_owned(), time(&floors.null_syscall_ns)),
    ];
    for (placement, it) in &floors.futex_rtt_ns {
        lines.push((format!("futex there and back, {placement}"), it.p50.map(units::time)));
    }
    lines.push(("CPU handed over and back, same-cpu".to_owned(), time(&floors.yield_rtt_ns)));
    lines.push(("clocking a message (the harness)".to_owned(), time(&floors.probe_ns)));
    let copy = floors.copy_bytes_per_s.as_ref().and_then(|it| it.p50);
    lines.push(("copy through shared memory".to_owned(), copy.map(units::bytes_per_s)));
    let known = lines.into_iter().filter_map(|(name, value)| Some((name, value?)));
    let missing =
        floors.missing.iter().map(|(name, why)| (name.clone(), format!("not measured: {why}")));
    known.chain(missing).collect()
}

/// `5.13 µs [4.99–5.20]`, or a dash.
pub(crate) fn with_interval(it: Option<Interval>, unit: fn(f64) -> String) -> String {
    it.map_or_else(
        || "–".to_owned(),
        |it| {
            let (value, ends) = interval_parts(&it, unit);
            format!("{value} [{ends}]")
        },
    )
}

/// `5.13 µs` and `4.99–5.20`; the ends have units of their own only where they differ.
pub(crate) fn interval_parts(it: &Interval, unit: fn(f64) -> String) -> (String, String) {
    let shown = [it.value, it.lo, it.hi].map(unit);
    let parts = shown.each_ref().map(|text| text.split_once(' ').unwrap_or((text, "")));
    let [value, lo, hi] = parts;
    let same = value.1 == lo.1 && value.1 == hi.1;
    let ends =
        if same { format!("{}–{}", lo.0, hi.0) } else { format!("{}–{}", shown[1], shown[2]) };
    (shown[0].clone(), ends)
}

#[cfg(test)]
pub(crate) mod example;
