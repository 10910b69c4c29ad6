//! Programs that nobody here wrote: the shell, coreutils, a C compiler's output, Python.

use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::time::Duration;

use ipc_core::{Framed, Handoff, RecvMsg, SendMsg, Wait};
use ipc_pipe::{DuplexPipe, FifoOptions, PipeOptions, pipe};
use ipc_testkit::{CProgram, Harness, Peer, Strace, dir, hear, need, say};

pub(crate) fn cases(harness: Harness) -> Harness {
    harness
        .test("programs/cat_reads_our_fifo", cat_reads_our_fifo)
        .test("programs/we_open_a_fifo_of_mkfifo", we_open_a_fifo_of_mkfifo)
        .test("programs/a_shell_child_gets_an_end_by_its_number", shell_child_gets_an_end)
        .test("programs/standard_input_is_an_end", standard_input_is_an_end)
        .test("programs/a_c_program_sends_packets", c_program_sends_packets)
        .test("programs/python_speaks_our_frames", python_speaks_our_frames)
        .test("programs/strace_counts_one_call_for_each_operation", strace_counts)
        .role("echoes", echoes)
}

fn soon() -> Wait {
    Wait::timeout(Duration::from_secs(30))
}

fn cat_reads_our_fifo() {
    let fifo = FifoOptions::new().create(dir().join("fifo")).expect("create");
    let cat = Command::new("cat").arg(fifo.path()).stdout(Stdio::piped()).spawn().expect("cat");
    let mut tx = fifo.open_writer(soon()).expect("cat opens it");
    tx.write_all(b"meow").expect("write");
    drop(tx);
    assert_eq!(cat.wait_with_output().expect("wait").stdout, b"meow");
}

fn we_open_a_fifo_of_mkfifo() {
    let path = dir().join("fifo");
    assert!(Command::new("mkfifo").arg(&path).status().expect("mkfifo").success());
    let fifo = FifoOptions::new().open(&path).expect("open");
    let mut shell = Command::new("sh")
        .args(["-c", "echo from the shell > \"$1\"", "sh"])
        .arg(&path)
        .spawn()
        .expect("sh");
    let mut text = String::new();
    let mut rx = fifo.open_reader(soon()).expect("the shell opens it");
    rx.read_to_string(&mut text).expect("read");
    assert_eq!(text, "from the shell\n");
    assert!(shell.wait().expect("wait").success());
    fifo.unlink().expect("unlink");
}

/// The way that the documentation describes for children that are not written in Rust.
fn shell_child_gets_an_end() {
    let (mut rx, tx) = pipe().expect("pipe");
    let mut command = Command::new("bash");
    command.args(["-c", "echo hello >&\"${IPC_HANDOFF_OUT%%:*}\""]);
    need("bash", "bash");
    tx.give(&mut command, "out").expect("give");
    assert!(command.status().expect("bash").success());
    drop(command);
    let mut text = String::new();
    rx.read_to_string(&mut text).expect("read");
    assert_eq!(text, "hello\n");
}

fn standard_input_is_an_end() {
    let (rx, mut tx) = pipe().expect("pipe");
    let mut command = Command::new("cat");
    command.stdin(std::os::fd::OwnedFd::from(rx)).stdout(Stdio::piped());
    let cat = command.spawn().expect("cat");
    drop(command);
    tx.write_all(b"in").expect("write");
    drop(tx);
    assert_eq!(cat.wait_with_output().expect("wait").stdout, b"in");
}

const SENDER: &str = r#"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
int main(void) {
    int fd = atoi(getenv("IPC_HANDOFF_PACKETS"));
    const char *words[] = {"three", "small", "packets"};
    for (int i = 0; i < 3; i++)
        if (write(fd, words[i], strlen(words[i])) < 0) return 1;
    return 0;
}
"#;

fn c_program_sends_packets() {
    let program = CProgram::compile("sender", SENDER, &[]);
    let (mut rx, tx) = PipeOptions::new().open_packet().expect("pipe");
    let mut command = program.command();
    tx.give(&mut command, "packets").expect("give");
    assert!(command.status().expect("run it").success());
    drop(command);
    let mut buf = [0; 64];
    for word in ["three", "small", "packets"] {
        let n = rx.recv_with(&mut buf, soon()).expect("receive");
        assert_eq!(&buf[..n], word.as_bytes());
    }
}

const ECHO: &str = r"
import struct, sys
while header := sys.stdin.buffer.read(4):
    (length,) = struct.unpack('<I', header)
    body = sys.stdin.buffer.read(length)[::-1]
    sys.stdout.buffer.write(struct.pack('<I', len(body)) + body)
    sys.stdout.buffer.flush()
";

fn python_speaks_our_frames() {
    need("python3", "python3");
    let (rx, child_tx) = pipe().expect("pipe");
    let (child_rx, tx) = pipe().expect("pipe");
    let mut command = Command::new("python3");
    command.args(["-c", ECHO]);
    command.stdin(std::os::fd::OwnedFd::from(child_rx));
    command.stdout(std::os::fd::OwnedFd::from(child_tx));
    let mut python = command.spawn().expect("python3");
    drop(command);
    let (mut tx, mut rx) = (Framed::new(tx, 1 << 20), Framed::new(rx, 1 << 20));
    for len in [0, 1, 4095, 4096, 4097, 300_000] {
        let msg: Vec<u8> = (0..len).map(|n| (n % 253) as u8).collect();
        let mut back = vec![0; len];
        tx.send_with(&msg, soon()).expect("send");
        assert_eq!(rx.recv_with(&mut back, soon()), Ok(len));
        back.reverse();
        assert!(back == msg, "a message of {len} bytes came back changed");
    }
    drop(tx);
    assert!(python.wait().expect("wait").success());
}

/// How many round trips `strace` counts.
const TRIPS: usize = 1000;

fn strace_counts() {
    need("strace", "strace");
    let (mut here, there) = PipeOptions::new().open_duplex().expect("pipes");
    let mut peer = Peer::cast("echoes");
    there.give(peer.command(), "end").expect("give");
    let mut peer = peer.start();
    peer.expect("ready");

    let strace = Strace::attach(&peer, &[]);
    peer.tell("go");
    let mut buf = *b"round trip";
    for _ in 0..TRIPS {
        here.write_all(&buf).expect("write");
        here.read_exact(&mut buf).expect("read");
    }
    peer.join();

    let log_text = strace.log();
    // From the first round trip to the last, nothing but a read and a write for each.
    let trips: Vec<_> = log_text
        .lines()
        .skip_while(|line| !line.contains("round trip"))
        .take_while(|line| line.contains("round trip"))
        .collect();
    let of = |call: &str| trips.iter().filter(|line| line.starts_with(call)).count();
    assert_eq!((of("read("), of("write(")), (TRIPS, TRIPS), "{log_text}");
    assert_eq!(trips.len(), 2 * TRIPS, "other calls came in between: {log_text}");
}

fn echoes() {
    let mut end = DuplexPipe::adopt("end").expect("adopt");
    say("ready");
    assert_eq!(hear(), "go");
    let mut buf = [0; 10];
    for _ in 0..TRIPS {
        end.read_exact(&mut buf).expect("read");
        end.write_all(&buf).expect("write");
    }
}
