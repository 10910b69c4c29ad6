//! The HTTP example under the load of `ab`, Apache's benchmark, while its workers are killed.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use ipc_core::{ErrorKind, Wait};
use ipc_process::{Child, Pid, Process};
use ipc_testkit::{Harness, example, need};

use crate::deaths::kills;

pub(crate) fn cases(harness: Harness) -> Harness {
    harness.test("load/ab_loses_nothing_when_nobody_is_killed", || under_load(0)).test(
        "load/ab_loses_no_more_than_killed_workers_had_accepted",
        || {
            (0..kills().div_ceil(KILLS)).for_each(|_| under_load(KILLS));
        },
    )
}

/// How many workers one server loses while `ab` asks it: with many more, the back-off would leave it
/// with none for most of the time.
const KILLS: u64 = 24;

const WORKERS: usize = 4;

/// A worker serves one connection at a time, so that one that is killed drops one at most. So if `ab`
/// misses no more answers than workers were killed, no other worker has dropped any.
fn under_load(kills: u64) {
    need("ab", "apache2-utils");
    let mut server = Command::new(example("prefork_http"));
    server.arg("127.0.0.1:0").stdout(Stdio::piped()).stderr(Stdio::null());
    let mut server = Child::spawn(&mut server).expect("spawn");
    let mut lines = BufReader::new(server.stdout.take().expect("it is a pipe")).lines();
    let first = lines.next().expect("a line").expect("read");
    let url = first.rsplit(' ').next().expect("an address").to_owned();

    let requests = 3000 + 1500 * kills;
    let mut ab = Command::new("ab");
    ab.args(["-r", "-c", "8", "-n", &requests.to_string(), &url]);
    let mut ab = Child::spawn(ab.stdout(Stdio::piped()).stderr(Stdio::piped())).expect("spawn");
    // `ab` takes the length of its first answer for that of all: nobody is to be killed before.
    let mut progress = BufReader::new(ab.stderr.take().expect("it is a pipe"));
    let mut completed = String::new();
    progress.read_line(&mut completed).expect("read");
    assert!(completed.starts_with("Completed "), "ab says {completed}");
    let mut killed = 0;
    while killed < kills && ab.try_wait().is_err_and(|it| it.kind() == ErrorKind::WouldBlock) {
        let workers = workers(server.pid());
        if workers.len() < WORKERS / 2 {
            // There are to be some that survive.
            std::thread::yield_now();
            continue;
        }
        let victim = workers[usize::try_from(killed * 7).expect("small") % workers.len()];
        // Its process may only be gone if somebody else has killed it.
        let victim = Process::open(victim).expect("open");
        victim.kill().expect("kill");
        victim.wait_exit(Wait::Forever).expect("its end");
        killed += 1;
    }
    let said = std::io::read_to_string(ab.stdout.take().expect("it is a pipe")).expect("read");
    if ab.status().is_none() {
        ab.wait().expect("wait");
    }
    let all: Vec<_> = workers(server.pid());
    server.process().terminate().expect("tell");
    assert!(server.wait().expect("wait").success());
    for worker in all.into_iter().filter_map(|pid| Process::open(pid).ok()) {
        assert_eq!(worker.is_alive(), Ok(false), "a worker has outlived its pool");
    }
    let report: Vec<_> = lines.map(|line| line.expect("read")).collect();
    assert!(report.iter().any(|it| it.contains("draining, 0 killed")), "{report:?}");

    assert_eq!(killed, kills, "ab was done before all were killed: {said}");
    assert!(ab.status().is_some_and(|status| status.success()), "{said}");
    assert_eq!(number(&said, "Complete requests:"), Some(requests), "{said}");
    // One lost answer may count under several of these.
    for (name, count) in failures(&said) {
        assert!(count <= killed, "{count} requests failed by {name}, and {killed} workers died");
    }
    assert_eq!(number(&said, "Non-2xx responses:").unwrap_or(0), 0, "{said}");
    if killed == 0 {
        assert_eq!(number(&said, "Failed requests:"), Some(0), "{said}");
    }
    ipc_testkit::note(format!("{killed} killed; {:?}", failures(&said)));
}

/// The children of the server.
fn workers(server: Pid) -> Vec<Pid> {
    let path = format!("/proc/{server}/task/{server}/children");
    let text = std::fs::read_to_string(path).expect("the kernel lists children");
    let pids = text.split_whitespace().map(|pid| pid.parse().expect("a number"));
    pids.map(|pid| Pid::new(pid).expect("a pid")).filter(|pid| lives(*pid)).collect()
}

/// Whether it is more than a zombie.
fn lives(pid: Pid) -> bool {
    Process::open(pid).and_then(|process| process.is_alive()).unwrap_or(false)
}

/// The number after a label.
fn number(text: &str, label: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(label))?;
    line.trim().parse().ok()
}

/// What `ab` says in parentheses: `(Connect: 0, Receive: 2, Length: 1, Exceptions: 1)`.
fn failures(text: &str) -> Vec<(String, u64)> {
    let line = text.lines().map(str::trim).find(|line| line.starts_with("(Connect:"));
    let parts = line.unwrap_or_default().trim_matches(['(', ')']).split(", ");
    parts
        .filter_map(|part| part.split_once(": "))
        .map(|(name, count)| (name.to_owned(), count.parse().expect("a number")))
        .collect()
}
