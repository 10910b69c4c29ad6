//! Small results with something of everything, for the tests of the reports.

use ipc_bench_schema::results::{
    Build, Cell, Config, Flag, FlagKind, Floors, Host, Interval, Quantiles, Status,
};
use ipc_bench_schema::{
    CellKey, Payload, Placement, Results, SCHEMA, Setting, Topology, Variant, WaitMode,
};

/// The results.
pub(crate) fn results() -> Results {
    let mut cells = vec![
        trip("pipe", 5100.0, Placement::SameCpu),
        trip("fifo", 5200.0, Placement::SameCpu),
        trip("pipe", 71_000.0, Placement::CrossCpu),
        stream("pipe", 2e6),
        stream("fifo", 1e6),
    ];
    cells[3].flags = vec![Flag {
        kind: FlagKind::Drift,
        text: "the later rounds took 7 % longer than the earlier".to_owned(),
    }];
    let mut raw = trip("pipe", 5000.0, Placement::SameCpu);
    (raw.variant, raw.ratio_raw) = (Variant::Raw, None);
    cells.insert(1, raw);
    let mut skipped = blank("pipe", Topology::PingPong, Placement::SameCpu, WaitMode::Spin);
    skipped.status = Status::Unsupported;
    skipped.reason = Some("two spinners on one CPU measure the time slice".to_owned());
    cells.push(skipped);
    let at = |p50| Some(Quantiles { p50: Some(p50), count: 100, ..Quantiles::default() });
    Results {
        schema: SCHEMA.to_owned(),
        host: Host {
            cpu: Some("A CPU </script><b>".to_owned()),
            warnings: vec!["this is a virtual machine".to_owned()],
            ..Host::default()
        },
        build: Build { profile: "release".to_owned(), ..Build::default() },
        config: Config {
            rounds: 5,
            complete: true,
            planned_cells: cells.len(),
            ..Config::default()
        },
        floors: Floors {
            null_syscall_ns: at(60.0),
            copy_bytes_per_s: at(1e10),
            ..Floors::default()
        },
        mechanisms: Vec::new(),
        rounds: Vec::new(),
        cells,
    }
}

fn blank(mechanism: &str, topology: Topology, placement: Placement, wait: WaitMode) -> Cell {
    let mechanism = mechanism.to_owned();
    Cell {
        key: CellKey {
            mechanism,
            topology,
            size: 64,
            placement,
            wait,
            payload: Payload::Touch,
            setting: Setting::None,
        },
        krate: "ipc-pipe".to_owned(),
        variant: Variant::Ours,
        status: Status::Ok,
        reason: None,
        rounds: 5,
        rtt_ns: None,
        rtt_p50_interval: None,
        msgs_per_s: Some(1e5),
        msgs_per_s_interval: Some(Interval { value: 1e5, lo: 9e4, hi: 1.1e5 }),
        bytes_per_s: Some(6.4e6),
        cpu_ns_per_msg: Some(4000.0),
        ctx_switches_per_msg: Some(2.0),
        ratio_raw: Some(Interval { value: 1.02, lo: 1.0, hi: 1.05 }),
        ratio_floor: Some(Interval { value: 2.5, lo: 2.4, hi: 2.6 }),
        floor: Some("a futex round trip".to_owned()),
        per_round_ns: Vec::new(),
        flags: Vec::new(),
        loads: Vec::new(),
        probe_share: None,
        histogram: Vec::new(),
    }
}

fn trip(mechanism: &str, p50: f64, placement: Placement) -> Cell {
    let mut cell = blank(mechanism, Topology::PingPong, placement, WaitMode::Block);
    cell.rtt_p50_interval = Some(Interval { value: p50, lo: p50 - 200.0, hi: p50 + 200.0 });
    cell.rtt_ns = Some(Quantiles {
        p50: Some(p50),
        p90: Some(p50 * 1.1),
        p99: Some(p50 * 1.5),
        p999: None,
        max: Some(p50 * 20.0),
        mean: Some(p50 * 1.05),
        count: 5000,
    });
    let near = p50 as u64;
    cell.histogram = vec![(near - 100, 2000), (near, 2000), (near + 500, 900), (near * 20, 100)];
    cell
}

fn stream(mechanism: &str, rate: f64) -> Cell {
    let mut cell = blank(mechanism, Topology::Stream, Placement::CrossCpu, WaitMode::Spin);
    cell.msgs_per_s = Some(rate);
    cell.msgs_per_s_interval = Some(Interval { value: rate, lo: rate * 0.95, hi: rate * 1.05 });
    cell.bytes_per_s = Some(rate * 64.0);
    cell
}
