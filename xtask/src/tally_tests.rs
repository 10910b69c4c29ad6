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
    for _ in 0..8 {
        assert!(alarms(&it.cells(&floors(), 1)).is_empty(), "there are few rounds");
        it.take(round(Topology::PingPong, 400, 500));
    }
    let alarms = alarms(&it.cells(&floors(), 1));
    assert_eq!(alarms.len(), 2, "{alarms:?}");
    let mut it = tally(Topology::PingPong);
    for _ in 0..8 {
        it.take(round(Topology::PingPong, 600, 610));
    }
    assert!(super::alarms(&it.cells(&floors(), 1)).is_empty());
}

#[test]
fn an_open_loop_has_its_latency_at_half_of_the_saturation_and_all_loads() {
    let mut it = tally(Topology::OpenLoop);
    for round in 1..=3 {
        let mut outcome = round_of_loads(round);
        if let Outcome::Ok { samples } = &mut outcome {
            assert_eq!(samples[0].rtt_ns, None);
        }
        it.take(outcome);
    }
    let cell = &it.cells(&floors(), 1)[0];
    assert_eq!(cell.status, Status::Ok);
    assert_eq!(cell.rtt_p50_interval.unwrap().value, 500.0);
    assert_eq!(cell.rtt_ns.as_ref().unwrap().count, 3000);
    // The rate is that of the stream that found the saturation: 100 ns a message.
    assert_eq!(cell.msgs_per_s, Some(1e7));
    let loads: Vec<_> = cell.loads.iter().map(|it| (it.percent, it.offered_per_s)).collect();
    assert_eq!(loads, [(10, 2e6), (50, 1e7)]);
    let [light, half] = &cell.loads[..] else { panic!("two loads") };
    assert_eq!(light.p50_interval.unwrap().value, 200.0);
    assert_eq!(light.latency_ns.p99, None, "thirty samples have no p99");
    assert_eq!((half.latency_ns.p50, half.p99_interval.unwrap().value), (Some(500.0), 500.0));
}

/// Round number `round` of an open loop: 200 ns at a tenth of the saturation, 500 at half of it.
fn round_of_loads(round: u64) -> Outcome {
    let mut ours = sample(Variant::Ours, Topology::OpenLoop, 100);
    let load = |percent: u32, ns, count| LoadSample {
        percent,
        offered_per_s: 1e5 * f64::from(percent) * round as f64,
        achieved_per_s: 1e5 * f64::from(percent),
        latency_ns: vec![(ns, count)],
    };
    ours.loads = vec![load(10, 200, 10), load(50, 500, 1000)];
    Outcome::Ok { samples: vec![ours] }
}

#[test]
fn doubts_about_figures_are_flags_of_the_cell() {
    use ipc_bench_schema::results::FlagKind;
    let mut it = tally(Topology::FanIn);
    (it.planned.key.setting, it.planned.room) = (Setting::Many(3), 2);
    for round in 0..10 {
        let mut slower = sample(Variant::Ours, Topology::FanIn, 100 + 10 * round);
        slower.halves_ns = Some([100.0, 150.0]);
        it.take(Outcome::Ok { samples: vec![slower] });
    }
    let cell = &it.cells(&floors(), 1)[0];
    let kinds: Vec<_> = cell.flags.iter().map(|it| it.kind).collect();
    assert_eq!(kinds, [FlagKind::Oversubscribed, FlagKind::Unsteady, FlagKind::Drift]);
    let calm = tally(Topology::PingPong).cells(&floors(), 1).remove(0);
    assert!(calm.flags.is_empty());
}
