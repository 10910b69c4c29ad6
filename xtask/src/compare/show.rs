//! A comparison as text and as JSON.

use std::fmt::Write as _;

use comfy_table::{CellAlignment, ContentArrangement, LineStyle, Table, presets};
use ipc_bench_schema::{CellKey, Variant};
use serde_json::{Value, json};

use super::judge::{Comparison, Row, Verdict};
use crate::report::{units, with_interval};

/// A cell's axes in words.
pub(super) fn cell_name(key: &CellKey, variant: Variant) -> String {
    let variant = if variant == Variant::Ours { String::new() } else { format!(" ({variant})") };
    let size = units::size(key.size);
    format!("{}{variant}, {}, {size}, {}, {}", key.mechanism, key.topology, key.placement, key.wait)
}

/// The text.
pub(super) fn text(it: &Comparison) -> String {
    let mut out = format!("before: {}\nafter:  {}\n({})\n", it.names[0], it.names[1], it.method);
    for note in &it.notes {
        let _ = writeln!(out, "note: {note}");
    }
    let is = |verdict: Verdict| it.rows.iter().filter(move |row| row.verdict == verdict);
    let worse: Vec<_> = is(Verdict::Slower).collect();
    let broken = it.rows.iter().filter(|row| matches!(row.verdict, Verdict::Broken(_)));
    section(&mut out, "Slower", &worse);
    for row in broken {
        if let Verdict::Broken(why) = &row.verdict {
            let _ = writeln!(out, "\nBroken: {}: {why}", row.name);
        }
    }
    section(&mut out, "Faster", &is(Verdict::Faster).collect::<Vec<_>>());
    if !it.left_out.is_empty() {
        let _ = writeln!(out, "\nNot compared:");
        let mut reasons: Vec<(&str, Vec<&str>)> = Vec::new();
        for (name, why) in &it.left_out {
            match reasons.iter_mut().find(|it| it.0 == why) {
                Some((_, names)) => names.push(name),
                None => reasons.push((why, vec![name])),
            }
        }
        for (why, names) in reasons {
            let more = names.len() - 1;
            let more = if more == 0 { String::new() } else { format!("; and {more} more") };
            let _ = writeln!(out, "  {why}: {}{more}", names[0]);
        }
    }
    let cells = it.rows.iter().filter(|it| it.cells == 1).count();
    let same = is(Verdict::Same).filter(|it| it.cells == 1).count();
    let _ = writeln!(
        out,
        "\n{} of {cells} cells show no difference beyond their interval and {} % of noise.",
        same,
        units::short(it.noise * 100.0)
    );
    out.push_str(if it.regressed() { "Regression." } else { "No regression." });
    out
}

fn section(out: &mut String, title: &str, rows: &[&Row]) {
    if rows.is_empty() {
        return;
    }
    let mut rows = rows.to_vec();
    // What stands for most cells first, and then what is worst.
    let far = |row: &Row| row.ratio.value.ln().abs();
    rows.sort_by(|a, b| (b.cells > 1).cmp(&(a.cells > 1)).then(far(b).total_cmp(&far(a))));
    let mut table = Table::new();
    let rule = LineStyle::none().fill('─').junction('─');
    table.load_style(presets::NOTHING.header_separator(rule));
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(["cell", "before", "after", "after by before"]);
    for row in rows {
        let name = match row.cells {
            1 => row.name.clone(),
            cells => format!("{}, its {cells} cells together", row.name),
        };
        let ns = |side: usize| row.ns.map_or_else(|| "–".to_owned(), |ns| units::time(ns[side]));
        let ratio = with_interval(Some(row.ratio), |it| format!("{it:.3}"));
        table.add_row([name, ns(0), ns(1), ratio]);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let _ = writeln!(out, "\n{title}:\n{table}");
}

/// The JSON: see docs/BENCHMARKING.md.
pub(super) fn json(it: &Comparison) -> Value {
    let row = |row: &Row| {
        let reason = match &row.verdict {
            Verdict::Broken(why) => Some(why),
            _ => None,
        };
        let ratio = row.ratio.value.is_finite().then_some(row.ratio);
        json!({
            "name": row.name,
            "cells": row.cells,
            "before_ns": row.ns.map(|it| it[0]),
            "after_ns": row.ns.map(|it| it[1]),
            "ratio": ratio,
            "chance": row.chance,
            "verdict": row.verdict.as_str(),
            "reason": reason,
        })
    };
    json!({
        "schema": "ipc-bench-compare/1",
        "before": it.names[0],
        "after": it.names[1],
        "method": it.method,
        "noise": it.noise,
        "regression": it.regressed(),
        "rows": it.rows.iter().map(row).collect::<Vec<_>>(),
        "left_out": it.left_out.iter().map(|(name, why)| json!({"name": name, "reason": why})).collect::<Vec<_>>(),
        "notes": it.notes,
    })
}
