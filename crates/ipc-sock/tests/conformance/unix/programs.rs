//! Programs that nobody here wrote: socat, Python, a C compiler's output; and our examples.

use std::fs::{self, File};
use std::os::fd::AsFd;
use std::process::Command;

use ipc_core::{Error, ErrorKind, Listen, ReadBytes, RecvMsg, SendMsg, WriteBytes};
use ipc_sock::unix::{Address, SealedMemfd, Seals, Stream, Trust};
use ipc_testkit::{CProgram, Harness, Talker, dir, need, run_examples, unique_name};

use super::tools::{self, NEW, path, soon};

pub(super) fn cases(harness: Harness) -> Harness {
    harness
        .test("unix/programs/socat_connects_to_ours", socat_connects)
        .test("unix/programs/we_connect_to_socat", we_connect_to_socat)
        .test("unix/programs/socat_sends_and_receives_datagrams", socat_datagrams)
        .test("unix/programs/socat_speaks_seqpacket", socat_seqpacket)
        .test("unix/programs/python_exchanges_descriptors_over_streams", python_streams)
        .test("unix/programs/python_exchanges_descriptors_over_messages", python_messages)
        .test("unix/programs/python_passes_a_sealed_memfd", python_sealed)
        .test("unix/programs/a_c_program_exchanges_descriptors", c_program)
        .test("unix/programs/the_examples_run", examples)
}

fn socat(addresses: [&str; 2]) -> Talker {
    need("socat", "socat");
    Talker::start(Command::new("socat").args(addresses))
}

/// Says something each way.
fn talk(conn: &mut Stream, socat: &mut Talker) -> Result<(), Error> {
    socat.tell("from socat");
    let mut buf = [0; 11];
    conn.read_exact_with(&mut buf, soon())?;
    assert_eq!(&buf, b"from socat\n");
    conn.write_all_with(b"to socat\n", soon())?;
    socat.expect("to socat");
    Ok(())
}

fn socat_connects() -> Result<(), Error> {
    let listener = NEW.listen(path())?;
    let mut client = socat(["STDIO", &format!("UNIX-CONNECT:{}", path().display())]);
    talk(&mut listener.accept_with(soon())?, &mut client)?;
    client.join();

    let name = unique_name();
    let listener = NEW.listen(Address::abstract_name(&name)?)?;
    let mut client = socat(["STDIO", &format!("ABSTRACT-CONNECT:{name}")]);
    talk(&mut listener.accept_with(soon())?, &mut client)?;
    client.join();
    Ok(())
}

/// Connects once somebody listens there.
fn connect(address: &Address) -> Result<Stream, Error> {
    loop {
        match NEW.connect(address, soon()) {
            Err(error)
                if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) =>
            {
                std::thread::yield_now();
            }
            connected => return connected,
        }
    }
}

fn we_connect_to_socat() -> Result<(), Error> {
    let mut server = socat(["STDIO", &format!("UNIX-LISTEN:{}", path().display())]);
    let mut conn = connect(&Address::path(path())?)?;
    talk(&mut conn, &mut server)?;
    drop(conn);
    server.join();
    let name = unique_name();
    let mut server = socat(["STDIO", &format!("ABSTRACT-LISTEN:{name}")]);
    let mut conn = connect(&Address::abstract_name(&name)?)?;
    talk(&mut conn, &mut server)?;
    drop(conn);
    server.join();
    Ok(())
}

fn socat_datagrams() -> Result<(), Error> {
    let name = unique_name();
    for (address, at) in [
        (Address::path(path())?, format!("UNIX-%:{}", path().display())),
        (Address::abstract_name(&name)?, format!("ABSTRACT-%:{name}")),
    ] {
        let mut log = NEW.trust(Trust::Anyone).bind_datagram(&address)?;
        let mut sender = socat(["STDIO", &at.replace('%', "SENDTO")]);
        sender.tell("from socat");
        let mut buf = [0; 64];
        let len = log.recv_with(&mut buf, soon())?;
        assert_eq!(&buf[..len], b"from socat\n");
        sender.join();
        drop(log);

        let mut receiver = Command::new("socat");
        receiver.args(["-u", &at.replace('%', "RECV"), "STDOUT"]);
        let mut receiver = Talker::start(&mut receiver);
        let sender = NEW.datagram()?;
        while let Err(error) = sender.send_to(b"to socat\n", &address, soon()) {
            let not_yet = [ErrorKind::NotFound, ErrorKind::ConnectionRefused];
            assert!(not_yet.contains(&error.kind()), "{error}");
            std::thread::yield_now();
        }
        receiver.expect("to socat");
        receiver.kill();
        let _ = fs::remove_file(path());
    }
    Ok(())
}

fn socat_seqpacket() -> Result<(), Error> {
    let listener = NEW.listen_seqpacket(path())?;
    // SOCK_SEQPACKET is 5.
    let mut client = socat(["STDIO", &format!("UNIX-CONNECT:{},type=5", path().display())]);
    let mut server = listener.accept_with(soon())?;
    let mut buf = [0; 64];
    for word in ["one", "two"] {
        client.tell(word);
        let len = server.recv_with(&mut buf, soon())?;
        assert_eq!(&buf[..len], format!("{word}\n").as_bytes());
    }
    server.send(b"three\n")?;
    client.expect("three");
    client.join();
    assert_eq!(server.recv(&mut buf).expect_err("it has gone").kind(), ErrorKind::Disconnected);
    Ok(())
}

/// Takes two descriptors, tells what is in them, and sends two of its own.
const EXCHANGES: &str = "
msg, fds, flags, sender = socket.recv_fds(s, 64, 8)
print(msg.decode(), len(fds), *[os.pread(fd, 64, 0).decode() for fd in fds])
files = [os.memfd_create('python') for i in range(2)]
for i, fd in enumerate(files): os.pwrite(fd, b'python %d' % i, 0)
socket.send_fds(s, [b'from ', b'python'], files)
sys.stdin.readline()";

/// Files with contents that can be told apart.
fn files() -> [SealedMemfd; 2] {
    [b"first", b"other"].map(|text| SealedMemfd::new(text).expect("memfd"))
}

#[track_caller]
fn are_pythons(message: &ipc_sock::unix::Message, bytes: &[u8]) {
    assert_eq!(&bytes[..message.len], b"from python");
    let text = message.fds.iter().map(|fd| {
        let mut buf = [0; 64];
        let len = rustix::io::pread(fd, &mut buf, 0).expect("read");
        String::from_utf8_lossy(&buf[..len]).into_owned()
    });
    assert_eq!(text.collect::<Vec<_>>(), ["python 0", "python 1"]);
}

fn python_streams() -> Result<(), Error> {
    let listener = NEW.listen(path())?;
    let script = format!("s = socket.socket(UNIX, STREAM); s.connect(name){EXCHANGES}");
    let mut python = tools::python(&script, &Address::path(path())?);
    let server = listener.accept_with(soon())?;
    let files = files();
    server.send_message(b"take these", &files.each_ref().map(AsFd::as_fd), soon())?;
    python.expect("take these 2 first other");
    let mut buf = [0; 64];
    are_pythons(&server.recv_message(&mut buf, soon())?, &buf);
    python.join();
    Ok(())
}

fn python_messages() -> Result<(), Error> {
    let files = files();
    let fds = files.each_ref().map(AsFd::as_fd);
    let mut buf = [0; 64];
    let listener = NEW.listen_seqpacket(path())?;
    let script = format!("s = socket.socket(UNIX, SEQPACKET); s.connect(name){EXCHANGES}");
    let mut python = tools::python(&script, &Address::path(path())?);
    let mut server = listener.accept_with(soon())?;
    server.send_message(b"take these", &fds, soon())?;
    python.expect("take these 2 first other");
    are_pythons(&server.recv_message(&mut buf, soon())?, &buf);
    python.join();

    let address = Address::path(dir().join("log"))?;
    let mut log = NEW.bind_datagram(&address)?;
    let script = format!(
        "s = socket.socket(UNIX, DGRAM); s.bind(name + b'.python'); s.connect(name)
s.send(b'here I am'){EXCHANGES}"
    );
    let mut python = tools::python(&script, &address);
    let client = log.recv_message(&mut buf, soon())?.sender;
    assert_eq!(client.as_path(), Some(dir().join("log.python").as_path()));
    log.send_message_to(b"take these", &fds, &client, soon())?;
    python.expect("take these 2 first other");
    are_pythons(&log.recv_message(&mut buf, soon())?, &buf);
    python.join();
    fs::remove_file(dir().join("log.python")).expect("Python leaves its name");
    Ok(())
}

fn python_sealed() -> Result<(), Error> {
    let listener = NEW.listen_seqpacket(path())?;
    let script = "
import fcntl
s = socket.socket(UNIX, SEQPACKET); s.connect(name)
for seals in [0, fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL]:
    fd = os.memfd_create('python', os.MFD_ALLOW_SEALING)
    os.write(fd, b'sealed by python')
    if seals: fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals)
    socket.send_fds(s, [b'look'], [fd])
sys.stdin.readline()";
    let python = tools::python(script, &Address::path(path())?);
    let mut server = listener.accept_with(soon())?;
    let unsealed = server.recv_sealed(&mut [0; 8], Seals::CONTENTS, soon());
    let kind = unsealed.expect_err("it is not sealed").kind();
    assert!(matches!(kind, ErrorKind::WrongType { .. }), "{kind:?}");
    let (len, memfd) = server.recv_sealed(&mut [0; 8], Seals::CONTENTS, soon())?;
    assert_eq!((len, &memfd.read(100)?[..]), (4, &b"sealed by python"[..]));
    python.join();
    Ok(())
}

const C_PEER: &str = r#"
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int main(int argc, char **argv) {
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    strncpy(name.sun_path, argv[1], sizeof name.sun_path - 1);
    int s = socket(AF_UNIX, SOCK_STREAM, 0);
    if (connect(s, (struct sockaddr *)&name, sizeof name)) return perror("connect"), 1;

    char text[64];
    union { char room[CMSG_SPACE(sizeof(int))]; struct cmsghdr align; } control;
    struct iovec iov = {text, sizeof text};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1,
                         .msg_control = &control, .msg_controllen = sizeof control};
    ssize_t n = recvmsg(s, &msg, 0);
    if (n != 10 || memcmp(text, "write here", 10)) return 2;
    struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
    if (!cmsg || cmsg->cmsg_type != SCM_RIGHTS) return 3;
    int fd;
    memcpy(&fd, CMSG_DATA(cmsg), sizeof fd);
    if (write(fd, "written by C", 12) != 12) return 4;

    iov.iov_len = 6;
    memcpy(text, "done it", 6);
    msg.msg_controllen = sizeof control;
    memcpy(CMSG_DATA(cmsg), &fd, sizeof fd);
    return sendmsg(s, &msg, 0) == 6 ? 0 : 5;
}
"#;

fn c_program() -> Result<(), Error> {
    let program = CProgram::compile("peer", C_PEER, &[]);
    let listener = NEW.listen(path())?;
    let peer = Talker::start(program.command().arg(path()));
    let server = listener.accept_with(soon())?;
    let file = dir().join("file");
    let ours = File::create_new(&file).expect("create");
    server.send_message(b"write here", &[ours.as_fd()], soon())?;
    let mut buf = [0; 64];
    let message = server.recv_message(&mut buf, soon())?;
    assert_eq!(&buf[..message.len], b"done i");
    assert_eq!(message.fds.len(), 1, "the C program sends it back");
    assert_eq!(fs::read_to_string(&file).expect("read"), "written by C");
    peer.join();
    fs::remove_file(file).expect("remove");
    Ok(())
}

fn examples() {
    run_examples(&[("unix_server", ""), ("pass_descriptors", "")]);
}
