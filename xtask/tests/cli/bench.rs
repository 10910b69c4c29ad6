//! `cargo xtask bench` from end to end, with a peer that is a shell script.

use std::process::Command;

use crate::harness::{Bench, finish, wait_for};
use ipc_bench_schema::results::{Cell, Status};
use ipc_bench_schema::{Placement, Variant, WaitMode};

/// Few and short: 2 mechanisms, 2 topologies, same CPU, blocking.
const SMALL: &str = "--rounds 2 --budget-ms 1 --size 64 --placement same-cpu --wait block";

fn cells<'a>(all: &'a [Cell], mechanism: &str) -> Vec<&'a Cell> {
    all.iter().filter(|it| it.key.mechanism == mechanism).collect()
}

#[test]
fn a_run_leaves_every_report_and_nothing_else() {
    let bench = Bench::new("");
    let output = finish(&mut bench.bench(SMALL));
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    for part in ["ping-pong, on the same CPU, blocking", "pipe", "2.00 µs", "report.html"] {
        assert!(said.contains(part), "{part} in\n{said}");
    }
    for file in ["results.json", "results.csv", "report.md", "report.html"] {
        assert!(bench.out().join("latest").join(file).is_file(), "{file}");
    }
    let results = bench.results();
    assert!(results.config.complete);
    assert_eq!(results.cells.len(), 2 * 2 * 2);
    assert!(results.cells.iter().all(|it| it.status == Status::Ok && it.rounds == 2));
    assert!(results.host.warnings.iter().any(|it| it.contains("2 rounds are too few")));
    let checked = finish(bench.xtask("report --check").arg(bench.out()));
    assert_eq!(checked.status.code(), Some(0), "{}", String::from_utf8_lossy(&checked.stderr));
    bench.assert_nothing_left();
}

#[test]
fn the_pace_is_found_where_no_budget_is_given() {
    let bench = Bench::new("");
    let args = "--quick --rounds 1 --size 64 --placement same-cpu --wait block,spin pipe";
    let output = finish(&mut bench.bench(args));
    assert_eq!(output.status.code(), Some(0));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("first look: about"), "{said}");
    assert!(said.contains("round 1 of 1"), "{said}");
    let results = bench.results();
    let spun = results.cells.iter().find(|it| it.key.wait == WaitMode::Spin).unwrap();
    assert_eq!(spun.status, Status::Unsupported);
    assert!(spun.reason.as_ref().unwrap().starts_with("two spinners on one CPU"));
}

#[test]
fn one_cpu_cannot_measure_across_cpus() {
    let bench = Bench::new("");
    let mut command = bench.bench("--rounds 1 --budget-ms 1 --size 64 pipe");
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let allowed = status.lines().find_map(|it| it.strip_prefix("Cpus_allowed_list:")).unwrap();
    let first = allowed.trim().split([',', '-']).next().unwrap();
    let output = finish(command.args(["--cpus", &format!("{first},{first}")]));
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let results = bench.results();
    assert_eq!(results.config.pinned_cpus, [first.parse::<usize>().unwrap(); 2]);
    for cell in results.cells.iter().filter(|it| it.key.placement == Placement::CrossCpu) {
        assert_eq!(cell.status, Status::Unsupported);
        assert!(cell.reason.as_ref().unwrap().contains("only one CPU"));
    }
}

#[test]
fn an_unsupported_cell_is_asked_once() {
    let bench = Bench::new(
        r#"if [ "$mechanism" = fifo ]; then
            echo asked >> "$(dirname "$0")/asked"
            answer '"status":"unsupported","reason":"not on Tuesdays"'
        fi"#,
    );
    let output = finish(bench.bench(SMALL).args(["--topology", "stream"]));
    assert_eq!(output.status.code(), Some(0));
    let asked = std::fs::read_to_string(bench.out().join("../asked")).unwrap();
    assert_eq!(asked.lines().count(), 1);
    let results = bench.results();
    for cell in cells(&results.cells, "fifo") {
        assert_eq!(cell.status, Status::Unsupported);
        assert_eq!(cell.reason.as_deref(), Some("not on Tuesdays"));
    }
    assert!(cells(&results.cells, "pipe").iter().all(|it| it.status == Status::Ok));
}

/// Runs a peer whose FIFO goes wrong as `run` says, and gives the status and reason of its cells.
fn goes_wrong(run: &str) -> (Status, String) {
    let bench = Bench::new(&format!("if [ \"$mechanism\" = fifo ]; then {run}; fi"));
    let output = finish(bench.bench(SMALL).args(["--topology", "stream"]));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("void or failed"), "{said}");
    let results = bench.results();
    assert!(results.config.complete);
    assert!(cells(&results.cells, "pipe").iter().all(|it| it.status == Status::Ok));
    let checked = finish(bench.xtask("report --check").arg(bench.out()));
    assert_eq!(checked.status.code(), Some(1));
    bench.assert_nothing_left();
    let cell = cells(&results.cells, "fifo")[0];
    assert_eq!((cell.variant, cell.msgs_per_s), (Variant::Ours, None));
    (cell.status, cell.reason.clone().unwrap())
}

#[test]
fn a_void_round_voids_the_cell() {
    let why = r#"answer '"status":"void","reason":"message 7 came twice"'"#;
    assert_eq!(goes_wrong(why), (Status::Void, "message 7 came twice".to_owned()));
}

#[test]
fn a_peer_that_dies_fails_the_cell_and_is_quoted() {
    let (status, reason) = goes_wrong("echo 'no such luck' >&2; exit 3");
    assert_eq!(status, Status::Failed);
    assert_eq!(reason, "the peer exited with status 3; it said: no such luck");
    let (_, reason) = goes_wrong("kill -SEGV $$");
    assert!(reason.contains("signal 11"), "{reason}");
}

#[test]
fn a_peer_that_talks_nonsense_fails_the_cell() {
    let (status, reason) = goes_wrong("echo hello; exit 0");
    assert_eq!(status, Status::Failed);
    assert!(reason.contains("makes no sense") && reason.ends_with("hello"), "{reason}");
    assert!(goes_wrong("exit 0").1.contains("printed nothing"));
    let other = r#"key=$(echo "$key" | sed s/fifo/pipe/); answer '"status":"ok","samples":[]'"#;
    assert!(goes_wrong(other).1.contains("another cell"));
}

#[test]
fn a_peer_that_hangs_is_killed_with_its_responder() {
    let (status, reason) = goes_wrong("sh -c \"sleep 1000; : $tag\" & wait");
    assert_eq!(status, Status::Failed);
    assert!(reason.contains("hung and was killed"), "{reason}");
}

/// Stops a run with a signal in the middle of the second round.
fn stopped_by(signal: &str) -> (Option<i32>, Bench) {
    // Round 1 has two runs; the third hangs, with a child, until it is killed.
    let bench = Bench::new(
        r#"here=$(dirname "$0"); echo run >> "$here/runs"
        if [ "$(wc -l < "$here/runs")" -gt 2 ]; then
            sh -c "sleep 1000; : $tag" & : > "$here/hanging"; wait
        fi"#,
    );
    let args = "--rounds 3 --budget-ms 60000 --size 64 --placement same-cpu --wait block \
                --topology stream";
    let child = bench.bench(args).spawn().unwrap();
    wait_for(&bench.out().join("../hanging"));
    let pid = child.id().to_string();
    assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("a partial report is in"), "{said}");
    (output.status.code(), bench)
}

#[test]
fn ctrl_c_leaves_a_valid_partial_report_and_no_process() {
    let (status, bench) = stopped_by("-INT");
    assert_eq!(status, Some(130));
    bench.assert_nothing_left();
    let results = bench.results();
    assert!(!results.config.complete);
    assert!(results.cells.iter().all(|it| it.status == Status::Ok && it.rounds == 1));
    for file in ["results.csv", "report.md", "report.html"] {
        assert!(bench.out().join("latest").join(file).is_file(), "{file}");
    }
    let checked = finish(bench.xtask("report --check").arg(bench.out()));
    assert_eq!(checked.status.code(), Some(1));
    let said = String::from_utf8_lossy(&checked.stderr).into_owned();
    assert!(said.contains("stopped before its end"), "{said}");
}

#[test]
fn sigterm_ends_a_run_as_well() {
    let (status, bench) = stopped_by("-TERM");
    assert_eq!(status, Some(143));
    bench.assert_nothing_left();
    assert!(!bench.results().config.complete);
}

#[test]
fn a_run_stopped_in_its_first_round_says_what_was_not_run() {
    let bench = Bench::new(r#": > "$(dirname "$0")/hanging"; sleep 1000"#);
    let child = bench.bench("--rounds 1 --budget-ms 60000 --size 64").spawn().unwrap();
    wait_for(&bench.out().join("../hanging"));
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(130));
    bench.assert_nothing_left();
    let results = bench.results();
    let runnable = results.cells.iter().filter(|it| it.status != Status::Unsupported);
    assert!(runnable.clone().count() > 0);
    assert!(runnable.clone().all(|it| it.status == Status::NotRun));
}
