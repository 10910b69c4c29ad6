//! Runs the real `xtask` against a peer that is a shell script, in a directory of its own.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use ipc_bench_schema::Results;

/// No test takes this long unless something hangs.
const WATCHDOG: Duration = Duration::from_secs(240);

/// A peer that answers with canned figures. Tests put their own shell code in for `@RUN@`: it has
/// the cell in `$key`, as JSON, and the mechanism in `$mechanism`.
const PEER: &str = r#"#!/bin/sh
tag='@TAG@'
case "$1" in
list)
    echo '{"debug_assertions":@DEBUG@,"mechanisms":['
    echo '{"id":"pipe","crate":"ipc-pipe","summary":"An anonymous pipe","variants":["ours","raw"],"topologies":["ping-pong","stream"],"payloads":["touch"],'
    echo '"max_message":null,"caps":[["shape","bytes"]]},'
    echo '{"id":"fifo","crate":"ipc-pipe","summary":"A named pipe","variants":["ours","raw"],"topologies":["ping-pong","stream"],"payloads":["touch"],'
    echo '"max_message":4096,"caps":[]}]}' ;;
esac | tr -d '\n'
case "$1" in
floors)
    echo '{"floors":[
        {"name":"cache_line_rtt_ns","placement":null,"values":[[100,1000]]},
        {"name":"null_syscall_ns","placement":null,"values":[[60,1000]]},
        {"name":"futex_rtt_ns","placement":"same-cpu","values":[[900,1000]]},
        {"name":"futex_rtt_ns","placement":"cross-cpu","values":[[900,1000]]},
        {"name":"copy_bytes_per_s","placement":null,"values":[[10000000000,1000]]}],
        "missing":[["two_line_rtt_ns","not in a script"]]}' | tr -d '\n' ;;
run)
    key=${2#*\"key\":}; key="${key%%\}*}}"
    mechanism=${key#*\"mechanism\":\"}; mechanism=${mechanism%%\"*}
    answer() { echo "{\"key\":$key,$1}"; exit 0; }
    @RUN@
    case "$key" in
    *ping-pong*) rtt='[[2000,5000],[2400,4000],[9000,1000]]' ;;
    *) rtt=null ;;
    esac
    figures='"messages":10000,"elapsed_ns":20000000,"cpu_ns":1000000,"ctx_switches":20000'
    ours="{\"variant\":\"ours\",\"rtt_ns\":$rtt,$figures}"
    raw="{\"variant\":\"raw\",\"rtt_ns\":$rtt,$figures}"
    answer "\"status\":\"ok\",\"samples\":[$ours,$raw]" ;;
esac
"#;

/// A directory with a peer in it, and the runs that it brought.
pub(crate) struct Bench {
    dir: tempfile::TempDir,
    tag: String,
}

impl Bench {
    /// A peer that runs this shell code before it answers `run`.
    pub(crate) fn new(run: &str) -> Self {
        Self::with(&[("@RUN@", run), ("@DEBUG@", "false")])
    }

    /// A peer with these places filled in.
    pub(crate) fn with(places: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        // The tag is in the peer's path and so on the command line of all that it starts.
        let tag = dir.path().file_name().unwrap().to_str().unwrap().to_owned();
        let mut script = PEER.replace("@TAG@", &tag);
        for (place, text) in places {
            script = script.replace(place, text);
        }
        let peer = dir.path().join("peer");
        install(&peer, &script);
        Self { dir, tag }
    }

    /// The script.
    pub(crate) fn peer(&self) -> PathBuf {
        self.dir.path().join("peer")
    }

    /// The directory of the runs.
    pub(crate) fn out(&self) -> PathBuf {
        self.dir.path().join("out")
    }

    /// `xtask` with these arguments.
    pub(crate) fn xtask(&self, args: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command.args(args.split_whitespace()).stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        // What a run leaves in the temporary directory is ours to see.
        let scratch = self.dir.path().join("tmp");
        fs::create_dir_all(&scratch).unwrap();
        command.env("TMPDIR", scratch);
        command
    }

    /// `xtask bench` with the script for a peer.
    pub(crate) fn bench(&self, args: &str) -> Command {
        let mut command = self.xtask("bench");
        command.arg("--peer").arg(self.peer());
        command.arg("--out").arg(self.out()).args(args.split_whitespace());
        command
    }

    /// The results of the latest run.
    pub(crate) fn results(&self) -> Results {
        let text = fs::read(self.out().join("latest/results.json")).unwrap();
        serde_json::from_slice(&text).unwrap()
    }

    /// Everything that a run must not leave behind: processes, and temporary files.
    pub(crate) fn assert_nothing_left(&self) {
        let scratch = self.dir.path().join("tmp");
        let left: Vec<_> = fs::read_dir(scratch).unwrap().flatten().collect();
        assert!(left.is_empty(), "{left:?}");
        let deadline = Instant::now() + WATCHDOG;
        while let Some(process) = processes().find(|it| it.contains(&self.tag)) {
            assert!(Instant::now() < deadline, "left behind: {process}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Writes a program. Another process does it: were the file open for writing in this one, a child
/// that another test forks at that moment would have it too, and `execve` would say ETXTBSY.
fn install(path: &Path, script: &str) {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", "cat > \"$1\" && chmod 755 \"$1\"", "install"]).arg(path);
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
}

/// The command lines of all processes that have one.
fn processes() -> impl Iterator<Item = String> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let lines = entries.filter_map(|it| fs::read(it.path().join("cmdline")).ok());
    lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " "))
}

/// Runs a command to its end, under a watchdog.
pub(crate) fn finish(command: &mut Command) -> Output {
    let child = command.spawn().unwrap();
    let pid = child.id();
    let (done, watched) = std::sync::mpsc::channel::<()>();
    let watchdog = std::thread::spawn(move || {
        if watched.recv_timeout(WATCHDOG).is_err() {
            let _ = Command::new("kill").args(["-KILL", &pid.to_string()]).status();
        }
    });
    let output = child.wait_with_output().unwrap();
    let _ = done.send(());
    watchdog.join().unwrap();
    output
}

/// Runs a command that must fail with this status and one line on standard error.
pub(crate) fn refuse(command: &mut Command, status: i32) -> String {
    let output = finish(command);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(status), "{said}");
    assert_eq!(said.trim_end().lines().count(), 1, "{said}");
    said
}

/// Waits until a file is there.
pub(crate) fn wait_for(path: &Path) {
    let deadline = Instant::now() + WATCHDOG;
    while !path.exists() {
        assert!(Instant::now() < deadline, "{} never came", path.display());
        std::thread::sleep(Duration::from_millis(10));
    }
}
