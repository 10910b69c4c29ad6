//! Datagrams that are not the peer's.

use std::net::UdpSocket;

use ipc_core::{ErrorKind, Listen, RecvMsg, Result, SendMsg, Wait};
use ipc_sock::kcp::Messages;
use ipc_testkit::{Descriptors, Harness, note};

use crate::fixtures::{HERE, options};
use crate::proxy::{Network, Proxy, Random, Way};

pub(crate) fn cases(harness: Harness) -> Harness {
    harness
        .test("kcp/100_000_hostile_datagrams_do_not_stop_a_session", flood)
        .test("kcp/a_flood_of_openings_leaves_no_conversation_behind", openings)
}

/// How many hostile datagrams, and how many of them between two messages.
const FLOOD: usize = 100_000;
const BETWEEN: usize = 100;

/// A live conversation through a proxy that puts in what it likes, from the right addresses.
fn live() -> Result<(Messages, Messages, Proxy)> {
    let listener = options().listen_messages(HERE)?;
    let proxy = Proxy::start(listener.local_address()?, Network::GOOD).expect("start the proxy");
    let client = options().connect_messages(proxy.address(), Wait::Forever)?;
    let server = listener.accept()?;
    Ok((client, server, proxy))
}

/// A message goes there and comes back.
fn round_trip(client: &mut Messages, server: &mut Messages, random: &mut Random, n: usize) {
    let len = random.below(3000) as usize;
    let mut message = n.to_le_bytes().to_vec();
    message.extend(random.bytes(len));
    let mut buf = vec![0; 1 << 16];
    client.send(&message).expect("send");
    let len = server.recv(&mut buf).expect("recv");
    assert_eq!(buf[..len], message, "message {n} on its way there");
    server.send(&message).expect("send back");
    let len = client.recv(&mut buf).expect("recv back");
    assert_eq!(buf[..len], message, "message {n} on its way back");
}

/// One hostile datagram: noise, or made of a real one.
fn hostile(random: &mut Random, real: &[Vec<u8>]) -> Vec<u8> {
    let mut datagram = real[random.below(real.len() as u64) as usize].clone();
    let len = datagram.len() as u64;
    match random.below(8) {
        0 => {
            let len = random.below(2000) as usize;
            return random.bytes(len);
        }
        // The header of a real one, and noise behind it.
        1 => {
            datagram.truncate(20);
            let len = random.below(1400) as usize;
            datagram.extend(random.bytes(len));
        }
        // A real header with other fields: tag, conversation, number, kind.
        2 => {
            let (from, to) = [(0, 8), (8, 12), (12, 19), (19, 20)][random.below(4) as usize];
            let noise = random.bytes(to - from);
            datagram[from..to].copy_from_slice(&noise);
        }
        // A conversation that there is not.
        3 => datagram[8] ^= 1 + random.below(255) as u8,
        4 => datagram.truncate(random.below(len) as usize),
        // One bit.
        5 => datagram[random.below(len) as usize] ^= 1_u8 << random.below(8),
        // Segments of KCP with random fields, right after the header.
        6 => {
            for byte in datagram.iter_mut().skip(24).take(20) {
                *byte = random.next() as u8;
            }
        }
        // The same again.
        _ => {}
    }
    datagram
}

fn flood() -> Result<()> {
    let (mut client, mut server, proxy) = live()?;
    let mut random = Random(3);
    for n in 0..20 {
        round_trip(&mut client, &mut server, &mut random, n);
    }
    let real = [proxy.seen(Way::ToServer), proxy.seen(Way::ToClient)].concat();
    assert!(real.len() > 20, "the proxy has seen {} datagrams", real.len());
    note("a hundred thousand hostile datagrams: if it hangs, one of them stopped the session");
    for n in 0..FLOOD / BETWEEN {
        for _ in 0..BETWEEN {
            let way = if random.below(2) == 0 { Way::ToServer } else { Way::ToClient };
            proxy.put_in(way, &hostile(&mut random, &real));
        }
        round_trip(&mut client, &mut server, &mut random, n);
    }
    drop(client);
    assert_eq!(
        server.recv(&mut [0; 8]).expect_err("the client has gone").kind(),
        ErrorKind::Disconnected
    );
    Ok(())
}

/// Greetings that are never confirmed, and openings that are changed, from many addresses.
fn openings() -> Result<()> {
    let (client, server, proxy) = live()?;
    let opening = &proxy.seen(Way::ToServer)[..2];
    let listener = options().listen_messages(HERE)?;
    let before = Descriptors::now();
    let mut random = Random(4);
    for _ in 0..50 {
        let socket = UdpSocket::bind(HERE).expect("bind");
        for _ in 0..100 {
            let mut datagram = opening[random.below(2) as usize].clone();
            if random.below(2) == 0 {
                let at = random.below(datagram.len() as u64) as usize;
                datagram[at] ^= 1_u8 << random.below(8);
            }
            socket.send_to(&datagram, listener.local_address()?).expect("send");
        }
    }
    let leaked = Descriptors::now().since(&before);
    assert_eq!(leaked.0.len(), 0, "descriptors were leaked: {leaked}");
    let _client = options().connect_messages(listener.local_address()?, Wait::Forever)?;
    let _server = listener.accept()?;
    let error = listener.try_accept().expect_err("nobody else has confirmed");
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
    drop((client, server));
    Ok(())
}
