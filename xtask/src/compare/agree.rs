//! `compare --agree`: whether two runs of the same thing say the same.

use std::process::ExitCode;

use anyhow::Result;
use ipc_bench_schema::Results;
use ipc_bench_schema::results::{Cell, Interval, Status};
use serde_json::json;

use super::show::cell_name;
use crate::error::Usage;
use crate::report::{headline, ranked_by, terminal, unit_of, with_interval};

/// The share of the cells whose intervals have to overlap.
const ENOUGH: f64 = 0.95;

/// A cell of both runs with the interval of its figure in each.
struct Pair<'a> {
    cell: &'a Cell,
    intervals: [Interval; 2],
}

/// Prints what does not agree, and exits 1 if that is too much.
pub(super) fn run(first: &Results, second: &Results, json: bool) -> Result<ExitCode> {
    let pairs = pairs(first, second);
    if pairs.is_empty() {
        return Err(Usage::error("the two results have no measured cell in common"));
    }
    let apart: Vec<_> =
        pairs.iter().filter(|it| !headline::overlap(&it.intervals[0], &it.intervals[1])).collect();
    let share = 1.0 - apart.len() as f64 / pairs.len() as f64;
    let agree = share >= ENOUGH;
    if json {
        let apart: Vec<_> = apart
            .iter()
            .map(|it| json!({"name": cell_name(&it.cell.key, it.cell.variant), "intervals": it.intervals}))
            .collect();
        let said = json!({
            "schema": "ipc-bench-agree/1", "cells": pairs.len(), "share": share, "agree": agree, "apart": apart,
        });
        terminal::print(&said.to_string());
    } else {
        for it in &apart {
            let unit = unit_of(it.cell.key.topology);
            let [a, b] = it.intervals.map(|it| with_interval(Some(it), unit));
            terminal::print(&format!("{}: {a} and {b}", cell_name(&it.cell.key, it.cell.variant)));
        }
        terminal::print(&format!(
            "The intervals of {} of {} cells overlap, {:.1} %: the two runs {}.",
            pairs.len() - apart.len(),
            pairs.len(),
            share * 100.0,
            if agree { "agree" } else { "do not agree" }
        ));
    }
    Ok(ExitCode::from(u8::from(!agree)))
}

fn pairs<'a>(first: &'a Results, second: &'a Results) -> Vec<Pair<'a>> {
    let ok = |it: &&Cell| it.status == Status::Ok;
    let pair = |cell: &'a Cell| {
        let same = |it: &&Cell| it.key == cell.key && it.variant == cell.variant;
        let other = second.cells.iter().filter(ok).find(same)?;
        Some(Pair { cell, intervals: [ranked_by(cell)?, ranked_by(other)?] })
    };
    first.cells.iter().filter(ok).filter_map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::example;

    fn status(change: impl FnOnce(&mut Results)) -> ExitCode {
        let mut other = example::results();
        change(&mut other);
        run(&example::results(), &other, true).unwrap()
    }

    #[test]
    fn a_run_agrees_with_itself_and_not_with_one_of_another_machine() {
        assert_eq!(status(|_| ()), ExitCode::SUCCESS);
        let slower = |results: &mut Results| {
            let it = results.cells[0].rtt_p50_interval.as_mut().unwrap();
            (it.lo, it.value, it.hi) = (it.lo * 2.0, it.value * 2.0, it.hi * 2.0);
        };
        assert_eq!(status(slower), ExitCode::FAILURE, "one of six is more than one of twenty");
    }

    #[test]
    fn nothing_in_common_is_no_agreement() {
        let mut other = example::results();
        other.cells.clear();
        assert!(run(&example::results(), &other, false).unwrap_err().is::<Usage>());
    }
}
