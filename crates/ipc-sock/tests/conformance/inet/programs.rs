//! Programs that nobody here wrote, over TCP and UDP: socat, Python, strace.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::process::{Child, ChildStdout, Command, Stdio};

use ipc_core::{ErrorKind, Framed, Handoff, Listen, ReadBytes, RecvMsg, SendMsg};
use ipc_sock::{tcp, udp};
use ipc_testkit::{Harness, Peer, Strace, hear, need, say};

use super::loopback;
use crate::unix::tools::soon;

pub(super) fn cases(harness: Harness) -> Harness {
    harness
        .test("inet/programs/socat_connects_to_our_tcp_listener", socat_connects)
        .test("inet/programs/we_connect_to_a_tcp_listener_of_socat", socat_listens)
        .test("inet/programs/socat_sends_to_our_udp_socket", socat_sends)
        .test("inet/programs/we_send_to_a_udp_socket_of_socat", socat_receives)
        .test("inet/programs/python_connects_to_our_tcp_listener", python_connects)
        .test("inet/programs/we_connect_to_a_tcp_listener_of_python", python_listens)
        .test("inet/programs/python_talks_to_our_udp_socket", python_talks)
        .test("inet/programs/we_talk_to_a_udp_socket_of_python", python_answers)
        .test("inet/programs/strace_counts_one_call_for_each_tcp_operation", strace_counts_tcp)
        .role("inet/programs/echoes_tcp", echoes_tcp)
        .test("inet/programs/strace_counts_one_call_for_each_udp_operation", strace_counts_udp)
        .role("inet/programs/echoes_udp", echoes_udp)
}

fn socat(args: &[&str]) -> Command {
    need("socat", "socat");
    let mut command = Command::new("socat");
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped());
    command
}

fn python(script: &str, port: u16) -> Command {
    need("python3", "python3");
    let mut command = Command::new("python3");
    command.args(["-c", script, &port.to_string()]).stdout(Stdio::piped());
    command
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    let listener = tcp::SocketOptions::new().listen(loopback()).expect("listen");
    listener.local_address().expect("address").port()
}

fn at(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// Waits for the program to end of itself.
fn ends(mut child: Child) {
    drop(child.stdin.take());
    assert!(child.wait().expect("wait").success(), "the program failed");
}

/// Connects to a program that is about to listen.
fn connect(port: u16) -> tcp::Stream {
    loop {
        match tcp::SocketOptions::new().connect(at(port), soon()) {
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => std::thread::yield_now(),
            result => return result.expect("connect"),
        }
    }
}

fn socat_connects() {
    let listener = tcp::SocketOptions::new().listen(loopback()).expect("listen");
    let to = format!("TCP-CONNECT:{}", listener.local_address().expect("address"));
    let mut socat = socat(&["-", &to]).spawn().expect("socat");
    socat.stdin.take().expect("a pipe").write_all(b"from socat\n").expect("write");
    let mut stream = listener.accept_with(soon()).expect("accept");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("read");
    assert_eq!(text, "from socat\n");
    stream.write_all(b"and back").expect("write");
    drop(stream);
    assert_eq!(socat.wait_with_output().expect("wait").stdout, b"and back");
}

fn socat_listens() {
    let port = free_port();
    let socat = socat(&[&format!("TCP-LISTEN:{port},bind=127.0.0.1,reuseaddr"), "PIPE"]).spawn();
    let stream = connect(port);
    let message: Vec<u8> = (0..300_000).map(|n| (n % 253) as u8).collect();
    let mut back = vec![0; message.len()];
    std::thread::scope(|scope| {
        scope.spawn(|| (&stream).write_all(&message).expect("write"));
        (&stream).read_exact(&mut back).expect("read");
    });
    assert!(back == message, "what came back was changed");
    stream.shutdown(Shutdown::Write).expect("shutdown");
    assert_eq!((&stream).read_with(&mut [0; 8], soon()), Ok(0));
    ends(socat.expect("socat"));
}

fn socat_sends() {
    let mut socket = udp::SocketOptions::new().bind(loopback()).expect("bind");
    let to = format!("UDP-SENDTO:{}", socket.local_address().expect("address"));
    let mut socat = socat(&["-t5", "-", &to]).spawn().expect("socat");
    socat.stdin.as_mut().expect("a pipe").write_all(b"from socat").expect("write");
    let mut buf = [0; 64];
    let (n, who) = socket.recv_from(&mut buf, soon()).expect("receive");
    assert_eq!(&buf[..n], b"from socat");
    socket.send_to(b"and back", who, soon()).expect("send");
    let mut back = [0; 8];
    socat.stdout.as_mut().expect("a pipe").read_exact(&mut back).expect("read");
    assert_eq!(&back, b"and back");
    ends(socat);
}

fn socat_receives() {
    let port = free_port();
    let from = format!("UDP-RECVFROM:{port},bind=127.0.0.1");
    let socat = socat(&[&from, "PIPE"]).spawn().expect("socat");
    let mut socket = udp::SocketOptions::new().connect(at(port)).expect("connect");
    let mut buf = [0; 64];
    // Again and again until it is there: before that, it is refused.
    let n = loop {
        match socket.send(b"there and back").and_then(|()| socket.recv_with(&mut buf, soon())) {
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => std::thread::yield_now(),
            result => break result.expect("an answer"),
        }
    };
    assert_eq!(&buf[..n], b"there and back");
    ends(socat);
}

const CLIENT: &str = r"
import socket, struct, sys
s = socket.create_connection(('127.0.0.1', int(sys.argv[1])))
f = s.makefile('rwb')
while header := f.read(4):
    (length,) = struct.unpack('<I', header)
    body = f.read(length)[::-1]
    f.write(struct.pack('<I', len(body)) + body)
    f.flush()
";

/// Talks in our frames with a program that sends each back reversed.
fn exchange_frames(stream: tcp::Stream) {
    let mut frames = Framed::new(stream, 1 << 20);
    for len in [0, 1, 1460, 65_535, 65_536, 300_000] {
        let msg: Vec<u8> = (0..len).map(|n| (n % 253) as u8).collect();
        let mut back = vec![0; len];
        frames.send_with(&msg, soon()).expect("send");
        assert_eq!(frames.recv_with(&mut back, soon()), Ok(len));
        back.reverse();
        assert!(back == msg, "a message of {len} bytes came back changed");
    }
}

fn python_connects() {
    let listener = tcp::SocketOptions::new().listen(loopback()).expect("listen");
    let port = listener.local_address().expect("address").port();
    let python = python(CLIENT, port).spawn().expect("python3");
    exchange_frames(listener.accept_with(soon()).expect("accept"));
    ends(python);
}

const SERVER: &str = r"
import socket, struct, sys
l = socket.create_server(('127.0.0.1', int(sys.argv[1])))
print(l.getsockname()[1], flush=True)
s, _ = l.accept()
f = s.makefile('rwb')
while header := f.read(4):
    (length,) = struct.unpack('<I', header)
    body = f.read(length)[::-1]
    f.write(struct.pack('<I', len(body)) + body)
    f.flush()
";

/// The port that a program says it has.
fn told_port(child: &mut Child) -> u16 {
    let out: &mut ChildStdout = child.stdout.as_mut().expect("a pipe");
    let mut line = String::new();
    BufReader::new(out).read_line(&mut line).expect("read");
    line.trim().parse().unwrap_or_else(|_| panic!("{line:?} is no port"))
}

fn python_listens() {
    let mut python = python(SERVER, 0).spawn().expect("python3");
    let port = told_port(&mut python);
    exchange_frames(connect(port));
    ends(python);
}

const SENDER: &str = r"
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(('127.0.0.1', 0))
to = ('127.0.0.1', int(sys.argv[1]))
for length in (0, 1, 1472, 1473, 65507):
    s.sendto(b'x' * length, to)
    answer, who = s.recvfrom(100)
    assert who == to and answer == str(length).encode(), (who, answer)
print('well')
";

fn python_talks() {
    let mut socket = udp::SocketOptions::new().bind(loopback()).expect("bind");
    let port = socket.local_address().expect("address").port();
    let python = python(SENDER, port).spawn().expect("python3");
    let mut buf = vec![0; 65_535];
    for len in [0, 1, 1472, 1473, 65_507] {
        let (n, who) = socket.recv_from(&mut buf, soon()).expect("receive");
        assert_eq!(n, len);
        assert!(buf[..n].iter().all(|byte| *byte == b'x'));
        socket.send_to(n.to_string().as_bytes(), who, soon()).expect("send");
    }
    let output = python.wait_with_output().expect("wait");
    assert!(output.status.success() && output.stdout == b"well\n", "{output:?}");
}

const ANSWERER: &str = r"
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(('127.0.0.1', 0))
print(s.getsockname()[1], flush=True)
while True:
    message, who = s.recvfrom(65535)
    s.sendto(message[::-1], who)
    if message == b'stop':
        break
";

fn python_answers() {
    let mut python = python(ANSWERER, 0).spawn().expect("python3");
    let port = told_port(&mut python);
    let mut socket = udp::SocketOptions::new().connect(at(port)).expect("connect");
    let mut buf = vec![0; 65_535];
    for message in ["", "x", &"long ".repeat(13_000), "stop"] {
        socket.send(message.as_bytes()).expect("send");
        let n = socket.recv_with(&mut buf, soon()).expect("receive");
        buf[..n].reverse();
        assert!(buf[..n] == *message.as_bytes(), "it came back changed");
    }
    ends(python);
}

/// How many round trips `strace` counts.
const TRIPS: usize = 1000;

/// Counts the calls of a peer that answers [`TRIPS`] times. `sends` and `receives` are what it must
/// call each time.
fn strace_counts(mut peer: Peer, mut round_trip: impl FnMut(), receives: &str, sends: &str) {
    need("strace", "strace");
    peer.expect("ready");
    let strace = Strace::attach(&peer, &[]);
    peer.tell("go");
    for _ in 0..TRIPS {
        round_trip();
    }
    peer.join();

    let text = strace.log();
    // From the first round trip to the last, nothing but two calls for each.
    let trips: Vec<_> = text
        .lines()
        .skip_while(|line| !line.contains("round trip"))
        .take_while(|line| line.contains("round trip"))
        .collect();
    let of = |call: &str| trips.iter().filter(|line| line.starts_with(call)).count();
    assert_eq!((of(receives), of(sends)), (TRIPS, TRIPS), "{text}");
    assert_eq!(trips.len(), 2 * TRIPS, "other calls came in between: {text}");
}

fn strace_counts_tcp() {
    let (mut here, there) = tcp::SocketOptions::new().pair().expect("pair");
    let mut peer = Peer::cast("inet/programs/echoes_tcp");
    there.give(peer.command(), "end").expect("give");
    let mut buf = *b"round trip";
    let trip = || {
        here.write_all(&buf).expect("write");
        here.read_exact(&mut buf).expect("read");
    };
    strace_counts(peer.start(), trip, "recvfrom(", "sendto(");
}

fn echoes_tcp() {
    let mut end = tcp::Stream::adopt("end").expect("adopt");
    say("ready");
    assert_eq!(hear(), "go");
    let mut buf = [0; 10];
    for _ in 0..TRIPS {
        end.read_exact(&mut buf).expect("read");
        end.write_all(&buf).expect("write");
    }
}

fn strace_counts_udp() {
    let (mut here, there) = udp::SocketOptions::new().pair().expect("pair");
    let mut peer = Peer::cast("inet/programs/echoes_udp");
    there.give(peer.command(), "end").expect("give");
    let trip = || {
        here.send(b"round trip").expect("send");
        assert_eq!(here.recv(&mut [0; 64]), Ok(10));
    };
    strace_counts(peer.start(), trip, "recvfrom(", "sendto(");
}

fn echoes_udp() {
    let mut end = udp::Socket::adopt("end").expect("adopt");
    say("ready");
    assert_eq!(hear(), "go");
    let mut buf = [0; 64];
    for _ in 0..TRIPS {
        let n = end.recv(&mut buf).expect("receive");
        end.send(&buf[..n]).expect("send");
    }
}
