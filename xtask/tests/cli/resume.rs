//! A run that was stopped goes on.

use std::process::{Command, Output};

use crate::harness::{Bench, finish, refuse, wait_for};
use ipc_bench_schema::results::Status;

/// Two cells, three rounds.
const SMALL: &str =
    "--rounds 3 --budget-ms 1 --size 64 --placement same-cpu --wait block --topology stream";

/// A peer that counts its runs, and hangs in the third unless a file says that it may go on.
const HANGS: &str = r#"here=$(dirname "$0"); echo "$mechanism" >> "$here/runs"
    if [ "$(wc -l < "$here/runs")" = 3 ] && [ ! -e "$here/go" ]; then
        : > "$here/hanging"; sleep 1000
    fi"#;

/// Stops a run in its second round.
fn stopped() -> Bench {
    let bench = Bench::new(HANGS);
    let child = bench.bench(SMALL).spawn().unwrap();
    wait_for(&bench.out().join("../hanging"));
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("bench --resume"), "{said}");
    std::fs::write(bench.out().join("../go"), "").unwrap();
    bench
}

fn resume(bench: &Bench, args: &str) -> Command {
    let mut command = bench.xtask("bench --resume --peer");
    command.arg(bench.peer()).arg("--out").arg(bench.out()).args(args.split_whitespace());
    command
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn what_was_measured_is_kept_and_the_rest_is_measured() {
    let bench = stopped();
    let before = std::fs::canonicalize(bench.out().join("latest")).unwrap();
    let output = finish(&mut resume(&bench, ""));
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert_eq!(
        std::fs::canonicalize(bench.out().join("latest")).unwrap(),
        before,
        "the same directory"
    );
    let results = bench.results();
    assert!(results.config.complete);
    assert!(results.cells.iter().all(|it| it.status == Status::Ok && it.rounds == 3));
    // Two cells in three rounds, and the one that was cut off.
    let runs = std::fs::read_to_string(bench.out().join("../runs")).unwrap();
    assert_eq!(runs.lines().count(), 7, "{runs}");
    assert!(!before.join("journal.jsonl").exists());
    let again = refuse(&mut resume(&bench, ""), 2);
    assert!(again.contains("nothing to go on with"), "{again}");
    bench.assert_nothing_left();
}

#[test]
fn the_order_is_the_one_that_it_would_have_been() {
    let runs = |bench: &Bench| std::fs::read_to_string(bench.out().join("../runs")).unwrap();
    let whole = Bench::new(r#"echo "$mechanism" >> "$(dirname "$0")/runs""#);
    assert_eq!(finish(whole.bench(SMALL).args(["--seed", "5"])).status.code(), Some(0));
    let parts = Bench::new(HANGS);
    let child = parts.bench(SMALL).args(["--seed", "5"]).spawn().unwrap();
    wait_for(&parts.out().join("../hanging"));
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    child.wait_with_output().unwrap();
    std::fs::write(parts.out().join("../go"), "").unwrap();
    assert_eq!(finish(&mut resume(&parts, "")).status.code(), Some(0));
    let (whole, parts) = (runs(&whole), runs(&parts));
    let mut parts: Vec<_> = parts.lines().collect();
    parts.remove(2); // It hung, and came again.
    assert_eq!(parts, whole.lines().collect::<Vec<_>>());
}

#[test]
fn another_peer_or_other_options_are_refused() {
    let bench = stopped();
    let text = std::fs::read_to_string(bench.peer()).unwrap();
    let other = Bench::with(&[("@RUN@", "# not the same"), ("@DEBUG@", "false")]);
    assert_ne!(std::fs::read_to_string(other.peer()).unwrap(), text);
    let mut command = bench.xtask("bench --resume --peer");
    let said = refuse(command.arg(other.peer()).arg("--out").arg(bench.out()), 2);
    assert!(said.contains("not the program that measured before"), "{said}");
    let said = refuse(&mut resume(&bench, "--rounds 9"), 2);
    assert!(said.contains("cannot be used with"), "{said}");
    assert!(bench.out().join("latest/journal.jsonl").exists(), "nothing is lost by a refusal");
}

#[test]
fn another_host_is_refused() {
    let bench = stopped();
    let path = bench.out().join("latest/journal.jsonl");
    let journal = std::fs::read_to_string(&path).unwrap();
    let kernel =
        journal.split(r#""kernel":""#).nth(1).unwrap().split('"').next().unwrap().to_owned();
    std::fs::write(&path, journal.replacen(&kernel, "Linux 1.0", 1)).unwrap();
    let said = refuse(&mut resume(&bench, ""), 2);
    assert!(said.contains("the host's kernel was Linux 1.0"), "{said}");
}

#[test]
fn there_may_be_nothing_to_go_on_with() {
    let bench = Bench::new("");
    let said = refuse(&mut resume(&bench, ""), 2);
    assert!(said.contains("no run in"), "{said}");
    let said = refuse(&mut bench.xtask("bench --resume /nowhere"), 2);
    assert!(said.contains("no run in /nowhere"), "{said}");
}

#[test]
fn a_program_is_told_how_it_goes() {
    let bench = Bench::new(
        r#"if [ "$mechanism" = fifo ]; then answer '"status":"unsupported","reason":"not today"'; fi"#,
    );
    let output = finish(bench.bench(SMALL).arg("--json"));
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let text = String::from_utf8(output.stdout).unwrap();
    let events: Vec<serde_json::Value> =
        text.lines().map(|it| serde_json::from_str(it).unwrap()).collect();
    let names: Vec<_> = events.iter().map(|it| it["event"].as_str().unwrap()).collect();
    assert_eq!((names[0], *names.last().unwrap()), ("begin", "end"), "{names:?}");
    assert_eq!(events[0]["schema"], "ipc-bench-progress/1");
    assert_eq!(names.iter().filter(|it| **it == "stage").count(), 3);
    let cells: Vec<_> = events.iter().filter(|it| it["event"] == "cell").collect();
    assert_eq!(cells.len(), 4, "three of the pipe, one of the FIFO");
    let fifo = cells.iter().find(|it| it["cell"]["mechanism"] == "fifo").unwrap();
    assert_eq!((&fifo["status"], &fifo["reason"]), (&"unsupported".into(), &"not today".into()));
    let end = events.last().unwrap();
    assert_eq!((&end["exit"], &end["complete"]), (&0.into(), &true.into()));
    let files = end["files"].as_array().unwrap();
    assert!(
        files.iter().all(|it| std::path::Path::new(it.as_str().unwrap()).is_file()),
        "{files:?}"
    );
}
