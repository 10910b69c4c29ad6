//! The plan, for three mechanisms that do not exist.

use clap::Parser as _;

use super::names::edits;
use super::*;
use crate::cli::{Cli, Command};

fn options(args: &str) -> BenchOptions {
    let words = ["xtask", "bench"].into_iter().chain(args.split_whitespace());
    match Cli::try_parse_from(words).unwrap().command {
        Command::Bench(options) => *options,
        _ => unreachable!("bench was asked for"),
    }
}

fn info() -> PeerInfo {
    let mechanism = |id: &str| MechanismInfo {
        id: id.to_owned(),
        krate: "ipc-pipe".to_owned(),
        summary: String::new(),
        variants: vec![Variant::Ours, Variant::Raw],
        topologies: vec![Topology::PingPong, Topology::Stream],
        absent: Vec::new(),
        apart: Vec::new(),
        payloads: vec![Payload::Touch],
        max_message: None,
        caps: Vec::new(),
    };
    PeerInfo {
        debug_assertions: false,
        mechanisms: ["pipe", "pipe-packet", "fifo"].map(mechanism).into(),
    }
}

fn cpus(pair: [usize; 2]) -> Cpus {
    let mut allowed = pair.to_vec();
    allowed.dedup();
    let places = if allowed.len() == 2 { vec![(Placement::SharedL3, pair)] } else { Vec::new() };
    Cpus { allowed, pair, places }
}

#[test]
fn without_axes_the_plan_is_the_curated_one_for_every_mechanism() {
    for args in ["--quick", "", "pipe fifo pipe-packet"] {
        let cells = plan(&options(args), &info(), &cpus([0, 1])).unwrap();
        // The mechanisms of the example take part in ping-pong and stream.
        assert_eq!(cells.len(), 3 * 10, "{args}");
        assert!(cells.iter().all(|it| it.key.payload == Payload::Touch));
        assert!(cells.iter().all(|it| it.skip.is_none()));
        let first = cells.iter().filter(|it| it.rank == 0).count();
        assert_eq!(first, 3 * 2, "each mechanism's latency is never left out");
    }
}

#[test]
fn an_axis_that_is_named_is_combined_with_all_others_and_never_left_out() {
    let cells = plan(&options("--quick --size 64"), &info(), &cpus([0, 1])).unwrap();
    assert_eq!(cells.len(), 3 * 2 * 2 * 2);
    assert!(cells.iter().all(|it| it.rank == 0));
    let runnable = cells.iter().filter(|it| it.skip.is_none()).count();
    assert_eq!(runnable, 3 * 2 * 3);
}

#[test]
fn topologies_with_settings_have_those_that_are_named() {
    let mut info = info();
    for it in &mut info.mechanisms {
        it.topologies = Topology::ALL.to_vec();
    }
    let forms = |args: &str| {
        let cells = plan(&options(args), &info, &cpus([0, 1])).unwrap();
        let mut forms: Vec<_> = cells.into_iter().map(|it| it.key.form()).collect();
        forms.dedup();
        forms
    };
    let args = "pipe --placement cross-cpu --wait block --topology idle-gap,open-loop,fan-in";
    assert_eq!(
        forms(args),
        [
            "idle-gap:0us",
            "idle-gap:50us",
            "idle-gap:1ms",
            "idle-gap:10ms",
            "fan-in:3",
            "open-loop:fixed",
            "open-loop:poisson"
        ]
    );
    assert_eq!(
        forms(&format!("{args} --setting 5,poisson")),
        [
            "idle-gap:0us",
            "idle-gap:50us",
            "idle-gap:1ms",
            "idle-gap:10ms",
            "fan-in:5",
            "open-loop:poisson"
        ]
    );
}

#[test]
fn who_takes_no_part_among_several_says_why_and_is_not_run() {
    let mut info = info();
    info.mechanisms[0].topologies.push(Topology::FanIn);
    info.mechanisms[1].apart = vec![(Topology::FanIn, "it is a line of two".to_owned())];
    let cells = plan(&options(""), &info, &cpus([0, 1])).unwrap();
    let fans: Vec<_> = cells.iter().filter(|it| it.key.topology == Topology::FanIn).collect();
    assert_eq!(fans.len(), 2, "the third has nothing to do with it");
    assert_eq!(fans[0].skip, None);
    assert_eq!(fans[1].skip.as_deref(), Some("it is a line of two"));
    assert_eq!((fans[0].room, fans[0].key.processes()), (2, 4));
}

#[test]
fn more_spinners_than_cpus_are_not_run() {
    let mut info = info();
    info.mechanisms[0].topologies = vec![Topology::FanIn];
    let args = "pipe --topology fan-in --wait spin --placement cross-cpu --setting 3";
    let four = Cpus { allowed: vec![0, 1, 2, 3], pair: [0, 1], places: Vec::new() };
    assert_eq!(plan(&options(args), &info, &four).unwrap()[0].skip, None);
    let why = plan(&options(args), &info, &cpus([0, 1])).unwrap()[0].skip.clone().unwrap();
    assert!(why.contains("more spinners than CPUs"), "{why}");
}

#[test]
fn a_placement_that_the_machine_does_not_have_is_said_once_unless_it_is_named() {
    let cpus = cpus([0, 1]);
    let full = plan(&options("--full"), &info(), &cpus).unwrap();
    let plain = [Placement::SameCpu, Placement::CrossCpu, Placement::Unpinned];
    assert!(full.iter().all(|it| plain.contains(&it.key.placement)));
    let absent = absent(&options("--full"), &cpus);
    assert_eq!(absent.len(), 4, "{absent:?}");
    assert!(absent.iter().any(|it| it == "shared-l3: it is what cross-cpu is here"));
    assert!(absent.iter().any(|it| it.starts_with("cross-numa: no two of the CPUs")));
    let named = plan(&options("--placement cross-numa,shared-l3"), &info(), &cpus).unwrap();
    let skipped = |it: &&Planned| it.key.placement == Placement::CrossNuma;
    assert!(named.iter().filter(skipped).all(|it| it.skip.is_some()));
    assert!(named.iter().any(|it| !skipped(&it) && it.skip.is_none()));
}

#[test]
fn what_was_left_out_is_told_by_shape() {
    let cells = plan(&options("--quick"), &info(), &cpus([0, 1])).unwrap();
    let out: Vec<_> = cells.into_iter().filter(|it| it.rank >= 11).collect();
    assert_eq!(
        left_out(&out),
        [
            "ping-pong, 64 B, cross-cpu, adaptive: 3 mechanisms",
            "ping-pong, 4 KiB, cross-cpu, spin: 3 mechanisms"
        ]
    );
}

#[test]
fn a_mechanism_is_planned_where_it_takes_part_or_is_told_to() {
    let mut info = info();
    info.mechanisms[1].topologies = vec![Topology::Setup];
    let ids = |args: &str| {
        let cells = plan(&options(args), &info, &cpus([0, 1])).unwrap();
        cells.into_iter().map(|it| it.key.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(
        ids("--quick pipe-packet"),
        [
            "pipe-packet/setup/64B/same-cpu/block/touch",
            "pipe-packet/setup/64B/cross-cpu/block/touch"
        ]
    );
    assert!(ids("--quick fifo").iter().all(|key| !key.contains("setup")));
    assert_eq!(
        ids("fifo --topology setup --placement unpinned"),
        ["fifo/setup/64B/unpinned/block/touch"]
    );
}

#[test]
fn only_what_can_hand_messages_over_does_so() {
    let mut info = info();
    info.mechanisms[1].payloads = Payload::ALL.to_vec();
    let handed = |args: &str| {
        let cells = plan(&options(args), &info, &cpus([0, 1])).unwrap();
        let keys = cells.into_iter().map(|it| it.key);
        keys.filter(|it| it.payload == Payload::Handoff).collect::<Vec<_>>()
    };
    let keys = handed("--quick --topology ping-pong");
    assert_eq!(keys.iter().map(|it| it.size).collect::<Vec<_>>(), [8, 8192, 1 << 20]);
    assert!(keys.iter().all(|it| it.mechanism == "pipe-packet" && it.wait == WaitMode::Spin));
    assert_eq!(handed("--quick --payload touch"), []);
    assert!(handed("--quick --payload handoff").iter().any(|it| it.mechanism == "fifo"));
}

#[test]
fn spinning_on_one_cpu_is_never_run() {
    let cells = plan(&options("--full"), &info(), &cpus([0, 1])).unwrap();
    for cell in cells {
        let key = &cell.key;
        let spins = key.placement == Placement::SameCpu && key.wait != WaitMode::Block;
        assert_eq!(cell.skip.is_some(), spins, "{key}");
    }
}

#[test]
fn one_cpu_leaves_only_what_one_cpu_can_do() {
    let cells = plan(&options("--full"), &info(), &cpus([0, 0])).unwrap();
    let can = |key: &CellKey| key.placement != Placement::CrossCpu && key.wait == WaitMode::Block;
    assert!(cells.iter().all(|it| it.skip.is_none() == can(&it.key)));
}

#[test]
fn axes_come_in_order_and_once() {
    let options =
        options("fifo --size 64,8,64 --wait block --topology stream --placement same-cpu");
    let cells = plan(&options, &info(), &cpus([0, 1])).unwrap();
    let keys: Vec<_> = cells.iter().map(|it| it.key.to_string()).collect();
    assert_eq!(
        keys,
        ["fifo/stream/8B/same-cpu/block/touch", "fifo/stream/64B/same-cpu/block/touch"]
    );
}

#[test]
fn what_carries_no_payload_has_one_size_and_comes_first() {
    let mut info = info();
    info.mechanisms[1].max_message = Some(0);
    let options = options("--size 64,8 --wait block --topology ping-pong --placement same-cpu");
    let cells = plan(&options, &info, &cpus([0, 1])).unwrap();
    let keys: Vec<_> = cells.iter().map(|it| (&*it.key.mechanism, it.key.size)).collect();
    let expected = [("pipe-packet", 0), ("pipe", 8), ("fifo", 8), ("pipe", 64), ("fifo", 64)];
    assert_eq!(keys, expected);
}

#[test]
fn an_unknown_mechanism_is_answered_with_the_known_ones() {
    let err = plan(&options("pip"), &info(), &cpus([0, 1])).unwrap_err().to_string();
    assert_eq!(
        err,
        "unknown mechanism \"pip\": did you mean \"pipe\"? choose from pipe, pipe-packet, fifo; with --peers there \
         are other people's libraries"
    );
    let err = plan(&options("carrier-pigeon"), &info(), &cpus([0, 1])).unwrap_err().to_string();
    assert!(!err.contains("did you mean"), "{err}");
}

#[test]
fn what_other_people_have_made_is_measured_where_it_is_asked_for() {
    let mut info = info();
    info.mechanisms[1].variants = vec![Variant::Peer];
    let has = |args: &str| {
        let cells = plan(&options(args), &info, &cpus([0, 1])).unwrap();
        cells.iter().any(|it| it.key.mechanism == "pipe-packet")
    };
    assert!(!has("--quick") && !has("--full") && !has("fifo"));
    assert!(has("--quick --peers") && has("pipe-packet"));
}

#[test]
fn edit_distances() {
    assert_eq!(edits("kitten", "sitting"), 3);
    assert_eq!(edits("", "abc"), 3);
    assert_eq!(edits("fifo", "fifo"), 0);
}
