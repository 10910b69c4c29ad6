//! A table of prices that one process changes and three read.
//!
//! ```sh
//! cargo run -p ipc-sem --example readers_writers
//! ```

use std::error::Error;
use std::os::fd::AsFd;
use std::process::Command;

use ipc_core::{Handoff, Wait};
use ipc_sem::{Barrier, RwLock, Shared};

/// Prices that always add up to the same, and a barrier at which all begin.
type Market = Shared<(RwLock<[u64; 8]>, Barrier)>;

const READERS: u32 = 3;

fn main() -> Result<(), Box<dyn Error>> {
    if std::env::args().nth(1).as_deref() == Some("reader") {
        return read();
    }
    let market = Market::new(([100; 8], READERS + 1))?;
    let mut readers = Vec::new();
    for _ in 0..READERS {
        let mut reader = Command::new(std::env::current_exe()?);
        let theirs = Market::try_from(market.as_fd().try_clone_to_owned()?)?;
        theirs.give(reader.arg("reader"), "market")?;
        readers.push(reader.spawn()?);
    }
    let (prices, start) = &*market;
    start.join()?.wait()?;
    for step in 0..2000 {
        let mut prices = prices.write().map_err(ipc_core::Error::from)?;
        let (from, to) = (step % 8, (step * 3 + 1) % 8);
        let change = prices[from].min(7);
        prices[from] -= change;
        prices[to] += change;
    }
    for mut reader in readers {
        assert!(reader.wait()?.success());
    }
    println!("nobody saw half a price");
    Ok(())
}

fn read() -> Result<(), Box<dyn Error>> {
    let market = Market::adopt("market")?;
    let (prices, start) = &*market;
    start.join()?.wait_with(Wait::Forever)?;
    for _ in 0..2000 {
        let sum: u64 = prices.read()?.iter().sum();
        assert_eq!(sum, 800, "half of a change was seen");
    }
    Ok(())
}
