//! The full table: there without a script, filtered and sorted by one.

use std::fmt::Write as _;

use ipc_bench_schema::results::{Cell, Interval, Status};
use ipc_bench_schema::{Results, Variant};

use super::escape;
use crate::report::{BELOW_ONE, below_one, interval_parts, units};

/// Title of a column and what it means.
const COLUMNS: [(&str, &str); 14] = [
    ("mechanism", "Who carries the message"),
    ("code", "ours: the crate of this workspace; raw: the same system calls in a bare libc loop"),
    ("topology", "Who sends to whom"),
    ("size", "Bytes of a message; a notification has none"),
    ("placement", "Where the two processes run"),
    ("wait", "What a process does while it waits"),
    ("p50", "Median round trip with its 95 % interval over the rounds"),
    ("p99", "Ninety-nine of a hundred round trips are faster"),
    ("msgs/s", "Messages a second; in ping-pong, round trips; in setup, times created and ended"),
    ("bytes/s", "Payload a second, one way"),
    ("CPU/msg", "CPU time of both sides for a message"),
    ("ctx/msg", "Context switches of both sides for a message"),
    ("×raw", "Time of a message by that of the bare system calls"),
    ("×floor", "Time of a message by what the machine itself charges"),
];

/// The table with a row for each measured cell and variant.
pub(super) fn render(results: &Results) -> String {
    let mut out = String::from("<table id=\"all\"><thead><tr>");
    for (title, meaning) in COLUMNS {
        let _ = write!(out, "<th scope=\"col\" title=\"{meaning}\">{title}</th>");
    }
    out.push_str("</tr></thead><tbody>");
    for cell in results.cells.iter().filter(|cell| cell.status == Status::Ok) {
        row(&mut out, cell);
    }
    out.push_str("</tbody></table>");
    out
}

fn row(out: &mut String, cell: &Cell) {
    let key = &cell.key;
    let mechanism = escape(&key.row());
    let raw = if cell.variant == Variant::Raw { " class=\"raw\"" } else { "" };
    let _ = write!(
        out,
        "<tr{raw} data-m=\"{mechanism}\" data-v=\"{}\" data-t=\"{}\" data-k=\"{}\" data-s=\"{}\" data-p=\"{}\" \
         data-w=\"{}\"><th scope=\"row\">{mechanism}</th>",
        cell.variant, key.topology, key.setting, key.size, key.placement, key.wait
    );
    let _ = write!(out, "<td>{}</td><td>{}</td>", cell.variant, key.form());
    figure(out, Some(key.size as f64), &units::size(key.size));
    let _ = write!(out, "<td>{}</td><td>{}</td>", key.placement, key.wait);
    let rtt = cell.rtt_ns.as_ref();
    interval(out, cell.rtt_p50_interval, units::time);
    plain(out, rtt.and_then(|it| it.p99), units::time);
    interval(out, cell.msgs_per_s_interval, units::per_s);
    plain(out, cell.bytes_per_s, units::bytes_per_s);
    plain(out, cell.cpu_ns_per_msg, units::time);
    plain(out, cell.ctx_switches_per_msg, units::count);
    ratio(out, cell.ratio_raw);
    ratio(out, cell.ratio_floor);
    out.push_str("</tr>");
}

fn plain(out: &mut String, value: Option<f64>, unit: fn(f64) -> String) {
    figure(out, value, &value.map_or_else(|| "–".to_owned(), unit));
}

fn interval(out: &mut String, it: Option<Interval>, unit: fn(f64) -> String) {
    let shown = it.map_or_else(
        || "–".to_owned(),
        |it| {
            let (value, ends) = interval_parts(&it, unit);
            format!("{value} <small>{ends}</small>")
        },
    );
    figure(out, it.map(|it| it.value), &shown);
}

/// An interval, marked where it lies below 1.
fn ratio(out: &mut String, it: Option<Interval>) {
    if !it.is_some_and(below_one) {
        return interval(out, it, units::ratio);
    }
    let mut shown = String::new();
    interval(&mut shown, it, units::ratio);
    out.push_str(&shown.replacen(
        "<td class=\"n\"",
        &format!("<td class=\"n low\" title=\"{BELOW_ONE}\""),
        1,
    ));
}

/// A cell with the number that it is sorted by.
fn figure(out: &mut String, value: Option<f64>, shown: &str) {
    let sorted = value.map_or_else(String::new, |it| format!(" data-n=\"{it}\""));
    let _ = write!(out, "<td class=\"n\"{sorted}>{shown}</td>");
}
