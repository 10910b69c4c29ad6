//! Options, addresses, and openings that fail.

use std::net::{Ipv6Addr, UdpSocket};
use std::time::Duration;

use ipc_core::{ErrorKind, Listen, RecvMsg, Result, SendMsg, Wait};
use ipc_sock::kcp::SocketOptions;
use ipc_testkit::Harness;

use crate::fixtures::{HERE, options};

pub(crate) fn cases(harness: Harness) -> Harness {
    harness
        .test("kcp/options_out_of_range_are_invalid_input", ranges)
        .test("kcp/nobody_at_the_port_is_connection_refused", refused)
        .test("kcp/somebody_who_does_not_answer_times_out", mute)
        .test("kcp/a_listener_of_the_other_sort_is_the_wrong_type", other_sort)
        .test("kcp/a_port_that_is_taken_exists_already", taken)
        .test("kcp/a_full_backlog_keeps_clients_waiting", backlog)
        .test("kcp/both_ends_agree_on_the_longest_message", longest)
        .test("kcp/ipv6", ipv6)
        .test("kcp/large_datagrams_carry_large_messages", large)
}

fn ranges() {
    let ms = Duration::from_millis;
    let new = SocketOptions::new;
    for (what, options) in [
        ("interval", new().interval(ms(9))),
        ("interval", new().interval(Duration::MAX)),
        ("send window", new().send_window(0)),
        ("send window", new().send_window(u16::MAX)),
        ("receive window", new().recv_window(127)),
        ("mtu", new().mtu(75)),
        ("mtu", new().mtu(65_508)),
        ("timeout", new().timeout(ms(9))),
        ("timeout", new().timeout(Duration::MAX)),
        ("keep-alive", new().keep_alive(Duration::from_secs(10))),
        ("keep-alive", new().keep_alive(Duration::ZERO)),
        ("linger", new().linger(Duration::MAX)),
        ("send queue", new().send_queue(0)),
    ] {
        let error = options.pair().map(drop).expect_err(what);
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{what}: {error}");
        assert!(error.note().is_some_and(|note| note.contains(what)), "{what}: {error}");
        let error = options.connect(HERE, Wait::Forever).map(drop).expect_err(what);
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{what}: {error}");
    }
}

fn refused() -> Result<()> {
    let free = UdpSocket::bind(HERE).and_then(|it| it.local_addr()).expect("a port that was free");
    let error = options().connect(free, Wait::Forever).expect_err("nobody has the port");
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "{error}");
    Ok(())
}

fn mute() -> Result<()> {
    let mute = UdpSocket::bind(HERE).expect("bind");
    let address = mute.local_addr().expect("it is bound");
    let wait = Wait::timeout(Duration::from_millis(100));
    let error = options().connect(address, wait).expect_err("nobody answers");
    assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
    let error = options().connect(address, Wait::Never).expect_err("an opening takes time");
    assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}");
    Ok(())
}

fn other_sort() -> Result<()> {
    let listener = options().listen(HERE)?;
    let error = options().connect_messages(listener.local_address()?, Wait::Forever);
    let error = error.expect_err("it is a listener for streams");
    assert!(matches!(error.kind(), ErrorKind::WrongType { .. }), "{error}");
    Ok(())
}

fn taken() -> Result<()> {
    let listener = options().listen(HERE)?;
    let error = options().listen(listener.local_address()?).expect_err("the port is taken");
    assert_eq!(error.kind(), ErrorKind::AlreadyExists, "{error}");
    Ok(())
}

fn backlog() -> Result<()> {
    let listener = options().backlog(1).listen_messages(HERE)?;
    let address = listener.local_address()?;
    let _first = options().connect_messages(address, Wait::Forever)?;
    let wait = Wait::timeout(Duration::from_millis(100));
    let error = options().connect_messages(address, wait).expect_err("there is no place");
    assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
    let second = std::thread::spawn(move || options().connect_messages(address, Wait::Forever));
    let _one = listener.accept()?;
    let _two = listener.accept()?;
    second.join().expect("the client does not panic")?;
    Ok(())
}

fn longest() -> Result<()> {
    let listener = options().max_message(1000).listen_messages(HERE)?;
    let mut client = options().connect_messages(listener.local_address()?, Wait::Forever)?;
    let mut server = listener.accept()?;
    assert_eq!((client.max_len(), server.max_len()), (1000, 1000));
    let error = client.send(&[0; 1001]).expect_err("it is too long");
    assert_eq!(error.kind(), ErrorKind::MessageTooLarge { len: 1001, max: 1000 });
    client.send(&[1; 1000])?;
    assert_eq!(server.recv(&mut [0; 1000])?, 1000);
    Ok(())
}

fn ipv6() -> Result<()> {
    let Ok(listener) = options().listen_messages((Ipv6Addr::LOCALHOST, 0)) else {
        ipc_testkit::skip("this machine has no IPv6");
    };
    let mut client = options().connect_messages(listener.local_address()?, Wait::Forever)?;
    let mut server = listener.accept()?;
    client.send(b"over IPv6")?;
    assert_eq!(server.recv(&mut [0; 64])?, 9);
    assert_eq!(server.peer_address()?, client.local_address()?);
    assert_eq!(server.conversation_id(), client.conversation_id());
    Ok(())
}

fn large() -> Result<()> {
    let large = options().mtu(65_507).max_message(8 << 20).send_queue(127);
    let (mut tx, mut rx) = large.pair_messages()?;
    assert_eq!(tx.max_len(), (65_507 - 44) * 127);
    let message: Vec<u8> = (0..2_000_000_u32).map(|n| (n / 7) as u8).collect();
    let copy = message.clone();
    let sender = std::thread::spawn(move || tx.send(&copy).map(|()| tx));
    let mut buf = vec![0; 8 << 20];
    let len = rx.recv(&mut buf)?;
    assert!(buf[..len] == message, "{len} bytes came");
    drop(sender.join().expect("the sender does not panic")?);
    Ok(())
}
