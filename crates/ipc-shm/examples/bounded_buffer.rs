//! The bounded buffer of the textbook: a producer, a consumer in another process, and a ring between them
//! that holds few messages, so that both have to wait.
//!
//! `cargo run -p ipc-shm --example bounded_buffer`

use std::error::Error;
use std::process::Command;

use ipc_core::{ErrorKind, Handoff, RecvMsg, SendMsg};
use ipc_shm::ring::RingOptions;
use ipc_shm::ring::spsc::Receiver;

const ITEMS: u64 = 100_000;

fn main() -> Result<(), Box<dyn Error>> {
    if std::env::args().nth(1).as_deref() == Some("consumer") {
        return consume();
    }
    // Sixteen bytes a record: room for 64 of them.
    let (mut tx, rx) = RingOptions::new().capacity(1024).pair()?;
    let mut command = Command::new(std::env::current_exe()?);
    rx.give(command.arg("consumer"), "items").map_err(|rejected| rejected.error)?;
    let mut consumer = command.spawn()?;
    for item in 1..=ITEMS {
        tx.send(&item.to_le_bytes())?;
    }
    drop(tx);
    assert!(consumer.wait()?.success(), "the consumer failed");
    Ok(())
}

fn consume() -> Result<(), Box<dyn Error>> {
    let mut rx = Receiver::adopt("items")?;
    let (mut items, mut sum, mut buf) = (0, 0, [0; 8]);
    loop {
        match rx.recv(&mut buf) {
            Ok(_) => (items, sum) = (items + 1, sum + u64::from_le_bytes(buf)),
            // The producer has gone, and everything that it sent was received.
            Err(error) if error.kind() == ErrorKind::Disconnected => break,
            Err(error) => return Err(error.into()),
        }
    }
    println!("consumer: {items} items, their sum is {sum}");
    assert_eq!((items, sum), (ITEMS, ITEMS * (ITEMS + 1) / 2));
    Ok(())
}
