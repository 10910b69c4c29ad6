//! The same calls over everything that carries messages.

use ipc_core::{Framed, Listen, Wait};
use ipc_mq::{posix, sysv};
use ipc_rpc::serde_bytes::Bytes;
use ipc_rpc::{CallError, ClientOptions, Ends, HostOptions, RecvFrame, SendFrame, WithFds};
use ipc_shm::ring::{RingOptions, Strategy};
use ipc_sock::{tcp, udp, unix};
use ipc_testkit::Harness;

use crate::service::{NoQuotient, Served, TestClient, crossed};

type Checked = Result<(), Box<dyn std::error::Error>>;

pub(crate) fn cases(harness: Harness) -> Harness {
    harness
        .test("transports/unix_seqpacket", unix_seqpacket)
        .test("transports/unix_seqpacket_with_fds", unix_seqpacket_with_fds)
        .test("transports/unix_stream", unix_stream)
        .test("transports/unix_datagram", unix_datagram)
        .test("transports/tcp", over_tcp)
        .test("transports/udp", over_udp)
        .test("transports/shm_rings", shm_rings)
        .test("transports/pipes", pipes)
        .test("transports/posix_queues", posix_queues)
        .test("transports/sysv_queues", sysv_queues)
        .test("transports/kcp", over_kcp)
}

/// Over a link that tells the server when the client is gone.
fn check<L>(ours: L, theirs: L, options: &ClientOptions) -> Checked
where
    L: SendFrame + RecvFrame + Send + 'static,
{
    let served = Served::start(theirs, &HostOptions::new().max_frame(8192));
    calls(ours, &served, options)?;
    served.join();
    Ok(())
}

/// Over a link that does not.
fn check_and_stop<L>(ours: L, theirs: L, options: &ClientOptions) -> Checked
where
    L: SendFrame + RecvFrame + Send + 'static,
{
    let served = Served::start_stoppable(theirs, &HostOptions::new().max_frame(8192));
    calls(ours, &served, options)?;
    served.stop();
    Ok(())
}

/// Calls of every shape: one after the other, and many at a time.
fn calls(ours: impl SendFrame + RecvFrame, served: &Served, options: &ClientOptions) -> Checked {
    let mut client = TestClient::connect(ours, options)?;
    assert_eq!(client.add(2, 3)?, 5);
    client.nothing()?;
    assert_eq!(client.divide(7, 2)?, Ok(3));
    assert_eq!(client.divide(7, 0)?, Err(NoQuotient::DivisionByZero { dividend: 7 }));
    assert_eq!(client.divide(i64::MIN, -1)?, Err(NoQuotient::Overflow));
    for len in [0, 1, 64, 1000] {
        let bytes: Vec<u8> = (0..len).map(|n| n as u8).collect();
        let (text, back) = client.echo("λόγος", Bytes::new(&bytes))?;
        assert_eq!((&text[..], &back[..]), ("λόγος", &bytes[..]));
    }

    let mut client = client.pipelined();
    for round in 0..10 {
        let numbers = round * 40..(round + 1) * 40;
        let tickets =
            numbers.map(|n| Ok((n, client.count(n)?))).collect::<Result<Vec<_>, CallError>>()?;
        // The newest first, so that the others come before they are asked for.
        for (number, ticket) in tickets.into_iter().rev() {
            assert_eq!(client.finish(ticket)?, number);
        }
    }
    let counts = served.state.counts().clone();
    assert_eq!(counts.len(), 400);
    assert!(counts.values().all(|times| *times == 1), "{counts:?}");
    Ok(())
}

fn unix_seqpacket() -> Checked {
    let (ours, theirs) = unix::SocketOptions::new().pair_seqpacket()?;
    check(ours, theirs, &ClientOptions::new())
}

fn unix_seqpacket_with_fds() -> Checked {
    let (ours, theirs) = unix::SocketOptions::new().pair_seqpacket()?;
    check(WithFds::new(ours), WithFds::new(theirs), &ClientOptions::new())
}

fn unix_stream() -> Checked {
    let (ours, theirs) = unix::SocketOptions::new().pair()?;
    check(Framed::new(ours, 8192), Framed::new(theirs, 8192), &ClientOptions::new())
}

fn unix_datagram() -> Checked {
    let (ours, theirs) = unix::SocketOptions::new().pair_datagram()?;
    check_and_stop(ours, theirs, &ClientOptions::new())
}

fn over_tcp() -> Checked {
    let listener = tcp::SocketOptions::new().listen(([127, 0, 0, 1], 0).into())?;
    let ours = tcp::SocketOptions::new().connect(listener.local_address()?, Wait::Forever)?;
    let theirs = listener.accept()?;
    check(Framed::new(ours, 8192), Framed::new(theirs, 8192), &ClientOptions::new())
}

fn over_udp() -> Checked {
    let (ours, theirs) = udp::SocketOptions::new().pair()?;
    // It loses what its receiver has no room for, and does not tell that the client is gone.
    let options = ClientOptions::new().retry(std::time::Duration::from_millis(20));
    check_and_stop(ours, theirs, &options)
}

fn shm_rings() -> Checked {
    let options = RingOptions::new().strategy(Strategy::Adaptive);
    let (ours, theirs) = crossed(options.pair()?, options.pair()?);
    check(ours, theirs, &ClientOptions::new())
}

fn pipes() -> Checked {
    let options = ipc_pipe::PipeOptions::new();
    let ((there_rx, there_tx), (back_rx, back_tx)) =
        (options.open_packet()?, options.open_packet()?);
    check(Ends::new(there_tx, back_rx), Ends::new(back_tx, there_rx), &ClientOptions::new())
}

fn posix_queues() -> Checked {
    let options = posix::QueueOptions::new().capacity(8).message_size(8192);
    let ((there_rx, there_tx), (back_rx, back_tx)) = (options.pair()?, options.pair()?);
    let (ours, theirs) = (Ends::new(there_tx, back_rx), Ends::new(back_tx, there_rx));
    check_and_stop(ours, theirs, &ClientOptions::new().max_frame(8192))
}

fn sysv_queues() -> Checked {
    let options = sysv::QueueOptions::new();
    let ((there_rx, there_tx), (back_rx, back_tx)) = (options.pair()?, options.pair()?);
    let (ours, theirs) = (Ends::new(there_tx, back_rx), Ends::new(back_tx, there_rx));
    check_and_stop(ours, theirs, &ClientOptions::new().max_frame(8192))
}

fn over_kcp() -> Checked {
    let (ours, theirs) = ipc_sock::kcp::SocketOptions::new().pair_messages()?;
    check(ours, theirs, &ClientOptions::new())
}
