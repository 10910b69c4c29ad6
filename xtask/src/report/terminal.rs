//! The table at the end of a run.

use std::fmt::Write as _;
use std::io::Write as _;

use comfy_table::{Cell as Field, CellAlignment, ContentArrangement, LineStyle, Table, presets};
use ipc_bench_schema::results::Cell;
use ipc_bench_schema::{Results, Topology};

use super::{
    BELOW_ONE, Group, doubts, floor_lines, groups, headline, label, low, ratio, setting,
    status_word, units, with_interval, without_figures,
};

/// Prints to standard output; nobody is left to tell when it is closed.
pub(crate) fn print(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// Everything that is shown on the terminal.
pub(crate) fn render(results: &Results) -> String {
    let mut out = String::new();
    for group in groups(results) {
        let _ = writeln!(out, "{}, {}", group.form(), setting(group.placement, group.wait));
        let _ = writeln!(out, "{}\n", table(&group));
    }
    for answer in headline::answers(results) {
        let _ = writeln!(out, "{answer}");
    }
    for (meaning, cells) in doubts(results) {
        let _ = writeln!(out, "\n{} figures {meaning}; report.md has them all", cells.len());
    }
    let reasons = without_figures(results);
    if !reasons.is_empty() {
        out.push_str("\nNot measured:\n");
    }
    for (status, reason, cells) in reasons {
        let shown = cells.iter().take(3).map(String::as_str).collect::<Vec<_>>().join(", ");
        let more = match cells.len().saturating_sub(3) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let _ = writeln!(out, "  {}: {reason}: {shown}{more}", status_word(status));
    }
    out.push_str("\nFloors, what the machine itself charges:\n");
    for (name, value) in floor_lines(results) {
        let _ = writeln!(out, "  {name}: {value}");
    }
    if results.cells.iter().any(|it| !low(it).is_empty()) {
        let _ = writeln!(out, "⚠ {BELOW_ONE}");
    }
    for warning in &results.host.warnings {
        let _ = writeln!(out, "warning: {warning}");
    }
    out
}

fn table(group: &Group<'_>) -> Table {
    let trips = group.topology.has_latency();
    let mut table = Table::new();
    let rule = LineStyle::none().fill('─').junction('─');
    table.load_style(presets::NOTHING.header_separator(rule));
    // A pipe or a file has no width to fit.
    table.set_content_arrangement(ContentArrangement::Dynamic);
    let mut header = vec!["mechanism", "size"];
    if trips {
        let per_s = if group.topology == Topology::Setup { "times/s" } else { "round trips/s" };
        header.extend(["p50", "p99", per_s]);
    } else {
        header.extend(["msgs/s", "bytes/s"]);
    }
    header.extend(["CPU/msg", "ctx/msg", "×raw", "×floor"]);
    let last = header.len();
    table.set_header(header);
    for cell in &group.cells {
        table.add_row(row(cell, trips));
    }
    for column in table.column_iter_mut().skip(1).take(last) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

fn row(cell: &Cell, trips: bool) -> Vec<Field> {
    let dash = || "–".to_owned();
    let show = |value: Option<f64>, unit: fn(f64) -> String| value.map_or_else(dash, unit);
    let mut row = vec![label(cell), units::size(cell.key.size)];
    if trips {
        row.push(with_interval(cell.rtt_p50_interval, units::time));
        row.push(show(cell.rtt_ns.as_ref().and_then(|it| it.p99), units::time));
        row.push(show(cell.msgs_per_s, units::per_s));
    } else {
        row.push(with_interval(cell.msgs_per_s_interval, units::per_s));
        row.push(show(cell.bytes_per_s, units::bytes_per_s));
    }
    row.push(show(cell.cpu_ns_per_msg, units::time));
    row.push(show(cell.ctx_switches_per_msg, units::count));
    row.push(ratio(cell.ratio_raw));
    row.push(show(cell.ratio_floor.map(|it| it.value), units::ratio));
    row.into_iter().map(Field::new).collect()
}

#[cfg(test)]
mod tests {
    use crate::report::example;

    #[test]
    fn the_table_has_what_was_measured_and_why_the_rest_was_not() {
        let text = super::render(&example::results());
        for part in [
            "ping-pong, on the same CPU, blocking",
            "5.10 µs [4.90–5.30]",
            "1.02 [1.00–1.05]",
            "two spinners",
            "cheapest system call: 60.0 ns",
            "warning: ",
        ] {
            assert!(text.contains(part), "{part} in\n{text}");
        }
    }
}
