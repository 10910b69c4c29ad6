//! Programs that nobody here wrote: a C compiler's output, Python, util-linux, strace; and our
//! examples.

use std::process::Command;
use std::time::Duration;

use ipc_core::{ErrorKind, Handoff, RecvMsg, SendMsg, Wait};
use ipc_mq::posix::{self, Priority};
use ipc_mq::sysv::{self, Key, MessageType, Select};
use ipc_mq::{Backend, MailboxOptions, MailboxReceiver, MailboxSender};
use ipc_testkit::{
    CProgram, Harness, Peer, Strace, Talker, hear, need, need_python, run, run_examples, say,
};

use crate::fixtures::{fresh_key, fresh_name};

pub(crate) fn cases(harness: Harness) -> Harness {
    harness
        .test("programs/a_c_program_feeds_and_drains_both", c_program)
        .test("programs/we_feed_and_drain_queues_of_a_c_program", c_owner)
        .test("programs/python_posix_ipc_feeds_and_drains_ours", python_posix_ours)
        .test("programs/we_feed_and_drain_pythons_posix_queue", python_posix_theirs)
        .test("programs/python_sysv_ipc_feeds_and_drains_ours", python_sysv_ours)
        .test("programs/we_feed_and_drain_pythons_sysv_queue", python_sysv_theirs)
        .test("programs/ipcs_and_lsipc_see_ours_and_ipcrm_removes_it", ipcs_lsipc_ipcrm)
        .test("programs/we_see_use_and_remove_a_queue_of_ipcmk", ipcmk)
        .test("programs/strace_counts_one_call_for_each_operation", strace_counts)
        .role("echoes_and_polls", echoes_and_polls)
        .test("programs/the_examples_run", examples)
}

pub(crate) fn soon() -> Wait {
    Wait::timeout(Duration::from_secs(30))
}

const C_PEER: &str = r#"
#include <fcntl.h>
#include <mqueue.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/msg.h>

/* Sends two messages of different priority or type, and takes what it is sent. */
int main(int argc, char **argv) {
    char buf[8192];
    unsigned prio;
    mqd_t q = mq_open(argv[1], O_RDWR);
    if (q < 0) return perror("mq_open"), 1;
    if (mq_receive(q, buf, sizeof buf, &prio) != 7 || memcmp(buf, "from us", 7) || prio != 5)
        return perror("mq_receive"), 2;
    if (mq_send(q, "low", 3, 1) || mq_send(q, "high", 4, 32767)) return perror("mq_send"), 3;

    struct { long type; char text[100]; } msg = {0};
    int id = msgget((key_t)strtol(argv[2], NULL, 10), 0);
    if (id < 0) return perror("msgget"), 4;
    if (msgrcv(id, &msg, sizeof msg.text, 42, 0) != 7 || memcmp(msg.text, "from us", 7))
        return perror("msgrcv"), 5;
    msg.type = 9; strcpy(msg.text, "nine");
    if (msgsnd(id, &msg, 4, 0)) return perror("msgsnd"), 6;
    msg.type = 3; strcpy(msg.text, "three");
    if (msgsnd(id, &msg, 5, 0)) return perror("msgsnd"), 7;
    return 0;
}
"#;

const C_OWNER: &str = r#"
#include <mqueue.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/msg.h>

/* Creates both queues, puts a message into each, waits for an answer in each, and removes them. */
int main(int argc, char **argv) {
    char buf[64];
    struct mq_attr attr = {.mq_maxmsg = 1, .mq_msgsize = sizeof buf};
    mqd_t q = mq_open(argv[1], O_RDWR | O_CREAT | O_EXCL, 0600, &attr);
    if (q < 0 || mq_send(q, "from C", 6, 7)) return perror("mq_open"), 1;
    struct { long type; char text[64]; } msg = {.type = 11, .text = "from C"};
    int id = msgget((key_t)strtol(argv[2], NULL, 10), IPC_CREAT | IPC_EXCL | 0600);
    if (id < 0 || msgsnd(id, &msg, 6, 0)) return perror("msgget"), 2;
    puts("ready");
    fflush(stdout);
    if (getchar() != '!') return 3;
    if (mq_receive(q, buf, sizeof buf, NULL) != 6 || memcmp(buf, "answer", 6)) return 4;
    if (msgrcv(id, &msg, sizeof msg.text, 12, 0) != 6 || memcmp(msg.text, "answer", 6)) return 5;
    if (mq_unlink(argv[1]) || msgctl(id, IPC_RMID, NULL)) return perror("remove"), 6;
    return 0;
}
"#;

fn c_owner() {
    let program = CProgram::compile("owner", C_OWNER, &["-lrt"]);

    let (name, key) = (fresh_name(), fresh_key());
    let mut owner = program.command();
    let mut owner = Talker::start(owner.arg(format!("/{name}")).arg(key.get().to_string()));
    owner.expect("ready");

    let queue = posix::QueueOptions::new().open(&name).expect("open");
    let first = queue.receiver().expect("receiver").recv_message(Wait::Never).expect("receive");
    assert_eq!((&first.body[..], first.priority), (&b"from C"[..], Priority::from(7)));
    queue.sender().expect("sender").send_with(b"answer", Wait::Never).expect("send");
    let typed = sysv::QueueOptions::new().open(key).expect("open");
    let first = typed.receiver().recv_message(Wait::Never).expect("receive");
    assert_eq!((&first.body[..], first.kind.get()), (&b"from C"[..], 11));
    let kind = MessageType::new(12).expect("a type");
    typed.sender().expect("sender").send_typed(b"answer", kind, Wait::Never).expect("send");

    owner.tell("!");
    owner.join();
    assert!(typed.status().is_err(), "it was removed");
}

fn c_program() {
    let program = CProgram::compile("peer", C_PEER, &["-lrt"]);

    let name = fresh_name();
    let queue = posix::QueueOptions::new().create(&name).expect("create");
    let tx = queue.sender().expect("sender");
    tx.send_priority(b"from us", Priority::from(5), Wait::Never).expect("send");
    let typed = sysv::QueueOptions::new().create(fresh_key()).expect("create");
    let kind = |number| MessageType::new(number).expect("a type");
    let mut typed_tx = typed.sender().expect("sender");
    typed_tx.send_typed(b"from us", kind(42), Wait::Never).expect("send");

    run(program.command().arg(format!("/{name}")).arg(typed.key().get().to_string()));

    let mut rx = queue.receiver().expect("receiver");
    let first = rx.recv_message(Wait::Never).expect("receive");
    assert_eq!((&first.body[..], first.priority), (&b"high"[..], Priority::HIGHEST));
    assert_eq!(rx.recv_message(Wait::Never).expect("receive").body, b"low");
    let mut rx = typed.receiver();
    rx.set_select(Select::LowestUpTo(kind(9)));
    let first = rx.recv_message(Wait::Never).expect("receive");
    assert_eq!((&first.body[..], first.kind.get()), (&b"three"[..], 3));
    assert_eq!(rx.recv_message(Wait::Never).expect("receive").body, b"nine");
}

fn python(script: &str, arg: &str) -> String {
    let out = run(Command::new("python3").args(["-c", script, arg]));
    String::from_utf8_lossy(&out.stdout).trim().to_owned()
}

fn python_posix_ours() {
    need_python("posix_ipc");
    let name = fresh_name();
    let queue = posix::QueueOptions::new().create(&name).expect("create");
    let tx = queue.sender().expect("sender");
    tx.send_priority(b"question", Priority::from(3), Wait::Never).expect("send");
    let said = python(
        "import posix_ipc, sys; q = posix_ipc.MessageQueue(sys.argv[1])
m, p = q.receive(10); print(m.decode(), p, q.max_messages, q.max_message_size)
q.send(b'answer', priority=4); q.close()",
        &format!("/{name}"),
    );
    let sizes = queue.attributes().expect("attributes");
    assert_eq!(said, format!("question 3 {} {}", sizes.capacity, sizes.message_size));
    let answer = queue.receiver().expect("receiver").recv_message(Wait::Never).expect("receive");
    assert_eq!((&answer.body[..], answer.priority.get()), (&b"answer"[..], 4));
}

fn python_posix_theirs() {
    need_python("posix_ipc");
    let name = fresh_name();
    let path = format!("/{name}");
    python(
        "import posix_ipc, sys
q = posix_ipc.MessageQueue(sys.argv[1], posix_ipc.O_CREX, max_messages=4, max_message_size=99)
q.send(b'from python', priority=2); q.close()",
        &path,
    );
    let queue = posix::QueueOptions::new().open(&name).expect("open");
    let sizes = queue.attributes().expect("attributes");
    assert_eq!((sizes.capacity, sizes.message_size, sizes.messages), (4, 99, 1));
    let got = queue.receiver().expect("receiver").recv_message(Wait::Never).expect("receive");
    assert_eq!(got.body, b"from python");
    queue.sender().expect("sender").send(b"to python").expect("send");
    let said = python(
        "import posix_ipc, sys; q = posix_ipc.MessageQueue(sys.argv[1])
print(q.receive(10)[0].decode()); q.close()",
        &path,
    );
    assert_eq!(said, "to python");
    queue.unlink().expect("unlink");
}

fn python_sysv_ours() {
    need_python("sysv_ipc");
    let queue = sysv::QueueOptions::new().create(fresh_key()).expect("create");
    let kind = |number| MessageType::new(number).expect("a type");
    let mut tx = queue.sender().expect("sender");
    tx.send_typed(b"question", kind(3), Wait::Never).expect("send");
    tx.send_typed(b"not this one", kind(8), Wait::Never).expect("send");
    let said = python(
        "import sysv_ipc, sys; q = sysv_ipc.MessageQueue(int(sys.argv[1]))
m, t = q.receive(type=3); print(m.decode(), t, q.id); q.send(b'answer', type=4)",
        &queue.key().get().to_string(),
    );
    assert_eq!(said, format!("question 3 {}", queue.id()));
    let mut rx = queue.receiver();
    rx.set_select(Select::Type(kind(4)));
    assert_eq!(rx.recv_message(Wait::Never).expect("receive").body, b"answer");
}

fn python_sysv_theirs() {
    need_python("sysv_ipc");
    let key = fresh_key();
    let text = key.get().to_string();
    python(
        "import sysv_ipc, sys; q = sysv_ipc.MessageQueue(int(sys.argv[1]), sysv_ipc.IPC_CREX)
q.send(b'from python', type=7)",
        &text,
    );
    let queue = sysv::QueueOptions::new().open(key).expect("open");
    let got = queue.receiver().recv_message(Wait::Never).expect("receive");
    assert_eq!((&got.body[..], got.kind.get()), (&b"from python"[..], 7));
    queue.sender().expect("sender").send(b"to python").expect("send");
    let said = python(
        "import sysv_ipc, sys; q = sysv_ipc.MessageQueue(int(sys.argv[1]))
print(q.receive(block=False)[0].decode()); q.remove()",
        &text,
    );
    assert_eq!(said, "to python");
    assert_eq!(queue.status().expect_err("python removed it").kind(), ErrorKind::NotFound);
}

fn ipcs_lsipc_ipcrm() {
    need("ipcs", "util-linux");
    let queue = sysv::QueueOptions::new().mode(0o640).create(fresh_key()).expect("create");
    queue.sender().expect("sender").send(b"12345").expect("send");
    let id = queue.id().to_string();
    let out = run(Command::new("ipcs").arg("-q"));
    let text = String::from_utf8_lossy(&out.stdout);
    let line: Vec<_> = text
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .find(|fields| fields.get(1) == Some(&id.as_str()))
        .unwrap_or_else(|| panic!("ipcs does not show {id}: {text}"));
    assert_eq!(line[0], queue.key().to_string());
    assert_eq!(line[3..], ["640", "5", "1"]);
    need("lsipc", "util-linux");
    let lsipc = ["-q", "-i", &id, "-r", "-o", "ID,PERMS,USEDBYTES,MSGS"];
    let out = run(Command::new("lsipc").args(lsipc));
    assert!(String::from_utf8_lossy(&out.stdout).contains(&id), "lsipc does not show it");
    let mut rx = queue.receiver();
    rx.recv(&mut [0; 8]).expect("receive");
    let receive = ipc_testkit::block("recv", move || rx.recv(&mut [0; 8]));
    need("ipcrm", "util-linux");
    run(Command::new("ipcrm").args(["-q", &id]));
    let error = receive.join().expect_err("ipcrm removed it");
    assert_eq!(error.kind(), ErrorKind::Disconnected);
    assert_eq!(queue.unlink().expect_err("it is gone").kind(), ErrorKind::NotFound);
}

fn ipcmk() {
    need("ipcmk", "util-linux");
    let out = run(Command::new("ipcmk").args(["-Q", "-p", "0600"]));
    let text = String::from_utf8_lossy(&out.stdout);
    let id = text.trim().rsplit(' ').next().and_then(|it| it.parse().ok()).expect("an id");
    let listed = sysv::queues().expect("list").into_iter().find(|it| it.id == id).expect("listed");
    assert_ne!(listed.status.key, Key::PRIVATE);
    let queue = sysv::QueueOptions::new().open(listed.status.key).expect("open");
    assert_eq!(queue.id(), id);
    queue.sender().expect("sender").send(b"x").expect("send");
    assert_eq!(queue.receiver().try_recv(&mut [0; 8]), Ok(1));
    queue.unlink().expect("remove");
}

/// How many operations of each sort `strace` counts.
const TRIPS: usize = 300;

fn strace_counts() {
    need("strace", "strace");
    for (backend, send, receive) in [
        (Backend::Posix, "mq_timedsend(", "mq_timedreceive("),
        (Backend::SystemV, "msgsnd(", "msgrcv("),
    ] {
        let options = MailboxOptions::new().backend(backend);
        let (there, back) = (
            options.create(&fresh_name()).expect("create"),
            options.create(&fresh_name()).expect("create"),
        );
        let mut peer = Peer::cast("echoes_and_polls");
        there.receiver().expect("receiver").give(peer.command(), "rx").expect("give");
        back.sender().expect("sender").give(peer.command(), "tx").expect("give");
        let mut peer = peer.start();
        peer.expect("ready");
        let strace = Strace::attach(&peer, &[]);
        peer.tell("go");
        let mut tx = there.sender().expect("sender");
        let mut rx = back.receiver().expect("receiver");
        for _ in 0..TRIPS {
            tx.send_with(b"round trip", soon()).expect("send");
            assert_eq!(rx.recv_message(soon()).expect("receive"), b"round trip");
        }
        peer.join();

        let text = strace.log();
        let calls: Vec<_> = text
            .lines()
            .skip_while(|line| !line.starts_with(receive))
            .take_while(|line| line.starts_with(send) || line.starts_with(receive))
            .collect();
        let of = |call: &str| calls.iter().filter(|line| line.starts_with(call)).count();
        // The round trips, then as many receives that would have to wait: nothing else in between.
        assert_eq!((of(send), of(receive)), (TRIPS, 2 * TRIPS), "{text}");
    }
}

fn echoes_and_polls() {
    let mut rx = MailboxReceiver::adopt("rx").expect("adopt");
    let mut tx = MailboxSender::adopt("tx").expect("adopt");
    // Whatever is set up at the first use.
    let mut buf = vec![0; 8192];
    assert!(rx.try_recv(&mut buf).is_err());
    say("ready");
    assert_eq!(hear(), "go");
    for _ in 0..TRIPS {
        let len = rx.recv(&mut buf).expect("receive");
        tx.send(&buf[..len]).expect("send");
    }
    for _ in 0..TRIPS {
        assert_eq!(rx.try_recv(&mut buf).expect_err("empty").kind(), ErrorKind::WouldBlock);
    }
}

fn examples() {
    run_examples(&[
        ("posix_priority", ""),
        ("sysv_typed", ""),
        ("notified_server", ""),
        ("mailbox", ""),
    ]);
}
