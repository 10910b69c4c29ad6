//! A producer that does not wait: while the consumer is away, the ring grows, and gives the memory back when
//! the consumer has caught up.
//!
//! `cargo run -p ipc-shm --example unbounded`

use std::error::Error;

use ipc_core::{RecvMsg, SendMsg};
use ipc_shm::ring::{RingOptions, unbounded};

const ITEMS: u64 = 200_000;

fn main() -> Result<(), Box<dyn Error>> {
    let (mut tx, mut rx) = unbounded::pair(&RingOptions::new())?;
    println!("empty: {} KiB", tx.memory_len()? / 1024);
    for item in 0..ITEMS {
        tx.try_send(&item.to_le_bytes())?; // It would say so if it had to wait.
    }
    let full = tx.memory_len()?;
    println!("with {ITEMS} items that nobody has received: {} KiB", full / 1024);
    let consumer = std::thread::spawn(move || {
        let mut buf = [0; 8];
        for item in 0..ITEMS {
            rx.recv(&mut buf)?;
            assert_eq!(u64::from_le_bytes(buf), item);
        }
        rx.memory_len()
    });
    let after = consumer.join().map_err(|_| "the consumer panicked")??;
    println!("when all are received: {} KiB", after / 1024);
    assert!(after < full / 4, "the memory was not given back");
    Ok(())
}
