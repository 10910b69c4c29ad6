//! What only TCP does: options, addresses, connecting and accepting.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use ipc_core::{ErrorKind, Handoff, Listen, ReadBytes, Wait};
use ipc_sock::{tcp, udp, unix};
use ipc_testkit::{Harness, Peer, become_nobody, block, in_namespaces, need, need_root, skip};
use rustix::net::sockopt;

use super::{kind, loopback, loopback6};
use crate::unix::tools::soon;

pub(super) fn cases(harness: Harness) -> Harness {
    harness
        .test("inet/tcp/options_reach_both_ends", options_reach_both_ends)
        .test("inet/tcp/an_adopted_listener_accepts_with_options", adopted_listener)
        .test("inet/tcp/a_child_accepts_from_a_listener_that_it_was_given", given_listener)
        .role("inet/tcp/accepts", accepts)
        .test("inet/tcp/options_that_make_no_sense_are_invalid", invalid_options)
        .test("inet/tcp/an_address_in_use_already_exists", address_in_use)
        .test("inet/tcp/a_server_starts_again_at_once", starts_again)
        .test("inet/tcp/listeners_share_an_address_when_all_say_so", reuse_port)
        .test("inet/tcp/nobody_listens_is_refused", refused)
        .test("inet/tcp/addresses_that_cannot_be_are_each_an_error", impossible_addresses)
        .test("inet/tcp/a_low_port_is_denied_to_a_user_without_privileges", low_port)
        .role("inet/tcp/nobody_listens_low", nobody_listens_low)
        .test("inet/tcp/without_addresses_and_routes_each_error_says_so", isolated)
        .role("inet/tcp/is_isolated", is_isolated)
        .test("inet/tcp/local_ports_run_out", few_ports)
        .role("inet/tcp/has_one_port", has_one_port)
        .test("inet/tcp/a_socket_that_meets_itself_is_refused", self_connect)
        .test("inet/tcp/connect_gives_up_at_its_deadline", connect_deadline)
        .test("inet/tcp/signals_do_not_end_a_connect", connect_interrupted)
        .test("inet/tcp/a_client_that_has_gone_can_be_accepted", gone_client)
        .test("inet/tcp/ipv6_and_dual_stack", ipv6)
        .test("inet/tcp/other_descriptors_are_refused_and_come_back", wrong_type)
}

pub(super) fn options() -> tcp::SocketOptions {
    tcp::SocketOptions::new()
}

/// A listener and two connected streams, the second of which was accepted.
fn connected(options: &tcp::SocketOptions) -> (tcp::Listener, tcp::Stream, tcp::Stream) {
    let listener = options.listen(loopback()).expect("listen");
    let address = listener.local_address().expect("address");
    let client = options.connect(address, soon()).expect("connect");
    let server = listener.accept_with(soon()).expect("accept");
    (listener, client, server)
}

fn options_reach_both_ends() {
    let (_listener, client, server) = connected(&options());
    for stream in [&client, &server] {
        assert_eq!(sockopt::tcp_nodelay(stream), Ok(true), "for messages unless told otherwise");
        assert_eq!(sockopt::socket_keepalive(stream), Ok(false));
    }
    let secs = Duration::from_secs;
    let plain = options()
        .nodelay(false)
        .keep_alive(secs(7), Duration::from_millis(2500), 4)
        .user_timeout(Duration::from_millis(1234))
        .send_buffer(100_000)
        .recv_buffer(50_000);
    let (_listener, client, server) = connected(&plain);
    for stream in [&client, &server] {
        assert_eq!(sockopt::tcp_nodelay(stream), Ok(false));
        assert_eq!(sockopt::socket_keepalive(stream), Ok(true));
        assert_eq!(sockopt::tcp_keepidle(stream), Ok(secs(7)));
        assert_eq!(sockopt::tcp_keepintvl(stream), Ok(secs(3)));
        assert_eq!(sockopt::tcp_keepcnt(stream), Ok(4));
        assert_eq!(sockopt::tcp_user_timeout(stream), Ok(1234));
        assert_eq!(stream.send_buffer(), Ok(200_000));
        assert_eq!(stream.recv_buffer(), Ok(100_000));
    }
    assert_eq!(client.peer_address(), server.local_address());
    assert_eq!(server.peer_address(), client.local_address());
    let from = SocketAddr::from(([127, 5, 6, 7], 0));
    let listener = options().listen(loopback()).expect("listen");
    let address = listener.local_address().expect("address");
    let client = options().local_address(from).connect(address, soon()).expect("connect");
    assert_eq!(client.local_address().expect("address").ip(), from.ip());
}

fn adopted_listener() {
    let foreign = std::net::TcpListener::bind(loopback()).expect("bind");
    let mut listener = tcp::Listener::try_from(OwnedFd::from(foreign)).expect("adopt");
    let address = listener.local_address().expect("address");
    let arrive = || options().connect(address, soon()).expect("connect");
    let (_one, _two) = (arrive(), arrive());
    let first = listener.accept().expect("accept");
    assert_eq!(sockopt::tcp_nodelay(&first), Ok(true));
    listener.set_options(options().nodelay(false));
    let second = listener.accept().expect("accept");
    assert_eq!(sockopt::tcp_nodelay(&second), Ok(false));
}

fn given_listener() {
    let listener = options().nodelay(false).listen(loopback()).expect("listen");
    let address = listener.local_address().expect("address");
    let mut peer = Peer::cast("inet/tcp/accepts");
    listener.give(peer.command(), "listener").expect("give");
    let peer = peer.start();
    let mut client = options().connect(address, soon()).expect("connect");
    client.write_all(b"to the child").expect("write");
    let mut back = [0; 12];
    client.read_exact_with(&mut back, soon()).expect("read");
    assert_eq!(&back, b"to the child");
    peer.join();
}

fn accepts() {
    let listener = tcp::Listener::adopt("listener").expect("adopt");
    let mut server = listener.accept_with(soon()).expect("accept");
    assert_eq!(sockopt::tcp_nodelay(&server), Ok(true), "the options stay with the parent");
    let mut buf = [0; 12];
    server.read_exact_with(&mut buf, soon()).expect("read");
    server.write_all(&buf).expect("write");
}

fn invalid_options() {
    let secs = Duration::from_secs;
    for wrong in [
        options().keep_alive(secs(0), secs(1), 1),
        options().keep_alive(secs(1), secs(40_000), 1),
        options().keep_alive(secs(1), secs(1), 128),
        options().keep_alive(Duration::MAX, secs(1), 1),
        options().user_timeout(Duration::MAX),
    ] {
        assert_eq!(kind(wrong.listen(loopback())), ErrorKind::InvalidInput, "{wrong:?}");
        assert_eq!(kind(wrong.pair()), ErrorKind::InvalidInput, "{wrong:?}");
    }
}

fn address_in_use() {
    let listener = options().listen(loopback()).expect("listen");
    let address = listener.local_address().expect("address");
    let error = options().listen(address).expect_err("it is in use");
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    assert!(error.to_string().contains("another socket"), "{error}");
    // One that does not say so is not shared either.
    let shared = options().reuse_port(true).listen(address);
    assert_eq!(kind(shared), ErrorKind::AlreadyExists);
}

fn starts_again() {
    let (listener, client, server) = connected(&options());
    let address = listener.local_address().expect("address");
    // Who closes first keeps the address for a minute (TIME_WAIT).
    drop((listener, server));
    drop(client);
    options().listen(address).expect("listen again");
}

fn reuse_port() {
    let both = options().reuse_port(true);
    let one = both.listen(loopback()).expect("listen");
    let address = one.local_address().expect("address");
    let _two = both.listen(address).expect("listen at the same address");
}

fn refused() {
    let gone = options().listen(loopback()).expect("listen").local_address().expect("address");
    for wait in [Wait::Forever, soon(), Wait::Never] {
        assert_eq!(kind(options().connect(gone, wait)), ErrorKind::ConnectionRefused, "{wait:?}");
    }
}

fn impossible_addresses() {
    let everywhere = SocketAddr::from((Ipv4Addr::BROADCAST, 9));
    let elsewhere = SocketAddr::from(([198, 51, 100, 1], 0));
    for (result, expected, says) in [
        (options().connect(loopback(), soon()).map(drop), ErrorKind::InvalidInput, "port 0"),
        (options().connect(everywhere, soon()).map(drop), ErrorKind::NotFound, "no route"),
        (options().listen(elsewhere).map(drop), ErrorKind::NotFound, "no interface"),
    ] {
        let error = result.expect_err("it is impossible");
        assert_eq!(error.kind(), expected, "{error}");
        assert!(error.to_string().contains(says), "{error}");
    }
    let link_local = SocketAddr::from((Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1), 9));
    loopback6();
    let error = options().connect(link_local, soon()).expect_err("it has no scope");
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    assert!(error.to_string().contains("scope"), "{error}");
}

/// A port that needs a privilege, or the case is skipped.
pub(super) fn low_address() -> SocketAddr {
    let first = std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start");
    if first.is_ok_and(|first| first.trim() == "0") {
        skip("every user may have every port here (net.ipv4.ip_unprivileged_port_start is 0)");
    }
    (Ipv4Addr::LOCALHOST, 1).into()
}

fn low_port() {
    low_address();
    need_root("become another user");
    Peer::start("inet/tcp/nobody_listens_low").join();
}

fn nobody_listens_low() {
    become_nobody();
    let error = options().listen(low_address()).expect_err("it may not");
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    assert!(error.to_string().contains("CAP_NET_BIND_SERVICE"), "{error}");
}

/// In a network namespace of its own, where no interface is up and none has an address of IPv6.
fn isolated() {
    in_namespaces("inet/tcp/is_isolated", &["--net"], "true");
}

fn is_isolated() {
    let six = SocketAddr::from((Ipv6Addr::LOCALHOST, 9));
    let four = SocketAddr::from((Ipv4Addr::LOCALHOST, 9));
    let udp = udp::SocketOptions::new();
    let socket = udp.bind((Ipv4Addr::UNSPECIFIED, 0).into()).expect("bind");
    for (result, says) in [
        (options().listen(six).map(drop), "no interface"),
        (udp.bind(six).map(drop), "no interface"),
        (options().connect(six, soon()).map(drop), "IPv6"),
        (options().connect(four, soon()).map(drop), "no route"),
        (udp.connect(four).map(drop), "no route"),
        (socket.send_to(b"x", four, soon()), "no route"),
    ] {
        let error = result.expect_err("there is no network");
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
        assert!(error.to_string().contains(says), "{error}");
    }
}

/// In a network namespace of its own, with one local port.
fn few_ports() {
    need("ip", "iproute2");
    let range = "/proc/sys/net/ipv4/ip_local_port_range";
    let setup = format!("ip link set lo up && echo 40000 40000 > {range}");
    in_namespaces("inet/tcp/has_one_port", &["--net"], &setup);
}

fn has_one_port() {
    // The kernel itself gives the socket the port that it asks for.
    let itself = SocketAddr::from((Ipv4Addr::LOCALHOST, 40_000));
    let error = options().connect(itself, soon()).expect_err("nobody listens");
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    assert!(error.to_string().contains("itself"), "{error}");
    // And nobody is kept from listening there.
    let listener = options().listen(itself).expect("listen");
    for result in [
        options().listen(loopback()).map(drop),
        options().connect((Ipv4Addr::LOCALHOST, 9).into(), soon()).map(drop),
    ] {
        let error = result.expect_err("no port is free");
        let ErrorKind::ResourceLimit { knob, .. } = error.kind() else { panic!("{error}") };
        assert!(knob.contains("ip_local_port_range"), "{error}");
    }
    drop(listener);
    let _socket = udp::SocketOptions::new().bind(loopback()).expect("bind");
    let error = udp::SocketOptions::new().bind(loopback()).expect_err("no port is free");
    assert!(matches!(error.kind(), ErrorKind::ResourceLimit { .. }), "{error}");
}

fn self_connect() {
    let six = (Ipv6Addr::LOCALHOST, 0).into();
    let error = options().local_address(six).connect((Ipv4Addr::LOCALHOST, 9).into(), soon());
    assert_eq!(kind(error), ErrorKind::InvalidInput, "the families differ");
    // What happens by chance to who has no local address, done on purpose.
    let free = options().listen(loopback()).expect("listen").local_address().expect("address");
    for wait in [Wait::Forever, soon(), Wait::Never] {
        let error = options().local_address(free).connect(free, wait).expect_err("it is itself");
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        assert!(error.to_string().contains("itself"), "{error}");
    }
}

/// A listener that answers nobody any more, since its backlog is full, and who fills it.
fn full_backlog() -> (tcp::Listener, Vec<tcp::Stream>) {
    let listener = options().backlog(0).listen(loopback()).expect("listen");
    let address = listener.local_address().expect("address");
    let mut waiting = Vec::new();
    loop {
        match options().connect(address, Wait::Never) {
            Ok(stream) => waiting.push(stream),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}");
                return (listener, waiting);
            }
        }
    }
}

fn connect_deadline() {
    let (listener, _waiting) = full_backlog();
    let address = listener.local_address().expect("address");
    let deadline = Instant::now() + Duration::from_millis(60);
    let result = options().connect(address, Wait::Until(deadline));
    assert!(Instant::now() >= deadline, "it gave up before its deadline");
    assert_eq!(kind(result), ErrorKind::TimedOut);
}

fn connect_interrupted() {
    let (listener, waiting) = full_backlog();
    let address = listener.local_address().expect("address");
    let connect = block("connect", move || options().connect(address, Wait::Forever));
    assert_eq!(connect.interrupt(100), 100, "a signal ended connect");
    for _ in 0..waiting.len() {
        listener.accept().expect("accept");
    }
    // The kernel asks again after a second.
    let client = connect.join().expect("connect");
    let server = listener.accept_with(soon()).expect("accept");
    assert_eq!(server.peer_address(), client.local_address());
}

/// Closes a stream so that the peer is told that something went wrong.
pub(super) fn reset(stream: tcp::Stream) {
    sockopt::set_socket_linger(&stream, Some(Duration::ZERO)).expect("SO_LINGER");
    drop(stream);
}

fn gone_client() {
    let listener = options().listen(loopback()).expect("listen");
    let address = listener.local_address().expect("address");
    reset(options().connect(address, soon()).expect("connect"));
    let mut server = listener.accept().expect("accept");
    assert_eq!(kind(server.peer_address()), ErrorKind::Disconnected);
    assert_eq!(kind(server.read_with(&mut [0; 8], soon())), ErrorKind::Disconnected);
}

fn ipv6() {
    let six = loopback6();
    let listener = options().listen(six).expect("listen");
    let address = listener.local_address().expect("address");
    let mut client = options().connect(address, soon()).expect("connect");
    let mut server = listener.accept_with(soon()).expect("accept");
    assert!(server.peer_address().expect("address").is_ipv6());
    client.write_all(b"six").expect("write");
    let mut buf = [0; 3];
    server.read_exact(&mut buf).expect("read");
    assert_eq!(&buf, b"six");

    let any = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0));
    let over_ipv4 = |listener: &tcp::Listener| {
        let port = listener.local_address().expect("address").port();
        options().connect((Ipv4Addr::LOCALHOST, port).into(), soon())
    };
    let strict = options().listen(any).expect("listen");
    assert_eq!(kind(over_ipv4(&strict)), ErrorKind::ConnectionRefused);
    let both = options().dual_stack(true).listen(any).expect("listen");
    let _client = over_ipv4(&both).expect("connect over IPv4");
    let server = both.accept_with(soon()).expect("accept");
    assert_eq!(server.peer_address().expect("address").ip().to_canonical(), Ipv4Addr::LOCALHOST);
}

fn wrong_type() {
    let (stream, _other) = options().pair().expect("pair");
    let listener = options().listen(loopback()).expect("listen");
    let udp = udp::SocketOptions::new().bind(loopback()).expect("bind");
    let (unix, _other) = unix::SocketOptions::new().pair().expect("pair");
    let file = std::fs::File::open("/dev/null").expect("open");
    let expected = "a TCP socket";
    for (fd, found) in [
        (OwnedFd::from(listener), "a listening TCP socket"),
        (udp.into(), "a UDP socket"),
        (unix.into(), "a Unix stream socket"),
        (file.into(), "a character device"),
    ] {
        let rejected = tcp::Stream::try_from(fd).expect_err("it is none");
        assert_eq!(rejected.error.kind(), ErrorKind::WrongType { expected, found });
        rustix::io::fcntl_getfd(&rejected.value).expect("it is open");
    }
    let rejected = tcp::Listener::try_from(OwnedFd::from(stream)).expect_err("it is none");
    let (expected, found) = ("a listening TCP socket", "a TCP socket");
    assert_eq!(rejected.error.kind(), ErrorKind::WrongType { expected, found });
}
