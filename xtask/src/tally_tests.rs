//! What a cell's rounds amount to.

use ipc_bench_schema::results::Quantiles;
use ipc_bench_schema::{Payload, Placement, Setting, WaitMode};

use super::*;

fn tally(topology: Topology) -> Tally {
    Tally::new(Planned {
        key: CellKey {
            mechanism: "pipe".to_owned(),
            topology,
            size: 100,
            placement: Placement::SameCpu,
            wait: WaitMode::Block,
            payload: Payload::Touch,
            setting: Setting::None,
        },
        krate: "ipc-pipe".to_owned(),
        variants: vec![Variant::Ours, Variant::Raw],
        skip: None,
        rank: 0,
        room: 2,
    })
}

/// A round in which each message took `ns`.
fn sample(variant: Variant, topology: Topology, ns: u64) -> VariantSample {
    VariantSample {
        variant,
        rtt_ns: (topology == Topology::PingPong).then(|| vec![(ns, 1000)]),
        messages: 1000,
        elapsed_ns: 1000 * ns,
        cpu_ns: 1000 * ns / 2,
        ctx_switches: 2000,
        halves_ns: None,
        loads: Vec::new(),
    }
}

fn round(topology: Topology, ours: u64, raw: u64) -> Outcome {
    let samples = vec![sample(Variant::Ours, topology, ours), sample(Variant::Raw, topology, raw)];
    Outcome::Ok { samples }
}

fn floors() -> Floors {
    let at = |p50| Some(Quantiles { p50: Some(p50), ..Quantiles::default() });
    Floors {
        null_syscall_ns: at(100.0),
        futex_rtt_ns: [(Placement::SameCpu, at(500.0).unwrap())].into(),
        copy_bytes_per_s: at(1e12),
        ..Floors::default()
    }
}

#[test]
fn the_ratio_is_paired_by_round() {
    // The machine slows down tenfold on the way; ours stays 10 % behind.
    let mut it = tally(Topology::PingPong);
    for ns in [1000, 2000, 10_000] {
        it.take(round(Topology::PingPong, ns * 11 / 10, ns));
    }
    let cells = it.cells(&floors(), 1);
    let ratio = cells[0].ratio_raw.unwrap();
    assert!((ratio.lo - 1.1).abs() < 0.002 && (ratio.hi - 1.1).abs() < 0.002, "{ratio:?}");
    assert_eq!(cells[1].ratio_raw, None);
    assert_eq!((cells[0].rounds, cells[0].rtt_ns.as_ref().unwrap().count), (3, 3000));
}

#[test]
fn a_stream_has_rates_and_no_round_trips() {
    let mut it = tally(Topology::Stream);
    it.take(round(Topology::Stream, 200, 100));
    let cell = &it.cells(&floors(), 1)[0];
    assert_eq!((cell.rtt_ns.as_ref(), cell.rtt_p50_interval), (None, None));
    assert_eq!((cell.msgs_per_s, cell.bytes_per_s), (Some(5e6), Some(5e8)));
    assert_eq!((cell.cpu_ns_per_msg, cell.ctx_switches_per_msg), (Some(100.0), Some(2.0)));
    assert_eq!(cell.ratio_raw.unwrap().value, 2.0);
    assert!((cell.ratio_floor.unwrap().value - 2.0).abs() < 1e-9);
}

#[test]
fn what_carries_no_payload_moves_no_bytes() {
    let mut it = tally(Topology::PingPong);
    it.planned.key.size = 0;
    it.take(round(Topology::PingPong, 1000, 1000));
    let cell = &it.cells(&floors(), 1)[0];
    assert_eq!((cell.status, cell.bytes_per_s), (Status::Ok, None));
    assert_eq!(cell.ratio_floor.unwrap().value, 2.0);
    assert_eq!(cell.floor.as_deref(), Some("a futex round trip (same-cpu)"));
}

#[test]
fn one_void_round_voids_the_cell() {
    let mut it = tally(Topology::PingPong);
    it.take(round(Topology::PingPong, 1000, 1000));
    it.take(Outcome::Void { reason: "message 7 came twice".to_owned() });
    assert!(it.is_bad() && !it.is_open());
    for cell in it.cells(&floors(), 1) {
        assert_eq!(cell.status, Status::Void);
        assert_eq!(cell.reason.as_deref(), Some("message 7 came twice"));
        assert_eq!((cell.msgs_per_s, cell.rounds), (None, 0));
    }
}

#[test]
fn a_cell_whose_turn_never_came_was_not_run() {
    let cells = tally(Topology::PingPong).cells(&floors(), 1);
    assert!(cells.iter().all(|cell| cell.status == Status::NotRun && cell.reason.is_some()));
}

#[test]
fn a_variant_without_a_sample_is_unsupported() {
    let mut it = tally(Topology::Stream);
    it.take(Outcome::Ok { samples: vec![sample(Variant::Ours, Topology::Stream, 100)] });
    let cells = it.cells(&floors(), 1);
    assert_eq!((cells[0].status, cells[1].status), (Status::Ok, Status::Unsupported));
    assert_eq!(cells[0].ratio_raw, None);
}

#[test]
fn a_sample_of_nothing_is_a_failure() {
    for samples in [Vec::new(), vec![sample(Variant::Ours, Topology::Stream, 0)]] {
        let mut it = tally(Topology::Stream);
        it.take(Outcome::Ok { samples });
        assert!(it.is_bad());
    }
}

#[test]
fn beating_the_floor_raises_the_alarm() {
    let mut it = tally(Topology::PingPong);
    it.take(round(Topology::PingPong, 400, 500));
    let alarms = alarms(&it.cells(&floors(), 1));
    assert_eq!(alarms.len(), 2, "{alarms:?}");
    let mut it = tally(Topology::PingPong);
    it.take(round(Topology::PingPong, 600, 610));
    assert!(super::alarms(&it.cells(&floors(), 1)).is_empty());
}
