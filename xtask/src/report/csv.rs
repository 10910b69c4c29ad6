//! `results.csv`: one row for each cell and variant, for other programs.

use anyhow::{Result, anyhow};
use ipc_bench_schema::Results;
use ipc_bench_schema::results::{Cell, Interval};

use super::{low, status_word};

const HEADER: &[&str] = &[
    "mechanism",
    "crate",
    "variant",
    "topology",
    "size",
    "placement",
    "wait",
    "payload",
    "setting",
    "status",
    "reason",
    "rounds",
    "samples",
    "rtt_p50_ns",
    "rtt_p50_lo_ns",
    "rtt_p50_hi_ns",
    "rtt_p90_ns",
    "rtt_p99_ns",
    "rtt_p999_ns",
    "rtt_max_ns",
    "rtt_mean_ns",
    "msgs_per_s",
    "msgs_per_s_lo",
    "msgs_per_s_hi",
    "bytes_per_s",
    "cpu_ns_per_msg",
    "ctx_switches_per_msg",
    "ratio_raw",
    "ratio_raw_lo",
    "ratio_raw_hi",
    "ratio_floor",
    "ratio_floor_lo",
    "ratio_floor_hi",
    "floor",
    "below_one",
    "flags",
];

/// The file. A figure that was not measured is an empty field.
pub(super) fn render(results: &Results) -> Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(HEADER)?;
    for cell in &results.cells {
        writer.write_record(row(cell))?;
    }
    writer.into_inner().map_err(|err| anyhow!("cannot finish the table: {err}"))
}

fn row(cell: &Cell) -> Vec<String> {
    let key = &cell.key;
    let mut row = vec![
        key.mechanism.clone(),
        cell.krate.clone(),
        cell.variant.to_string(),
        key.topology.to_string(),
        key.size.to_string(),
        key.placement.to_string(),
        key.wait.to_string(),
        key.payload.to_string(),
        key.setting.to_string(),
        status_word(cell.status).to_owned(),
        cell.reason.clone().unwrap_or_default(),
        cell.rounds.to_string(),
    ];
    let rtt = cell.rtt_ns.as_ref();
    row.push(rtt.map_or_else(String::new, |it| it.count.to_string()));
    let quantiles = [
        rtt.and_then(|it| it.p90),
        rtt.and_then(|it| it.p99),
        rtt.and_then(|it| it.p999),
        rtt.and_then(|it| it.max),
        rtt.and_then(|it| it.mean),
    ];
    row.extend(interval(cell.rtt_p50_interval));
    row.extend(quantiles.map(number));
    row.extend(interval(cell.msgs_per_s_interval));
    row.extend([cell.bytes_per_s, cell.cpu_ns_per_msg, cell.ctx_switches_per_msg].map(number));
    row.extend(interval(cell.ratio_raw));
    row.extend(interval(cell.ratio_floor));
    row.push(cell.floor.clone().unwrap_or_default());
    row.push(low(cell).join(" "));
    row.push(cell.flags.iter().map(|it| it.kind.as_str()).collect::<Vec<_>>().join(" "));
    row
}

fn interval(it: Option<Interval>) -> [String; 3] {
    [it.map(|it| it.value), it.map(|it| it.lo), it.map(|it| it.hi)].map(number)
}

fn number(value: Option<f64>) -> String {
    value.map_or_else(String::new, |it| it.to_string())
}

#[cfg(test)]
mod tests {
    use crate::report::example;

    #[test]
    fn every_row_has_every_column() {
        let bytes = super::render(&example::results()).unwrap();
        let mut reader = csv::Reader::from_reader(bytes.as_slice());
        let rows: Vec<_> = reader.records().map(Result::unwrap).collect();
        assert_eq!(rows.len(), example::results().cells.len());
        assert_eq!(&rows[0][0], "pipe");
        let p50 = super::HEADER.iter().position(|it| *it == "rtt_p50_ns").unwrap();
        assert_eq!(rows[0][p50].parse::<f64>().unwrap(), 5100.0);
    }
}
