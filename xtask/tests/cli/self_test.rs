//! `cargo xtask self-test` with the real `ipc-peer`: from a faulty mechanism to the words about it.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::harness::{Bench, finish};

/// The measuring program of this workspace, as the tests' own profile has it: built already where all tests
/// run.
fn peer() -> PathBuf {
    let mut command = Command::new(env!("CARGO"));
    command.args(["build", "--quiet", "--package=ipc-benches", "--bin=ipc-peer"]);
    command.arg("--message-format=json").stdout(Stdio::piped()).stderr(Stdio::piped());
    let built = finish(&mut command);
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let text = String::from_utf8(built.stdout).unwrap();
    let messages = text.lines().filter_map(|it| serde_json::from_str::<serde_json::Value>(it).ok());
    let mut found = messages.filter(|it| it["target"]["name"] == "ipc-peer");
    let path = found.find_map(|it| it["executable"].as_str().map(PathBuf::from));
    path.expect("cargo names what it has built")
}

#[test]
fn every_planted_fault_is_found_and_a_sound_mechanism_is_not_suspected() {
    let bench = Bench::new("");
    let output = finish(bench.xtask("self-test --peer").arg(peer()));
    let said = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}{errors}");
    let lines: Vec<_> = said.lines().collect();
    assert_eq!(lines.len(), 5, "{said}");
    for (line, says) in lines.iter().zip(["ok", "void: message 21", "again", "byte 63", "hung"]) {
        assert!(line.starts_with("right  planted-") && line.contains(says), "{line}");
    }
    bench.assert_nothing_left();
}

#[test]
fn a_harness_that_finds_nothing_fails_its_test() {
    // This peer has no faults to find: whatever it is asked for, all is well.
    let bench = Bench::new("");
    let output = finish(bench.xtask("self-test --peer").arg(bench.peer()));
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("WRONG  planted-lossy"), "{said}");
}
