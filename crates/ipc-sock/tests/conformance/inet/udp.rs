//! What only UDP does: addresses, lengths, what ICMP reports, and loss.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;

use ipc_core::{ErrorKind, RecvMsg, SendMsg, Wait};
use ipc_sock::tcp;
use ipc_sock::udp::{Batch, Socket, SocketOptions};
use ipc_testkit::{Harness, Peer, become_nobody, need_root, skip};
use rustix::net::{AddressFamily, SocketType, ipproto};

use super::tcp::low_address;
use super::{kind, loopback, loopback6};
use crate::unix::tools::soon;

pub(super) fn cases(harness: Harness) -> Harness {
    harness
        .test("inet/udp/the_longest_message_is_known_and_a_longer_one_refused", longest)
        .test("inet/udp/a_message_too_long_for_the_buffer_keeps_its_sender", kept_with_sender)
        .test("inet/udp/a_refusal_is_reported_once_and_loses_nothing", icmp)
        .test("inet/udp/without_a_connection_a_refusal_is_not_reported", icmp_unconnected)
        .test("inet/udp/addresses_that_cannot_be_are_each_an_error", impossible_addresses)
        .test("inet/udp/an_address_in_use_already_exists", address_in_use)
        .test("inet/udp/a_low_port_is_denied_to_a_user_without_privileges", low_port)
        .role("inet/udp/nobody_binds_low", nobody_binds_low)
        .test("inet/udp/a_connected_socket_hears_its_peer_alone", strangers)
        .test("inet/udp/what_a_full_buffer_drops_is_counted", dropped)
        .test("inet/udp/ipv6_and_dual_stack", ipv6)
        .test("inet/udp/other_descriptors_are_refused_and_come_back", wrong_type)
}

pub(super) fn options() -> SocketOptions {
    SocketOptions::new()
}

pub(super) fn bind() -> (Socket, SocketAddr) {
    let socket = options().bind(loopback()).expect("bind");
    let address = socket.local_address().expect("address");
    (socket, address)
}

pub(super) fn pair() -> (Socket, Socket) {
    options().pair().expect("pair")
}

/// Sends a message of `max` bytes, and fails to send one byte more.
#[track_caller]
fn most(tx: &Socket, rx: &mut Socket, to: SocketAddr, max: usize) {
    let mut buf = vec![0; 70_000];
    let msg: Vec<u8> = (0..=max).map(|n| (n % 251) as u8).collect();
    tx.send_to(&msg[..max], to, soon()).expect("send the longest");
    assert_eq!(rx.recv_with(&mut buf, soon()), Ok(max));
    assert!(buf[..max] == msg[..max], "the longest message was changed");
    let too_large = ErrorKind::MessageTooLarge { len: max + 1, max };
    assert_eq!(kind(tx.send_to(&msg, to, soon())), too_large);
    assert_eq!(kind(tx.send_many_to(&[(&msg, to)], soon())), too_large);
    let mut connected = tx.try_clone().expect("clone");
    connected.connect(to).expect("connect");
    assert_eq!(connected.max_len(), max);
    assert_eq!(kind(connected.send(&msg)), too_large);
    assert_eq!(kind(connected.send_many(&[&msg], soon())), too_large);
    let huge = vec![0; 1 << 20];
    let too_large = ErrorKind::MessageTooLarge { len: 1 << 20, max };
    assert_eq!(kind(connected.send(&huge)), too_large);
}

fn longest() {
    let big = options().recv_buffer(1 << 18);
    let mut rx = big.bind(loopback()).expect("bind");
    let to = rx.local_address().expect("address");
    let (tx, _) = bind();
    assert_eq!(tx.max_len(), 65_507);
    most(&tx, &mut rx, to, 65_507);

    let mut rx6 = big.bind(loopback6()).expect("bind");
    let to6 = rx6.local_address().expect("address");
    let tx6 = options().bind(loopback6()).expect("bind");
    assert_eq!(tx6.max_len(), 65_527);
    most(&tx6, &mut rx6, to6, 65_527);

    let any = (Ipv6Addr::UNSPECIFIED, 0).into();
    let both = options().dual_stack(true).bind(any).expect("bind");
    let mapped = (Ipv4Addr::LOCALHOST.to_ipv6_mapped(), to.port()).into();
    most(&both, &mut rx, mapped, 65_507);
}

fn kept_with_sender() {
    let (mut rx, to) = bind();
    let (tx, from) = bind();
    let mut buf = vec![0; 70_000];
    // Around the length up to which a buffer is not received into directly.
    for (len, room) in [(1, 0), (5000, 10), (5000, 4096), (5000, 4097), (60_000, 4999)] {
        let msg: Vec<u8> = (0..len).map(|n| (n % 249) as u8).collect();
        let too_large = ErrorKind::MessageTooLarge { len, max: room };
        for received_by in 0..3 {
            tx.send_to(&msg, to, soon()).expect("send");
            let result = match received_by {
                0 => rx.recv_with(&mut buf[..room], soon()),
                _ => rx.recv_from(&mut buf[..room], soon()).map(|(n, _)| n),
            };
            assert_eq!(kind(result), too_large);
            assert!(rx.keeps_message());
            assert_eq!(kind(rx.recv_from(&mut buf[..room], Wait::Never)), too_large, "again");
            let (n, who) = match received_by {
                2 => (rx.recv_with(&mut buf, Wait::Never).expect("receive"), from),
                _ => rx.recv_from(&mut buf, Wait::Never).expect("receive"),
            };
            assert!(buf[..n] == msg, "the message of {len} bytes was changed");
            assert_eq!(who, from);
            assert!(!rx.keeps_message());
        }
    }
    // Of a connected socket, `recv` keeps it without the sender, which is the peer.
    let (tx, mut rx) = pair();
    tx.send_many(&[b"long"], soon()).expect("send");
    rx.recv(&mut [0; 1]).expect_err("too short");
    assert_eq!(rx.recv_from(&mut buf, Wait::Never), Ok((4, tx.local_address().expect("address"))));
}

fn icmp() {
    let (mut one, two) = pair();
    let address = two.local_address().expect("address");
    two.send_many(&["before", "it died"], soon()).expect("send");
    assert_eq!(one.available(), Ok(6), "of the first message alone");
    drop(two);
    one.send(b"are you there?").expect("nobody can know yet");
    let mut buf = [0; 64];
    let error = one.recv(&mut buf).expect_err("it was refused");
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    assert!(error.to_string().contains("sent earlier"), "{error}");
    for message in [b"before".as_slice(), b"it died"] {
        let n = one.recv(&mut buf).expect("what had come is still there");
        assert_eq!(&buf[..n], message);
    }
    assert_eq!(kind(one.try_recv(&mut buf)), ErrorKind::WouldBlock, "it is reported once");

    one.send(b"are you there?").expect("the last one was reported");
    assert_eq!(kind(one.send(b"a second time")), ErrorKind::ConnectionRefused);
    let mut two = options().bind(address).expect("it comes back");
    one.send(b"welcome").expect("send");
    let n = two.recv_with(&mut buf, soon()).expect("receive");
    assert_eq!(&buf[..n], b"welcome", "a send that failed must have sent nothing");
    drop(two);

    // The same by batches.
    one.send(b"gone again?").expect("send");
    let mut batch = Batch::new(4);
    assert_eq!(kind(one.recv_many(&mut batch, Wait::Never)), ErrorKind::ConnectionRefused);
    assert_eq!(batch.iter().len(), 0);
    one.send(b"gone again?").expect("send");
    assert_eq!(kind(one.send_many(&[b"one", b"two"], soon())), ErrorKind::ConnectionRefused);
}

fn icmp_unconnected() {
    let (tx, _) = bind();
    let (rx, gone) = bind();
    drop(rx);
    for _ in 0..3 {
        tx.send_to(b"anybody?", gone, soon()).expect("nobody is told");
    }
}

fn impossible_addresses() {
    let (tx, _) = bind();
    let six = SocketAddr::from((Ipv6Addr::LOCALHOST, 9));
    let everywhere = SocketAddr::from((Ipv4Addr::BROADCAST, 9));
    let elsewhere = SocketAddr::from(([198, 51, 100, 1], 0));
    let send = |to| tx.send_to(b"x", to, soon());
    for (result, expected, says) in [
        (send(loopback()), ErrorKind::InvalidInput, "port 0"),
        (send(six), ErrorKind::InvalidInput, "IPv4 socket"),
        (send(everywhere), ErrorKind::PermissionDenied, "broadcast"),
        (tx.send_many_to(&[(b"x", loopback())], soon()).map(drop), ErrorKind::InvalidInput, "port"),
        ((&tx).send(b"x"), ErrorKind::InvalidInput, "connect it"),
        (options().connect(loopback()).map(drop), ErrorKind::InvalidInput, "port 0"),
        (options().bind(elsewhere).map(drop), ErrorKind::NotFound, "no interface"),
    ] {
        let error = result.expect_err("it is impossible");
        assert_eq!(error.kind(), expected, "{error}");
        assert!(error.to_string().contains(says), "{error}");
    }
    assert_eq!(kind(tx.peer_address()), ErrorKind::Disconnected);
    let strict = options().bind(loopback6()).expect("bind");
    let mapped = (Ipv4Addr::LOCALHOST.to_ipv6_mapped(), 9).into();
    let error = strict.send_to(b"x", mapped, soon()).expect_err("it has no IPv4");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("no route"), "{error}");
}

fn address_in_use() {
    let (_socket, address) = bind();
    let error = options().bind(address).expect_err("it is in use");
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    assert!(error.to_string().contains("another socket"), "{error}");
    let shared = options().reuse_port(true);
    assert_eq!(kind(shared.bind(address)), ErrorKind::AlreadyExists, "only one says so");
    let one = shared.bind(loopback()).expect("bind");
    shared.bind(one.local_address().expect("address")).expect("both say so");
}

fn low_port() {
    low_address();
    need_root("become another user");
    Peer::start("inet/udp/nobody_binds_low").join();
}

fn nobody_binds_low() {
    become_nobody();
    let error = options().bind(low_address()).expect_err("it may not");
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    assert!(error.to_string().contains("CAP_NET_BIND_SERVICE"), "{error}");
}

fn strangers() {
    let (one, mut two) = pair();
    let (stranger, _) = bind();
    let to = two.local_address().expect("address");
    stranger.send_to(b"psst", to, soon()).expect("nobody is told");
    (&one).send(b"hello").expect("send");
    let mut buf = [0; 64];
    assert_eq!(two.recv_with(&mut buf, soon()), Ok(5));
    assert_eq!(kind(two.try_recv(&mut buf)), ErrorKind::WouldBlock);
    // From before the connection, it is heard.
    let (mut late, to) = bind();
    stranger.send_to(b"psst", to, soon()).expect("send");
    late.connect(one.local_address().expect("address")).expect("connect");
    assert_eq!(late.recv_with(&mut buf, soon()), Ok(4));
}

fn dropped() {
    const SENT: u32 = 10_000;
    let (tx, _) = bind();
    let mut rx = options().recv_buffer(50_000).bind(loopback()).expect("bind");
    let to = rx.local_address().expect("address");
    assert_eq!(rx.dropped(), Ok(0));
    for n in 0..SENT {
        tx.send_to(&n.to_le_bytes(), to, Wait::Never).expect("the sender does not notice");
    }
    let mut buf = [0; 4];
    let mut received = 0;
    while rx.try_recv(&mut buf).is_ok() {
        assert_eq!(u32::from_le_bytes(buf), received, "the first ones stay, in order");
        received += 1;
    }
    let dropped = rx.dropped().expect("count");
    assert!(dropped > 0, "10,000 messages fitted into 100,000 bytes");
    assert_eq!(received + dropped, SENT);
}

fn ipv6() {
    let mut buf = [0; 64];
    let mut six = options().bind(loopback6()).expect("bind");
    let address = six.local_address().expect("address");
    let mut client = options().connect(address).expect("connect");
    client.send(b"six").expect("send");
    let (n, who) = six.recv_from(&mut buf, soon()).expect("receive");
    assert_eq!((&buf[..n], who), (b"six".as_slice(), client.local_address().expect("address")));
    six.send_to(b"seven", who, soon()).expect("send");
    assert_eq!(client.recv_with(&mut buf, soon()), Ok(5));

    let any = (Ipv6Addr::UNSPECIFIED, 0).into();
    let mut both = options().dual_stack(true).bind(any).expect("bind");
    let port = both.local_address().expect("address").port();
    let (tx, from) = bind();
    tx.send_to(b"four", (Ipv4Addr::LOCALHOST, port).into(), soon()).expect("send");
    let (_, who) = both.recv_from(&mut buf, soon()).expect("receive");
    assert_eq!((who.ip().to_canonical(), who.port()), (from.ip(), from.port()));
    // One that is for IPv6 alone leaves the port of IPv4 to others.
    let strict = options().bind(any).expect("bind");
    let port = strict.local_address().expect("address").port();
    options().bind((Ipv4Addr::LOCALHOST, port).into()).expect("bind the same port of IPv4");
}

fn wrong_type() {
    let (stream, _other) = tcp::SocketOptions::new().pair().expect("pair");
    let rejected = Socket::try_from(OwnedFd::from(stream)).expect_err("it is none");
    let (expected, found) = ("a UDP socket", "a TCP socket");
    assert_eq!(rejected.error.kind(), ErrorKind::WrongType { expected, found });
    let (one, mut two) = pair();
    let peer = two.local_address().expect("address");
    let adopted = Socket::try_from(OwnedFd::from(one)).expect("it is one");
    assert_eq!(adopted.peer_address(), Ok(peer));
    (&adopted).send(b"still connected").expect("send");
    assert_eq!(two.recv_with(&mut [0; 64], soon()), Ok(15));

    // The same type, and another protocol.
    let (datagrams, lite) = (SocketType::DGRAM, Some(ipproto::UDPLITE));
    let Ok(lite) = rustix::net::socket(AddressFamily::INET, datagrams, lite) else {
        skip("this kernel has no UDP-Lite, which is not to be taken for UDP");
    };
    let rejected = Socket::try_from(lite).expect_err("it is none");
    let found = "a socket of another domain or protocol";
    assert_eq!(rejected.error.kind(), ErrorKind::WrongType { expected, found });
}
