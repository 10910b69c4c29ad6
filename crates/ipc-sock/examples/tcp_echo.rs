//! A server that sends messages back, and clients that talk to it over TCP.
//!
//! In one terminal: `cargo run -p ipc-sock --example tcp_echo -- 127.0.0.1:7777`
//!
//! In another: `cargo run -p ipc-sock --example tcp_echo -- 127.0.0.1:7777 hello`
//!
//! Without an address it plays all parts itself.

use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;

use ipc_core::{ErrorKind, Framed, Listen, RecvMsg, Result, SendMsg, Wait};
use ipc_sock::tcp::{Listener, SocketOptions, Stream};

/// No message is longer: a peer that claims so is not believed.
const MAX: u32 = 64 * 1024;

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    match (args.next(), args.next()) {
        (Some(address), Some(text)) => client(address.parse()?, &text)?,
        (Some(address), None) => serve(&listen(address.parse()?)?, usize::MAX)?,
        (None, _) => {
            // Port 0 lets the kernel choose one.
            let listener = listen("127.0.0.1:0".parse()?)?;
            let address = listener.local_address()?;
            std::thread::scope(|scope| {
                let server = scope.spawn(|| serve(&listener, 2));
                client(address, "good morning")?;
                client(address, "good night")?;
                server.join().expect("the server does not panic")
            })?;
        }
    }
    Ok(())
}

fn listen(address: SocketAddr) -> Result<Listener> {
    // A client whose machine has vanished is noticed after a minute.
    let second = Duration::from_secs(1);
    SocketOptions::new().keep_alive(30 * second, 10 * second, 3).listen(address)
}

fn serve(listener: &Listener, clients: usize) -> Result<()> {
    std::thread::scope(|scope| {
        for _ in 0..clients {
            let stream = listener.accept()?;
            scope.spawn(|| match echo(stream) {
                Err(error) if error.kind() != ErrorKind::Disconnected => eprintln!("{error}"),
                _ => {}
            });
        }
        Ok(())
    })
}

fn echo(stream: Stream) -> Result<()> {
    println!("{} has come", stream.peer_address()?);
    let mut messages = Framed::new(stream, MAX);
    let mut buf = vec![0; MAX as usize];
    loop {
        let n = messages.recv(&mut buf)?;
        messages.send(&buf[..n])?;
    }
}

fn client(address: SocketAddr, text: &str) -> Result<()> {
    let soon = Wait::timeout(Duration::from_secs(5));
    let mut messages = Framed::new(SocketOptions::new().connect(address, soon)?, MAX);
    messages.send_with(text.as_bytes(), soon)?;
    let mut buf = vec![0; MAX as usize];
    let n = messages.recv_with(&mut buf, soon)?;
    println!("{text:?} came back as {:?}", String::from_utf8_lossy(&buf[..n]));
    Ok(())
}
