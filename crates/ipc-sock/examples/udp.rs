//! Questions and answers over UDP, where either may be lost; and a burst that is taken in batches.
//!
//! `cargo run -p ipc-sock --example udp`

use std::time::Duration;

use ipc_core::{ErrorKind, RecvMsg, Result, SendMsg, Wait};
use ipc_sock::udp::{Batch, MAX_BATCH, Socket, SocketOptions};

fn main() -> Result<()> {
    let loopback = "127.0.0.1:0".parse().expect("it is an address");
    let mut server = SocketOptions::new().bind(loopback)?;
    let mut client = SocketOptions::new().connect(server.local_address()?)?;

    std::thread::scope(|scope| {
        let answers = scope.spawn(|| answer(&mut server));
        for question in ["what is the time?", "and now?", "bye"] {
            println!("{question} {}", ask(&mut client, question)?);
        }
        answers.join().expect("the server does not panic")
    })?;

    // Nobody is there any more. The answer to a message says so, and not the message itself.
    drop(server);
    client.send(b"hello?")?;
    let error = client.recv_timeout(&mut [0; 64], Duration::from_secs(1)).expect_err("it is gone");
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    println!("then: {error}");

    burst()
}

fn answer(server: &mut Socket) -> Result<()> {
    let mut buf = [0; 512];
    for n in 1.. {
        let (len, client) = server.recv_from(&mut buf, Wait::Forever)?;
        server.send_to(format!("it is {n} o'clock").as_bytes(), client, Wait::Forever)?;
        if &buf[..len] == b"bye" {
            break;
        }
    }
    Ok(())
}

/// Asks until an answer comes: who may lose messages must be asked again.
fn ask(client: &mut Socket, question: &str) -> Result<String> {
    let mut buf = [0; 512];
    for _ in 0..5 {
        client.send(question.as_bytes())?;
        match client.recv_timeout(&mut buf, Duration::from_secs(1)) {
            Err(error) if error.kind() == ErrorKind::TimedOut => {}
            result => return Ok(String::from_utf8_lossy(&buf[..result?]).into_owned()),
        }
    }
    Ok("nobody answers".to_owned())
}

fn burst() -> Result<()> {
    let (tx, mut rx) = SocketOptions::new().recv_buffer(1 << 20).pair()?;
    let messages: Vec<String> = (0..200).map(|n| format!("measurement {n}")).collect();
    let sent = tx.send_many(&messages, Wait::Forever)?;

    let mut batch = Batch::new(MAX_BATCH);
    let (mut received, mut calls) = (0, 0);
    while let Ok(n) = rx.recv_many(&mut batch, Wait::Never) {
        received += n;
        calls += 1;
    }
    println!("{sent} sent, {received} received with {calls} calls, {} dropped", rx.dropped()?);
    Ok(())
}
