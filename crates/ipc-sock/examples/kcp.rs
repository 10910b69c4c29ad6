//! A server of messages over KCP, and a client on a network that loses every third datagram.
//!
//! `cargo run -p ipc-sock --features kcp --example kcp`

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::thread;
use std::time::Duration;

use ipc_core::{ErrorKind, Listen, RecvMsg, SendMsg, Wait};
use ipc_sock::kcp::SocketOptions;

const ORDERS: u32 = 1000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let options = SocketOptions::new().timeout(Duration::from_secs(5));
    let listener = options.listen_messages((Ipv4Addr::LOCALHOST, 0))?;
    let network = bad_network(listener.local_address()?)?;

    let client = thread::spawn(move || -> ipc_core::Result<()> {
        let mut client =
            options.connect_messages(network, Wait::timeout(Duration::from_secs(10)))?;
        for order in 0..ORDERS {
            client.send(format!("order {order}").as_bytes())?;
        }
        Ok(()) // Dropping the client waits until the server has everything.
    });

    let mut server = listener.accept()?;
    let mut buf = [0; 64];
    let mut received = 0;
    loop {
        match server.recv(&mut buf) {
            Ok(n) => assert_eq!(buf[..n], *format!("order {received}").as_bytes()),
            Err(error) if error.kind() == ErrorKind::Disconnected => break,
            Err(error) => return Err(error.into()),
        }
        received += 1;
    }
    client.join().expect("the client does not panic")?;
    println!("{received} orders came, each once and in order");
    assert_eq!(received, ORDERS);
    Ok(())
}

/// A proxy that forgets every third datagram, both ways; it goes with the process.
fn bad_network(server: SocketAddr) -> std::io::Result<SocketAddr> {
    let front = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    let back = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    back.connect(server)?;
    let address = front.local_addr()?;
    let (front_too, back_too) = (front.try_clone()?, back.try_clone()?);
    thread::spawn(move || {
        let (mut buf, mut answering) = ([0; 2048], false);
        for n in 0.. {
            let Ok((len, client)) = front.recv_from(&mut buf) else { return };
            if !answering {
                answering = true;
                let (front, back) = (front_too.try_clone(), back_too.try_clone());
                let (Ok(front), Ok(back)) = (front, back) else { return };
                thread::spawn(move || answer(&front, &back, client));
            }
            if n % 3 != 2 {
                let _ = back.send(&buf[..len]);
            }
        }
    });
    Ok(address)
}

fn answer(front: &UdpSocket, back: &UdpSocket, client: SocketAddr) {
    let mut buf = [0; 2048];
    for n in 0.. {
        let Ok(len) = back.recv(&mut buf) else { return };
        if n % 3 != 2 {
            let _ = front.send_to(&buf[..len], client);
        }
    }
}
