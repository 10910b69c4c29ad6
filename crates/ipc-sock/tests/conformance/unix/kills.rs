//! Peers that are killed at any moment.
//!
//! `IPC_SOCK_KILLS` says how many for each sort of socket; 200 unless set.

use ipc_core::{ErrorKind, Framed, Listen, RecvMsg, Result, SendMsg, Wait};
use ipc_testkit::{Descriptors, Harness, Peer, names_in_dir, say};

use super::tools::{NEW, path, soon};

pub(super) fn cases(mut harness: Harness) -> Harness {
    harness = harness
        .role("unix/kills/sends_until_killed", sends_until_killed)
        .role("unix/kills/receives_until_killed", receives_until_killed);
    for sort in ["unix-stream", "unix-seqpacket", "unix-dgram"] {
        harness = harness
            .test(
                format!("unix/kills/{sort}/killed_senders_leave_whole_messages_in_order"),
                move || killed_senders(sort),
            )
            .test(format!("unix/kills/{sort}/killed_receivers_are_noticed"), move || {
                killed_receivers(sort)
            });
    }
    harness
}

/// How many processes a kill test kills.
pub(crate) fn kills() -> u32 {
    std::env::var("IPC_SOCK_KILLS").map_or(200, |n| n.parse().expect("a number"))
}

/// The longest message.
const MAX: usize = 300_000;

/// A message whose length and every byte follow from its number.
fn body(sort: &str, seq: u32) -> Vec<u8> {
    let len = match seq % 16 {
        // Longer than a stream takes at once, so that frames are torn.
        7 if sort == "unix-stream" => MAX,
        7 => 100_000,
        some => some as usize * 37,
    };
    let mut body = seq.to_le_bytes().to_vec();
    body.resize(len.max(4), seq as u8);
    body
}

/// What a peer sends and receives through.
trait End: SendMsg + RecvMsg {}
impl<T: SendMsg + RecvMsg> End for T {}

fn connect(sort: &str) -> Result<Box<dyn End>> {
    Ok(match sort {
        "unix-stream" => Box::new(Framed::new(NEW.connect(path(), soon())?, MAX as u32)),
        "unix-seqpacket" => Box::new(NEW.connect_seqpacket(path(), soon())?),
        _ => {
            let tx = NEW.datagram()?;
            tx.connect(path())?;
            Box::new(tx)
        }
    })
}

/// Takes who arrives.
type Arrive = Box<dyn Fn() -> Result<Box<dyn End>>>;

fn listen(sort: &str) -> Result<Arrive> {
    Ok(match sort {
        "unix-stream" => {
            let listener = NEW.listen(path())?;
            Box::new(move || Ok(Box::new(Framed::new(listener.accept_with(soon())?, MAX as u32))))
        }
        "unix-seqpacket" => {
            let listener = NEW.listen_seqpacket(path())?;
            Box::new(move || Ok(Box::new(listener.accept_with(soon())?)))
        }
        // One socket for all senders: a round begins when the last one's messages are received.
        _ => {
            let log = NEW.bind_datagram(path())?;
            Box::new(move || Ok(Box::new(log.try_clone()?)))
        }
    })
}

fn sort() -> String {
    std::env::var("SORT").expect("SORT")
}

fn start(role: &str, sort: &str) -> Peer {
    let mut peer = Peer::cast(role);
    peer.command().env("SORT", sort);
    peer.start()
}

/// Asserts that every round has the descriptors of the first one.
fn nothing_leaked(before: &mut Option<Descriptors>, round: u32) {
    let before = before.get_or_insert_with(Descriptors::now);
    let leaked = Descriptors::now().since(before);
    assert_eq!(leaked.0.len(), 0, "round {round} leaked {leaked}");
}

fn killed_senders(sort: &str) -> Result<()> {
    let arrive = listen(sort)?;
    let mut buf = vec![0; MAX];
    let mut before = None;
    for round in 0..kills() {
        let peer = start("unix/kills/sends_until_killed", sort);
        let mut rx = arrive()?;
        let mut next = 0;
        let mut take = |wait| -> Result<()> {
            let len = rx.recv_with(&mut buf, wait)?;
            assert!(buf[..len] == body(sort, next), "round {round}: message {next} is not whole");
            next += 1;
            Ok(())
        };
        for _ in 0..round * 7 % 50 {
            take(soon())?;
        }
        peer.kill();
        // What it sent before it died is there, whole and in order; then comes the end.
        let end = loop {
            if let Err(error) = take(Wait::Never) {
                break error.kind();
            }
        };
        let datagrams = sort == "unix-dgram";
        let documented = if datagrams { ErrorKind::WouldBlock } else { ErrorKind::Disconnected };
        assert_eq!(end, documented, "round {round}");
        drop(rx);
        nothing_leaked(&mut before, round);
    }
    drop(arrive);
    assert!(names_in_dir().is_empty(), "left behind: {:?}", names_in_dir());
    Ok(())
}

fn sends_until_killed() -> Result<()> {
    let sort = sort();
    let mut tx = connect(&sort)?;
    for seq in 0.. {
        // Each way to wait takes its turn.
        let wait = if seq % 2 == 0 { Wait::Forever } else { soon() };
        tx.send_with(&body(&sort, seq), wait)?;
    }
    Ok(())
}

fn killed_receivers(sort: &str) -> Result<()> {
    let mut before = None;
    for round in 0..kills() {
        // It takes over the name that the one before it left.
        let mut peer = start("unix/kills/receives_until_killed", sort);
        peer.expect("ready");
        let mut tx = connect(sort)?;
        let count = round * 7 % 50;
        for seq in 0..count {
            tx.send_with(&body(sort, seq), soon())?;
        }
        peer.kill();
        let end = tx.send_with(&body(sort, count), soon()).expect_err("nobody receives it");
        assert_eq!(end.kind(), ErrorKind::Disconnected, "round {round}: {end}");
        drop(tx);
        assert_eq!(names_in_dir(), ["socket"], "round {round}");
        nothing_leaked(&mut before, round);
    }
    std::fs::remove_file(path()).expect("remove");
    Ok(())
}

fn receives_until_killed() -> Result<()> {
    let sort = sort();
    let arrive = listen(&sort)?;
    say("ready");
    let mut rx = arrive()?;
    let mut buf = vec![0; MAX];
    for seq in 0.. {
        let len = rx.recv_with(&mut buf, soon())?;
        assert!(buf[..len] == body(&sort, seq), "message {seq} is not whole");
    }
    Ok(())
}
