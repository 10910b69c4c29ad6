//! Several senders, one receiver, whole messages: a pipe in packet mode.
//!
//! `cargo run -p ipc-pipe --example packets`

use ipc_core::{ErrorKind, RecvMsg, Result, SendMsg};
use ipc_pipe::{PIPE_BUF, PipeOptions};

fn main() -> Result<()> {
    let (mut rx, tx) = PipeOptions::new().open_packet()?;
    std::thread::scope(|scope| {
        for sender in 1..=3 {
            let mut tx = &tx;
            scope.spawn(move || {
                for n in 1..=4 {
                    let message = format!("message {n} of sender {sender}");
                    tx.send(message.as_bytes()).expect("the receiver is there");
                }
            });
        }
        let mut buf = [0; PIPE_BUF];
        for _ in 0..12 {
            let n = rx.recv(&mut buf)?;
            println!("{}", String::from_utf8_lossy(&buf[..n]));
        }
        Ok::<_, ipc_core::Error>(())
    })?;

    drop(tx);
    let end = rx.recv(&mut [0; PIPE_BUF]).expect_err("nobody is left to send");
    assert_eq!(end.kind(), ErrorKind::Disconnected);
    println!("then: {end}");
    Ok(())
}
