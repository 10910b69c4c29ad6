//! `ipc-peer` as `xtask` uses it: every subject runs, and whatever goes wrong is told.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use ipc_bench_schema::{
    CellKey, FloorReport, FloorSample, LoadSample, Outcome, Payload, PeerInfo, Placement,
    RunReport, RunRequest, Setting, Topology, Variant, VariantSample, WaitMode,
};

fn peer(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ipc-peer")).args(args).output().expect("run ipc-peer")
}

fn list() -> PeerInfo {
    serde_json::from_slice(&peer(&["list"]).stdout).expect("the answer to list")
}

fn request(mechanism: &str, topology: Topology, size: usize, dir: &Path) -> RunRequest {
    let (wait, payload) = (WaitMode::Block, Payload::Touch);
    let setting = usual(topology);
    let placement = Placement::Unpinned;
    let mechanism = mechanism.to_owned();
    let key = CellKey { mechanism, topology, size, placement, wait, payload, setting };
    RunRequest { key, cpus: None, spread: Vec::new(), budget_ms: 1, dir: dir.to_owned(), seed: 1 }
}

/// A setting that the topology has.
fn usual(topology: Topology) -> Setting {
    match topology {
        Topology::IdleGap => Setting::Pause(50),
        Topology::FanIn | Topology::FanOut => Setting::Many(3),
        Topology::OpenLoop => Setting::Poisson,
        Topology::PingPong | Topology::Stream | Topology::Setup => Setting::None,
    }
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
    // What other people's libraries leave behind is not ours to judge.
    let other = tempfile::tempdir().expect("temporary directory");
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    for mechanism in list().mechanisms {
        let is_ours = mechanism.variants.contains(&Variant::Ours);
        let dir = if is_ours { dir.path() } else { other.path() };
        let size = if mechanism.max_message == Some(0) { 0 } else { 64 };
        for &topology in &mechanism.topologies {
            for &wait in WaitMode::ALL {
                let mut request = request(&mechanism.id, topology, size, dir);
                request.key.wait = wait;
                if wait != WaitMode::Block && cpus < request.key.processes() {
                    eprintln!("SKIP {}: more processes than CPUs would spin", request.key);
                    continue;
                }
                let samples = match run(&request) {
                    Outcome::Ok { samples } => samples,
                    // Some can wait in one way alone, and say so.
                    Outcome::Unsupported { reason } if wait != WaitMode::Block => {
                        assert!(reason.contains("wait"), "{}: {reason}", request.key);
                        continue;
                    }
                    other => panic!("{}: {other:?}", request.key),
                };
                let variants: Vec<_> = samples.iter().map(|sample| sample.variant).collect();
                let sits_out = |it: &&Variant| {
                    mechanism.absent.iter().any(|a| (a.variant, a.topology) == (**it, topology))
                };
                let expected: Vec<_> =
                    mechanism.variants.iter().filter(|it| !sits_out(it)).copied().collect();
                assert_eq!(variants, expected, "{}", request.key);
                for sample in samples {
                    sane(&request.key, sample);
                }
            }
        }
    }
    let left: Vec<_> = std::fs::read_dir(dir.path()).expect("list").collect();
    assert!(left.is_empty(), "left behind: {left:?}");
}

/// There is all that a sample of this topology has, and nothing else.
fn sane(key: &CellKey, sample: VariantSample) {
    assert!(sample.messages > 0 && sample.elapsed_ns > 0, "{key}: {sample:?}");
    let count = |pairs: &[(u64, u64)]| pairs.iter().map(|(_, n)| n).sum::<u64>();
    let expected = key.topology.is_clocked_each().then_some(sample.messages);
    let rtts = sample.rtt_ns.as_deref().map(count);
    assert_eq!(rtts, expected, "{key}: round-trip times are missing or too many");
    let [first, second] = sample.halves_ns.expect("the halves of the batches");
    assert!(first > 0.0 && second > 0.0, "{key}: {first} {second}");
    if key.topology != Topology::OpenLoop {
        assert!(sample.loads.is_empty(), "{key}: {:?}", sample.loads);
        return;
    }
    let percents: Vec<_> = sample.loads.iter().map(|it| it.percent).collect();
    assert_eq!(percents, [10, 25, 50, 75, 90, 95], "{key}");
    for load in &sample.loads {
        assert!(count(&load.latency_ns) >= 8, "{key}: {load:?}");
        assert!(load.offered_per_s > 0.0 && load.achieved_per_s > 0.0, "{key}: {load:?}");
        let per_percent = |it: &LoadSample| it.offered_per_s / f64::from(it.percent);
        let ratio = per_percent(load) / per_percent(&sample.loads[0]);
        assert!((ratio - 1.0).abs() < 1e-6, "{key}: loads are shares of one saturation");
    }
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
    let setup = run(&request("kcp", Topology::Setup, 64, dir.path()));
    let Outcome::Unsupported { reason } = setup else { panic!("{setup:?}") };
    assert!(reason.contains("thread"), "{reason}");
    let stream = run(&request("process-fork", Topology::Stream, 64, dir.path()));
    assert_eq!(stream, Outcome::Unsupported { reason: "it is created for one message".to_owned() });
    let unnoticed = run(&request("signal", Topology::Stream, 0, dir.path()));
    let Outcome::Unsupported { reason } = unnoticed else { panic!("nobody would notice a loss") };
    assert!(reason.contains("only round trips"), "{reason}");
    let payload = run(&request("signal", Topology::PingPong, 8, dir.path()));
    let reason = "it carries no payload: its cells have size 0".to_owned();
    assert_eq!(payload, Outcome::Unsupported { reason });
}

#[test]
fn settings_and_sizes_that_a_topology_does_not_have_are_unsupported_with_the_reason() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let refused = |mechanism: &str, topology, size, setting| {
        let mut request = request(mechanism, topology, size, dir.path());
        request.key.setting = setting;
        match run(&request) {
            Outcome::Unsupported { reason } => reason,
            other => panic!("{}: {other:?}", request.key),
        }
    };
    let many = Setting::Many(3);
    for (topology, setting) in [
        (Topology::FanIn, Setting::None),
        (Topology::Stream, many),
        (Topology::IdleGap, Setting::Poisson),
        (Topology::OpenLoop, Setting::Pause(50)),
    ] {
        assert!(refused("pipe", topology, 64, setting).contains("has no setting"), "{topology}");
    }
    let short = refused("pipe", Topology::FanOut, 4, many);
    assert_eq!(short, "a message needs 8 bytes to say whose it is");
    let long = refused("fifo", Topology::FanIn, 4097, many);
    assert_eq!(long, "above 4096 bytes the messages of several senders mix");
    assert!(refused("udp", Topology::FanIn, 64, many).contains("thrown away"));
    assert!(refused("udp", Topology::OpenLoop, 64, Setting::Fixed).contains("thrown away"));
}

#[test]
fn each_mechanism_takes_part_in_a_topology_or_says_why_not() {
    for it in list().mechanisms {
        for topology in Topology::ALL {
            let apart = it.apart.iter().any(|(known, why)| known == topology && !why.is_empty());
            assert_eq!(apart, !it.topologies.contains(topology), "{} {topology}", it.id);
        }
    }
}

#[test]
fn each_planted_fault_is_found_whatever_runs_into_it() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let outcome = |id: &str, topology| run(&request(id, topology, 64, dir.path()));
    for topology in [Topology::PingPong, Topology::Stream, Topology::OpenLoop] {
        let sound = outcome("planted-sound", topology);
        assert!(matches!(sound, Outcome::Ok { .. }), "{topology}: {sound:?}");
        let mut faults = vec![("planted-duplicating", "again"), ("planted-corrupting", "byte 63")];
        // Where each message is answered, a lost one is waited for: xtask ends that.
        if topology != Topology::PingPong {
            faults.push(("planted-lossy", "1 lost"));
        }
        for (id, says) in faults {
            match outcome(id, topology) {
                Outcome::Void { reason } => assert!(reason.contains(says), "{id}: {reason}"),
                other => panic!("{id} {topology}: {other:?}"),
            }
        }
    }
    let listed = list().mechanisms;
    assert!(listed.iter().all(|it| !it.id.starts_with("planted")), "they are no rows");
}

#[test]
fn a_mechanism_that_is_slowed_down_on_purpose_is_slower_by_about_that() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let mut request = request("pipe", Topology::PingPong, 64, dir.path());
    request.budget_ms = 50;
    let text = serde_json::to_string(&request).expect("request");
    let mut command = Command::new(env!("CARGO_BIN_EXE_ipc-peer"));
    // Four times as much: a machine that does other things meanwhile does not hide it.
    let output = command.args(["run", &text]).env("IPC_BENCH_SLOW", "pipe:300").output();
    let report: RunReport =
        serde_json::from_slice(&output.expect("run ipc-peer").stdout).expect("a report");
    let Outcome::Ok { samples } = report.outcome else { panic!("{:?}", report.outcome) };
    let ns = |it: &VariantSample| it.elapsed_ns as f64 / it.messages as f64;
    let ratio = ns(&samples[0]) / ns(&samples[1]);
    assert_eq!((samples[0].variant, samples[1].variant), (Variant::Ours, Variant::Raw));
    assert!(ratio > 1.5, "ours is {ratio} times as slow as raw");
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
    let alone = [FloorSample::NULL_SYSCALL, FloorSample::PROBE];
    assert_eq!(names, [&alone[..], &[FloorSample::FUTEX_RTT, FloorSample::YIELD_RTT]].concat());
    let [(cpu, ns)] = report.sentinel_ns[..] else { panic!("{:?}", report.sentinel_ns) };
    assert!(cpu == 0 && ns > 0);
    assert_eq!(report.missing.len(), 4);
    for floor in report.floors {
        assert!(!floor.values.is_empty(), "{floor:?}");
        assert!(floor.values.iter().all(|(value, count)| *value > 0 && *count > 0), "{floor:?}");
    }
    assert_eq!(list().mechanisms[0].variants, [Variant::Ours, Variant::Raw]);
}
