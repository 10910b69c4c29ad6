//! The two sides of a Unix socket server: a receiver that serves a path, and senders.
//!
//! In one terminal: `cargo run -p ipc-sock --example unix_server -- serve /tmp/orders`
//!
//! In another: `cargo run -p ipc-sock --example unix_server -- send /tmp/orders "two coffees"`
//!
//! Kill the server with Ctrl-C and start it again: it takes over the path that it left behind. Start a
//! second one, and it says that somebody listens there. Without arguments it starts itself as both.

use std::env;
use std::error::Error;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use ipc_core::{ErrorKind, Framed, Listen, RecvMsg, SendMsg, Wait};
use ipc_sock::unix::SocketOptions;

/// The longest order.
const MAX: u32 = 1 << 16;

type Done = Result<(), Box<dyn Error>>;

fn main() -> Done {
    let args: Vec<_> = env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => both(),
        ["serve", path] => serve(path.as_ref()),
        ["send", path, text] => send(path.as_ref(), text),
        _ => Err("usage: unix_server [serve PATH | send PATH TEXT]".into()),
    }
}

fn serve(path: &Path) -> Done {
    let listener = SocketOptions::new().listen(path)?;
    println!("process {} serves {}", std::process::id(), path.display());
    loop {
        let conn = listener.accept()?;
        // The kernel's word, not the client's.
        let client = conn.peer()?;
        let mut conn = Framed::new(conn, MAX);
        let mut order = vec![0; MAX as usize];
        let len = match conn.recv_timeout(&mut order, Duration::from_secs(5)) {
            Ok(len) => len,
            // Somebody only looked whether the server is there.
            Err(error) if error.kind() == ErrorKind::Disconnected => continue,
            // One client that says nothing is no reason to stop serving the others.
            Err(error) => {
                println!("process {}: {error}", client.pid);
                continue;
            }
        };
        let order = String::from_utf8_lossy(&order[..len]);
        println!("process {} of user {} wants {order}", client.pid, client.uid);
        match conn.send_timeout(format!("{order}, coming up").as_bytes(), Duration::from_secs(5)) {
            Ok(()) if order == "to close" => return Ok(()), // And the name goes with the listener.
            Ok(()) => {}
            Err(error) => println!("process {}: {error}", client.pid),
        }
    }
}

fn send(path: &Path, text: &str) -> Done {
    let wait = Wait::timeout(Duration::from_secs(5));
    let mut conn = Framed::new(SocketOptions::new().connect(path, wait)?, MAX);
    conn.send_with(text.as_bytes(), wait)?;
    let mut answer = vec![0; MAX as usize];
    let len = conn.recv_with(&mut answer, wait)?;
    println!("{}", String::from_utf8_lossy(&answer[..len]));
    Ok(())
}

fn both() -> Done {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("orders");
    let me = env::current_exe()?;
    let mut server = Command::new(&me).arg("serve").arg(&path).spawn()?;
    // A server that starts is not there at once.
    while let Err(error) = SocketOptions::new().connect(&path, Wait::Never) {
        match error.kind() {
            ErrorKind::NotFound | ErrorKind::ConnectionRefused if server.try_wait()?.is_none() => {
                std::thread::yield_now();
            }
            _ => return Err(error.into()),
        }
    }
    for order in ["two coffees", "a slice of cake", "to close"] {
        let sent = Command::new(&me).arg("send").arg(&path).arg(order).status()?;
        assert!(sent.success(), "the sender says {sent}");
    }
    println!("the server ended with {}", server.wait()?);
    assert!(!path.exists(), "the name is gone");
    Ok(())
}
