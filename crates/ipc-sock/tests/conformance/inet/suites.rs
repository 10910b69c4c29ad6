//! TCP and UDP, as the suites see them.

use std::net::Ipv6Addr;
use std::process::Command;
use std::time::Duration;

use ipc_core::{Caps, ErrorKind, Framed, Handoff, Mechanism, RecvMsg, Result, SendMsg, Wait};
use ipc_sock::{tcp, udp};
use ipc_testkit::{Across, ByHandoff, Bytes, Harness, Listeners, Messages, skip};

use super::loopback;
use crate::fixtures::{FRAME, Frames};

pub(super) fn cases(harness: Harness) -> Harness {
    let mut harness = harness
        .bytes::<Streams>()
        .messages::<FramedStreams>()
        .listeners::<Listener4>()
        .listeners::<Listener6>()
        .messages::<Datagrams>()
        .messages::<Credited>();
    for case in [
        "bytes/tcp/write_after_reader_drop_is_disconnected",
        "messages/framed-tcp/send_after_receiver_drop_is_disconnected",
    ] {
        harness = harness.except(case, "the first write after the peer's close succeeds in TCP");
    }
    for case in [
        "ten_thousand_messages_arrive_in_order",
        "two_processes_exchange_ten_thousand_messages_each_way",
        "try_send_on_full_would_block_and_what_was_accepted_arrives_once",
        "send_times_out_at_its_deadline_and_not_before",
        "blocked_send_is_woken_by_a_recv",
        "signals_do_not_end_a_send",
        "signals_do_not_move_the_deadline_of_a_send",
    ] {
        let reason = "a UDP sender never waits: what is too much is lost; udp-credited passes";
        harness = harness.except(&format!("messages/udp/{case}"), reason);
    }
    harness
}

/// Longer than an acknowledgement is delayed (40 ms to 200 ms), and than the first probe of a window
/// that is closed.
const SETTLES: Duration = Duration::from_millis(300);

struct Streams;

impl Bytes for Streams {
    const NAME: &'static str = "tcp";
    const CAPS: Caps = tcp::Stream::CAPS;
    type Tx = tcp::Stream;
    type Rx = tcp::Stream;
    type Across = ByHandoff;
    const SETTLES: Duration = SETTLES;

    fn pair() -> Result<(tcp::Stream, tcp::Stream)> {
        tcp::SocketOptions::new().pair()
    }
}

struct FramedStreams;

impl Messages for FramedStreams {
    const NAME: &'static str = "framed-tcp";
    const CAPS: Caps = Framed::<tcp::Stream>::CAPS;
    type Tx = Framed<tcp::Stream>;
    type Rx = Framed<tcp::Stream>;
    type Across = Frames;
    const SETTLES: Duration = SETTLES;

    fn pair() -> Result<(Framed<tcp::Stream>, Framed<tcp::Stream>)> {
        let (tx, rx) = Streams::pair()?;
        Ok((Framed::new(tx, FRAME), Framed::new(rx, FRAME)))
    }
}

struct Listener4;

impl Listeners for Listener4 {
    const NAME: &'static str = "tcp";
    const CAPS: Caps = tcp::Stream::CAPS;
    type Listener = tcp::Listener;
    type Conn = tcp::Stream;
    type Client = tcp::Stream;

    fn listen() -> Result<tcp::Listener> {
        tcp::SocketOptions::new().listen(loopback())
    }

    fn arrive(listener: &tcp::Listener) -> Result<tcp::Stream> {
        tcp::SocketOptions::new().connect(listener.local_address()?, Wait::Forever)
    }
}

struct Listener6;

impl Listeners for Listener6 {
    const NAME: &'static str = "tcp-ipv6";
    const CAPS: Caps = tcp::Stream::CAPS;
    type Listener = tcp::Listener;
    type Conn = tcp::Stream;
    type Client = tcp::Stream;

    fn listen() -> Result<tcp::Listener> {
        match tcp::SocketOptions::new().listen((Ipv6Addr::LOCALHOST, 0).into()) {
            Err(error) if !matches!(error.kind(), ErrorKind::ResourceLimit { .. }) => {
                skip(format!("no IPv6 here (see net.ipv6.conf.lo.disable_ipv6): {error}"))
            }
            result => result,
        }
    }

    fn arrive(listener: &tcp::Listener) -> Result<tcp::Stream> {
        Listener4::arrive(listener)
    }
}

/// UDP as it is: a sender never waits, and what does not fit is lost.
struct Datagrams;

impl Messages for Datagrams {
    const NAME: &'static str = "udp";
    const CAPS: Caps = udp::Socket::CAPS;
    type Tx = udp::Socket;
    type Rx = udp::Socket;
    type Across = ByHandoff;

    fn pair() -> Result<(udp::Socket, udp::Socket)> {
        udp::SocketOptions::new().pair()
    }
}

/// UDP with what its users must add to lose nothing on one machine: the receiver acknowledges every
/// message with an empty one, and no more than [`CREDIT`] are under way.
struct Credited;

/// Fewer messages than the default receive buffer has room for, also of the longest.
const CREDIT: u32 = 2;

#[derive(Debug)]
struct CreditTx {
    socket: udp::Socket,
    under_way: u32,
}

#[derive(Debug)]
struct CreditRx(udp::Socket);

impl Messages for Credited {
    const NAME: &'static str = "udp-credited";
    const CAPS: Caps = udp::Socket::CAPS;
    type Tx = CreditTx;
    type Rx = CreditRx;
    type Across = Credits;

    fn pair() -> Result<(CreditTx, CreditRx)> {
        let (tx, rx) = udp::SocketOptions::new().pair()?;
        Ok((CreditTx { socket: tx, under_way: 0 }, CreditRx(rx)))
    }
}

impl SendMsg for CreditTx {
    fn max_len(&self) -> usize {
        self.socket.max_len()
    }

    fn send_with(&mut self, msg: &[u8], wait: Wait) -> Result<()> {
        if msg.len() <= self.max_len() {
            while self.under_way == CREDIT {
                self.socket.recv_with(&mut [], wait)?;
                self.under_way -= 1;
            }
        }
        self.socket.send_with(msg, wait)?;
        self.under_way += 1;
        Ok(())
    }
}

impl RecvMsg for CreditRx {
    fn recv_with(&mut self, buf: &mut [u8], wait: Wait) -> Result<usize> {
        let len = loop {
            match self.0.recv_with(buf, wait) {
                // An acknowledgement found no sender any more. What that one sent is still there.
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => {}
                result => break result?,
            }
        };
        match self.0.send(b"") {
            Err(error) if error.kind() != ErrorKind::ConnectionRefused => Err(error),
            _ => Ok(len),
        }
    }
}

/// Hands over the socket, before a message is under way.
struct Credits;

impl Across<CreditTx> for Credits {
    fn give(end: CreditTx, command: &mut Command, key: &str) -> Result<()> {
        Ok(end.socket.give(command, key)?)
    }

    fn adopt(key: &str) -> Result<CreditTx> {
        Ok(CreditTx { socket: udp::Socket::adopt(key)?, under_way: 0 })
    }
}

impl Across<CreditRx> for Credits {
    fn give(end: CreditRx, command: &mut Command, key: &str) -> Result<()> {
        Ok(end.0.give(command, key)?)
    }

    fn adopt(key: &str) -> Result<CreditRx> {
        udp::Socket::adopt(key).map(CreditRx)
    }
}
