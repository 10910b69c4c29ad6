//! A parent that gives a worker one end of a connection, sends it orders and reads its answers.
//!
//! `cargo run -p ipc-pipe --example parent_child`

use std::error::Error;
use std::process::Command;

use ipc_core::{ErrorKind, Framed, Handoff, RecvMsg, SendMsg};
use ipc_pipe::{DuplexPipe, PipeOptions};

const MAX: u32 = 1024;

fn main() -> Result<(), Box<dyn Error>> {
    match std::env::args().nth(1).as_deref() {
        Some("worker") => worker(),
        _ => parent(),
    }
}

fn parent() -> Result<(), Box<dyn Error>> {
    let (ours, theirs) = PipeOptions::new().open_duplex()?;
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("worker");
    theirs.give(&mut command, "orders")?;
    let mut child = command.spawn()?;
    // Without this, the parent would hold the worker's end too, and neither would see the other go.
    drop(command);

    let mut orders = Framed::new(ours, MAX);
    let mut answer = [0; MAX as usize];
    for order in ["shout", "at", "me"] {
        orders.send(order.as_bytes())?;
        let n = orders.recv(&mut answer)?;
        println!("{order:>6} -> {}", String::from_utf8_lossy(&answer[..n]));
    }
    drop(orders); // The worker sees the end of the stream and ends.
    println!("worker ended with {}", child.wait()?);
    Ok(())
}

fn worker() -> Result<(), Box<dyn Error>> {
    let mut orders = Framed::new(DuplexPipe::adopt("orders")?, MAX);
    let mut order = [0; MAX as usize];
    loop {
        match orders.recv(&mut order) {
            Ok(n) => orders.send(&order[..n].to_ascii_uppercase())?,
            Err(error) if error.kind() == ErrorKind::Disconnected => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}
