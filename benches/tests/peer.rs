//! `ipc-peer` as `xtask` uses it: every subject runs, and whatever goes wrong is told.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use ipc_bench_schema::{
    CellKey, FloorReport, FloorSample, Outcome, Payload, PeerInfo, Placement, RunReport,
    RunRequest, Setting, Topology, Variant, WaitMode,
};

fn peer(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ipc-peer")).args(args).output().expect("run ipc-peer")
}

fn list() -> PeerInfo {
    serde_json::from_slice(&peer(&["list"]).stdout).expect("the answer to list")
}

fn request(mechanism: &str, topology: Topology, size: usize, dir: &Path) -> RunRequest {
    let (wait, payload) = (WaitMode::Block, Payload::Touch);
    let placement = Placement::Unpinned;
    let mechanism = mechanism.to_owned();
    let key =
        CellKey { mechanism, topology, size, placement, wait, payload, setting: Setting::None };
    RunRequest { key, cpus: None, spread: Vec::new(), budget_ms: 1, dir: dir.to_owned(), seed: 1 }
}

fn run(request: &RunRequest) -> Outcome {
    let output = peer(&["run", &serde_json::to_string(request).expect("request")]);
    assert!(output.status.success(), "{output:?}");
    let report: RunReport = serde_json::from_slice(&output.stdout).expect("one line of JSON");
    assert_eq!(report.key, request.key);
    report.outcome
}

#[test]
fn every_subject_runs_every_topology_and_wait_and_leaves_nothing() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let two_cpus = std::thread::available_parallelism().is_ok_and(|n| n.get() > 1);
    for mechanism in list().mechanisms {
        let size = if mechanism.max_message == Some(0) { 0 } else { 64 };
        for &topology in &mechanism.topologies {
            for wait in [WaitMode::Block, WaitMode::Spin] {
                if (topology, wait) == (Topology::Setup, WaitMode::Spin) {
                    continue;
                }
                if wait == WaitMode::Spin && !two_cpus {
                    eprintln!("SKIP {}: spinning needs two CPUs", mechanism.id);
                    continue;
                }
                let mut request = request(&mechanism.id, topology, size, dir.path());
                request.key.wait = wait;
                let Outcome::Ok { samples } = run(&request) else {
                    panic!("{}: {:?}", request.key, run(&request));
                };
                let variants: Vec<_> = samples.iter().map(|sample| sample.variant).collect();
                assert_eq!(variants, mechanism.variants, "{}", request.key);
                for sample in samples {
                    assert!(sample.messages > 0 && sample.elapsed_ns > 0, "{sample:?}");
                    let rtts = sample.rtt_ns.map(|it| it.iter().map(|(_, n)| n).sum::<u64>());
                    let expected = topology.is_clocked_each().then_some(sample.messages);
                    assert_eq!(rtts, expected, "round-trip times are missing or too many");
                }
            }
        }
    }
    let left: Vec<_> = std::fs::read_dir(dir.path()).expect("list").collect();
    assert!(left.is_empty(), "left behind: {left:?}");
}

#[test]
fn a_message_that_is_longer_than_the_pipe_arrives_whole() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let outcome = run(&request("pipe", Topology::Stream, 300_001, dir.path()));
    assert!(matches!(outcome, Outcome::Ok { .. }), "{outcome:?}");
}

#[test]
fn what_a_mechanism_cannot_do_is_unsupported_with_the_reason() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let long = run(&request("pipe-packet", Topology::PingPong, 4097, dir.path()));
    let reason = "a message has at most 4096 bytes".to_owned();
    assert_eq!(long, Outcome::Unsupported { reason });
    let empty = run(&request("pipe", Topology::PingPong, 0, dir.path()));
    assert!(matches!(empty, Outcome::Unsupported { .. }), "{empty:?}");
    let setup = run(&request("pipe", Topology::Setup, 64, dir.path()));
    let reason = "it takes part in ping-pong and stream only".to_owned();
    assert_eq!(setup, Outcome::Unsupported { reason });
    let stream = run(&request("process-fork", Topology::Stream, 64, dir.path()));
    assert_eq!(stream, Outcome::Unsupported { reason: "it takes part in setup only".to_owned() });
    let unnoticed = run(&request("signal", Topology::Stream, 0, dir.path()));
    let Outcome::Unsupported { reason } = unnoticed else { panic!("nobody would notice a loss") };
    assert!(reason.contains("only ping-pong"), "{reason}");
    let payload = run(&request("signal", Topology::PingPong, 8, dir.path()));
    let reason = "it carries no payload: its cells have size 0".to_owned();
    assert_eq!(payload, Outcome::Unsupported { reason });
}

/// The responder is stopped in the middle: whatever it should have answered never comes.
#[test]
fn a_notification_that_is_never_answered_voids_the_cell() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let mut request = request("rt-signal", Topology::PingPong, 0, dir.path());
    request.budget_ms = 100;
    let text = serde_json::to_string(&request).expect("request");
    let mut command = Command::new(env!("CARGO_BIN_EXE_ipc-peer"));
    let initiator = command.args(["run", &text]).stdout(Stdio::piped()).spawn().expect("start");
    let children = format!("/proc/{0}/task/{0}/children", initiator.id());
    let responder = loop {
        let text = std::fs::read_to_string(&children).expect("it has not ended");
        if let Some(pid) = text.split_whitespace().next() {
            break rustix::process::Pid::from_raw(pid.parse().expect("a number")).expect("a pid");
        }
    };
    // The two have begun to take turns once it has slept often.
    let status = format!("/proc/{}/status", responder.as_raw_nonzero());
    let sleeps = || {
        let text = std::fs::read_to_string(&status).expect("it has not ended");
        let line = text.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        line.and_then(|count| count.trim().parse::<u64>().ok()).expect("a count")
    };
    while sleeps() < 100 {
        std::thread::yield_now();
    }
    rustix::process::kill_process(responder, rustix::process::Signal::STOP).expect("stop it");
    let output = initiator.wait_with_output().expect("wait");
    assert!(output.status.success(), "{output:?}");
    let report: RunReport = serde_json::from_slice(&output.stdout).expect("one line of JSON");
    let Outcome::Void { reason } = report.outcome else { panic!("{:?}", report.outcome) };
    assert!(reason.contains("lost"), "{reason}");
}

#[test]
fn an_unknown_mechanism_and_a_missing_directory_are_failures_with_the_reason() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let Outcome::Failed { reason } = run(&request("telegraph", Topology::Stream, 8, dir.path()))
    else {
        panic!("it cannot run");
    };
    assert!(reason.contains("telegraph") && reason.contains("fifo"), "{reason}");
    let missing = dir.path().join("missing");
    let outcome = run(&request("fifo", Topology::Stream, 8, &missing));
    let Outcome::Failed { reason } = outcome else { panic!("{outcome:?}") };
    assert!(reason.contains("directory") && reason.contains("ENOENT"), "{reason}");
}

#[test]
fn a_cpu_that_does_not_exist_is_a_failure_with_the_reason() {
    let dir = tempfile::tempdir().expect("temporary directory");
    for cpus in [[1023, 0], [0, 1023], [99_999, 0]] {
        let mut request = request("pipe", Topology::PingPong, 8, dir.path());
        request.cpus = Some(cpus);
        let outcome = run(&request);
        let Outcome::Failed { reason } = outcome else { panic!("{outcome:?}") };
        assert!(reason.contains("CPU"), "{reason}");
    }
}

#[test]
fn nonsense_is_one_line_and_no_success() {
    for args in [&[][..], &["run"], &["run", "{"], &["floors", "[]"], &["respond", "1", "{}"]] {
        let output = peer(args);
        assert!(!output.status.success(), "{args:?} succeeded");
        assert!(output.stdout.is_empty(), "{args:?} answered");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}

#[test]
fn the_responder_dies_with_the_initiator() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let mut request = request("pipe", Topology::PingPong, 8, dir.path());
    request.budget_ms = 600_000;
    let json = serde_json::to_string(&request).expect("request");
    let mut initiator = Command::new(env!("CARGO_BIN_EXE_ipc-peer"))
        .args(["run", &json])
        .stdout(Stdio::null())
        .spawn()
        .expect("run ipc-peer");
    let children = format!("/proc/{0}/task/{0}/children", initiator.id());
    let responder = loop {
        let text = std::fs::read_to_string(&children).expect("the initiator runs");
        if let Some(pid) = text.split_whitespace().next() {
            break pid.to_owned();
        }
        std::thread::yield_now();
    };
    initiator.kill().expect("kill");
    initiator.wait().expect("wait");
    // Gone, or dead and not yet reaped by whoever adopted it.
    let gone = || match std::fs::read_to_string(format!("/proc/{responder}/stat")) {
        Ok(stat) => stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('Z')),
        Err(_) => true,
    };
    while !gone() {
        std::thread::yield_now();
    }
}

#[test]
fn floors_are_measured_or_missing_with_the_reason() {
    let one_cpu = peer(&["floors", r#"{"cpus":[0,0],"budget_ms":5}"#]);
    let report: FloorReport = serde_json::from_slice(&one_cpu.stdout).expect("floors");
    let names: Vec<_> = report.floors.iter().map(|floor| floor.name.as_str()).collect();
    assert_eq!(names, [FloorSample::NULL_SYSCALL, FloorSample::FUTEX_RTT]);
    assert_eq!(report.missing.len(), 4);
    for floor in report.floors {
        assert!(!floor.values.is_empty(), "{floor:?}");
        assert!(floor.values.iter().all(|(value, count)| *value > 0 && *count > 0), "{floor:?}");
    }
    assert_eq!(list().mechanisms[0].variants, [Variant::Ours, Variant::Raw]);
}
