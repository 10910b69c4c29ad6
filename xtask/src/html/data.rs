//! The figures as the page's script reads them.

use ipc_bench_schema::Results;
use ipc_bench_schema::results::{Cell, Load, Status};
use serde_json::{Value, json};

use crate::report::low;

/// The measured cells as JSON that may stand in a `<script>` element.
pub(super) fn json(results: &Results) -> String {
    let measured = results.cells.iter().filter(|cell| cell.status == Status::Ok);
    let cells: Vec<_> = measured.map(of_cell).collect();
    // In JSON these occur in strings only; escaped, no text can close the element or open another.
    let text = json!({ "cells": cells }).to_string();
    text.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
}

fn of_cell(cell: &Cell) -> Value {
    let key = &cell.key;
    json!({
        "m": key.row(),
        "v": cell.variant.as_str(),
        "t": key.topology.as_str(),
        "k": key.setting.to_string(),
        "s": key.size,
        "p": key.placement.as_str(),
        "w": key.wait.as_str(),
        "rounds": cell.rounds,
        "p50": cell.rtt_p50_interval,
        "p99": cell.rtt_ns.as_ref().and_then(|it| it.p99),
        "rate": cell.msgs_per_s_interval,
        "bytes": cell.bytes_per_s,
        "cpu": cell.cpu_ns_per_msg,
        "raw": cell.ratio_raw,
        "floor": cell.ratio_floor,
        "floorIs": cell.floor,
        "low": low(cell),
        "flags": cell.flags.iter().map(|it| &it.text).collect::<Vec<_>>(),
        "loads": cell.loads.iter().map(of_load).collect::<Vec<_>>(),
        "curve": curve(&cell.histogram),
    })
}

fn of_load(load: &Load) -> Value {
    json!({
        "percent": load.percent,
        "offered": load.offered_per_s,
        "p50": load.latency_ns.p50,
        "p99": load.latency_ns.p99,
    })
}

/// The percentile curve: pairs of `-log10(1 - quantile)` and nanoseconds, as far as there are ten
/// samples beyond.
fn curve(histogram: &[(u64, u64)]) -> Vec<(f64, u64)> {
    let total: u64 = histogram.iter().map(|(_, count)| count).sum();
    let mut points = Vec::new();
    let mut buckets = histogram.iter();
    let (mut value, mut below) = (0, 0);
    for step in 0..=60 {
        let nines = f64::from(step) / 10.0;
        let beyond = total as f64 / 10f64.powf(nines);
        if beyond < 10.0 {
            break;
        }
        let rank = (total as f64 - beyond).max(1.0);
        while (below as f64) < rank {
            let Some((next, count)) = buckets.next() else { break };
            (value, below) = (*next, below + count);
        }
        points.push((nines, value));
    }
    points
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_rises_and_ends_where_luck_begins() {
        let histogram: Vec<_> = (1..=1000).map(|value| (value, 1)).collect();
        let points = curve(&histogram);
        assert_eq!((points[0], points[10]), ((0.0, 1), (1.0, 900)));
        assert_eq!(points.last(), Some(&(2.0, 990)));
        assert!(points.is_sorted_by_key(|it| it.1));
        assert!(curve(&[]).is_empty() && curve(&[(5, 3)]).is_empty());
    }
}
