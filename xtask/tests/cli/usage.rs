//! What the user may get wrong: one line that says what to do, and exit status 2.

use std::fs;

use crate::harness::{Bench, finish, refuse};

/// `bench` with these arguments is refused, with a line that says all of these.
fn refused(args: &str, says: &[&str]) {
    let bench = Bench::new("");
    let said = refuse(&mut bench.bench(args), 2);
    for part in says {
        assert!(said.contains(part), "{part} in {said}");
    }
    let runs = fs::read_dir(bench.out())
        .map_or(0, |it| it.flatten().filter(|it| it.path().is_dir()).count());
    assert_eq!(runs, 0, "a refused run leaves no directory");
    bench.assert_nothing_left();
}

#[test]
fn an_unknown_mechanism() {
    refused("pipes", &["unknown mechanism \"pipes\"", "did you mean \"pipe\"", "pipe, fifo"]);
}

#[test]
fn a_size_of_nothing() {
    refused("--size 64,0", &["0 bytes", "give 1 or more"]);
    refused("--size x", &["give bytes, such as 64 or 4KiB"]);
}

#[test]
fn a_cpu_that_is_not_there() {
    refused("--cpus 0,100000", &["CPU 100000 does not exist", "choose --cpus from 0"]);
    refused("--cpus 0", &["--cpus takes two numbers"]);
}

#[test]
fn a_bad_word_on_an_axis() {
    refused("--placement moon", &["moon", "same-cpu, cross-cpu", "unpinned"]);
    refused("--wait for-godot", &["block, spin, adaptive"]);
    refused("--topology ring", &["ping-pong", "stream"]);
}

#[test]
fn what_clap_refuses() {
    refused("--quick --full", &["cannot be used with"]);
    refused("--fast", &["unexpected argument '--fast'"]);
    refused("--rounds 0", &["--rounds"]);
    refused("--rounds", &["--rounds"]);
}

#[test]
fn a_directory_that_cannot_be_written() {
    let bench = Bench::new("");
    fs::write(bench.out(), "a file").unwrap();
    let said = refuse(&mut bench.bench(""), 2);
    assert!(said.contains("cannot write to") && said.contains("--out"), "{said}");
    let said = refuse(&mut bench.xtask("bench --peer /bin/sh --out /proc/nowhere"), 2);
    assert!(said.contains("/proc/nowhere"), "{said}");
}

#[test]
fn another_benchmark_at_the_same_time() {
    let bench = Bench::new("");
    fs::create_dir(bench.out()).unwrap();
    let lock = fs::File::create(bench.out().join(".lock")).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let said = refuse(&mut bench.bench(""), 2);
    assert!(said.contains("another benchmark is running"), "{said}");
}

#[test]
fn a_peer_that_is_missing_or_was_built_for_debugging() {
    let bench = Bench::with(&[("@DEBUG@", "true"), ("@RUN@", "")]);
    let said = refuse(&mut bench.bench(""), 2);
    assert!(said.contains("debug assertions") && said.contains("--release"), "{said}");
    let mut command = bench.xtask("bench --peer /nowhere --out");
    let said = refuse(command.arg(bench.out()), 2);
    assert!(said.contains("no peer at /nowhere"), "{said}");
}

#[test]
fn a_peer_that_cannot_list_is_a_failure() {
    let bench = Bench::new("");
    let said = refuse(bench.xtask("bench --peer /bin/false --out").arg(bench.out()), 1);
    assert!(said.contains("list: the peer exited with status 1"), "{said}");
}

#[test]
fn results_that_are_missing_or_foreign() {
    let bench = Bench::new("");
    let said = refuse(bench.xtask("report").arg(bench.out()), 2);
    assert!(said.contains("run `cargo xtask bench` first"), "{said}");
    fs::create_dir(bench.out()).unwrap();
    let file = bench.out().join("results.json");
    fs::write(&file, r#"{"schema":"ipc-bench/99"}"#).unwrap();
    let said = refuse(bench.xtask("report").arg(bench.out()), 2);
    assert!(said.contains("newer than"), "{said}");
    fs::write(&file, r#"{"name":"left-pad"}"#).unwrap();
    let said = refuse(bench.xtask("report --check").arg(&file), 2);
    assert!(said.contains("not a result of this benchmark"), "{said}");
}

#[test]
fn no_command_at_all() {
    let bench = Bench::new("");
    assert!(refuse(&mut bench.xtask(""), 2).contains("cargo xtask bench"));
    assert!(refuse(&mut bench.xtask("fly"), 2).contains("fly"));
    assert_eq!(finish(&mut bench.xtask("bench --help")).status.code(), Some(0));
}

#[test]
fn list_shows_what_can_be_measured() {
    let bench = Bench::new("");
    let mut command = bench.xtask("list --peer");
    let output = finish(command.arg(bench.peer()));
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("An anonymous pipe") && said.contains("4 KiB"), "{said}");
    let mut command = bench.xtask("list --json --peer");
    let output = finish(command.arg(bench.peer()));
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["mechanisms"][1]["id"], "fifo");
}
