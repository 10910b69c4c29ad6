//! A server that reads lines from a FIFO, whoever writes them, and survives its own crash.
//!
//! In one terminal: `cargo run -p ipc-pipe --example fifo_server -- /tmp/orders`
//!
//! In another: `echo coffee > /tmp/orders; echo stop > /tmp/orders`
//!
//! Without a path it plays both parts itself.

use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipc_core::Wait;
use ipc_pipe::FifoOptions;

fn main() -> Result<(), Box<dyn Error>> {
    if let Some(path) = std::env::args_os().nth(1) {
        return serve(&PathBuf::from(path));
    }
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("orders");
    std::thread::scope(|scope| {
        let server = scope.spawn(|| serve(&path).map_err(|error| error.to_string()));
        while !path.exists() {
            std::thread::yield_now();
        }
        for order in ["coffee", "cake", "stop"] {
            client(&path, order)?;
        }
        server.join().expect("the server does not panic")?;
        Ok(())
    })
}

fn serve(path: &Path) -> Result<(), Box<dyn Error>> {
    // If the last server was killed, its FIFO is still there: take it over. If it is alive, fail.
    let fifo = FifoOptions::new().reclaim(true).create(path)?;
    // The server holds a writer too, so that it does not see the end when a client leaves.
    let (rx, _keep_open) = fifo.open_both()?;
    for line in BufReader::new(rx).lines() {
        match line?.as_str() {
            "stop" => break,
            order => println!("one {order}, coming up"),
        }
    }
    Ok(())
}

fn client(path: &Path, order: &str) -> Result<(), Box<dyn Error>> {
    let fifo = FifoOptions::new().open(path)?;
    let mut tx = fifo.open_writer(Wait::timeout(Duration::from_secs(5)))?;
    // One write of at most PIPE_BUF bytes: lines of several clients do not mix.
    tx.write_all(format!("{order}\n").as_bytes())?;
    Ok(())
}
