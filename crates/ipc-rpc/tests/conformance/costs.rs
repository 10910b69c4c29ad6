//! What a call asks of the kernel, as `strace` sees it.

use ipc_rpc::{Client, ClientOptions, HostOptions, RecvFrame, SendFrame};
use ipc_shm::ring::{RingOptions, Strategy};
use ipc_testkit::{Harness, Peer, Strace, hear, need, say};

use crate::service::{Served, TestClient, crossed, over_seqpacket};

type Checked = Result<(), Box<dyn std::error::Error>>;

pub(crate) fn cases(harness: Harness) -> Harness {
    harness
        .test("costs/a_call_over_a_socket_is_one_send_and_one_receive_of_each_side", socket)
        .test("costs/a_call_over_rings_is_no_system_call", rings)
        .role("costs/over_a_socket", over_a_socket)
        .role("costs/over_rings", over_rings)
}

const CALLS: i64 = 400;

/// Makes the calls while it is watched.
fn calls<L: SendFrame + RecvFrame>(mut client: TestClient<Client<L>>, served: Served) -> Checked {
    say("ready");
    assert_eq!(hear(), "go");
    for n in 0..CALLS {
        assert_eq!(client.add(n, 1)?, n + 1);
    }
    drop(client);
    served.join();
    Ok(())
}

fn over_a_socket() -> Checked {
    let (client, served) = over_seqpacket(&HostOptions::new());
    calls(client, served)
}

fn over_rings() -> Checked {
    let options = RingOptions::new().strategy(Strategy::Spin);
    let (ours, theirs) = crossed(options.pair()?, options.pair()?);
    let served = Served::start(theirs, &HostOptions::new());
    calls(TestClient::connect(ours, &ClientOptions::new())?, served)
}

/// The system calls of a process, its client and its server: those that send, those that receive, and all.
fn counted(role: &str) -> (usize, usize, usize) {
    need("strace", "strace");
    let mut peer = Peer::start(role);
    peer.expect("ready");
    let strace = Strace::attach(&peer, &["-f"]);
    peer.tell("go");
    peer.join();
    let log = strace.log();
    // The second half of a call that another thread's came between is no call of its own.
    let called: Vec<_> =
        log.lines().filter(|it| it.contains('(') && !it.contains("resumed")).collect();
    let of = |names: [&str; 2]| {
        called.iter().filter(|it| names.iter().any(|name| it.contains(name))).count()
    };
    (of([" sendto(", " sendmsg("]), of([" recvfrom(", " recvmsg("]), called.len())
}

fn socket() -> Checked {
    let calls = usize::try_from(CALLS)?;
    let (sends, receives, all) = counted("costs/over_a_socket");
    assert_eq!(sends, 2 * calls);
    // The server waited before it was watched, and receives the end.
    assert!((2 * calls..=2 * calls + 2).contains(&receives), "{receives} to receive");
    // To hear that it begins, and to end.
    assert!(all < sends + receives + 50, "{all} in all");
    Ok(())
}

fn rings() -> Checked {
    let (sends, receives, all) = counted("costs/over_rings");
    assert_eq!((sends, receives), (0, 0));
    // A ring that waits for long looks whether the other side lives.
    assert!(all < usize::try_from(CALLS)?, "{all} in all, for {CALLS} calls");
    Ok(())
}
