//! A producer and a consumer, two processes, and a buffer of four places between them, as the course has it: one
//! semaphore counts what is free, one what is taken, and a mutex guards the places.
//!
//! ```sh
//! cargo run -p ipc-sem --example producer_consumer
//! ```

use std::error::Error;
use std::os::fd::AsFd;
use std::process::Command;

use ipc_core::{Handoff, Semaphore};
use ipc_sem::posix::UnnamedSem;
use ipc_sem::{Mutex, Shared};

const PLACES: usize = 4;
const THINGS: u64 = 1000;

/// What is free, what is taken, and the places with the number of the first one.
type Buffer = Shared<(UnnamedSem, UnnamedSem, Mutex<[u64; PLACES]>)>;

fn main() -> Result<(), Box<dyn Error>> {
    if std::env::args().nth(1).as_deref() == Some("consumer") {
        return consume();
    }
    let buffer = Buffer::new((PLACES as u32, 0, [0; PLACES]))?;
    let theirs = Buffer::try_from(buffer.as_fd().try_clone_to_owned()?)?;
    let mut consumer = Command::new(std::env::current_exe()?);
    theirs.give(consumer.arg("consumer"), "buffer")?;
    let mut consumer = consumer.spawn()?;

    let (free, taken, places) = &*buffer;
    for thing in 0..THINGS {
        free.wait()?;
        places.lock().map_err(ipc_core::Error::from)?[thing as usize % PLACES] = thing;
        taken.post()?;
    }
    assert!(consumer.wait()?.success());
    Ok(())
}

fn consume() -> Result<(), Box<dyn Error>> {
    let buffer = Buffer::adopt("buffer")?;
    let (free, taken, places) = &*buffer;
    for thing in 0..THINGS {
        taken.wait()?;
        let there = places.lock().map_err(ipc_core::Error::from)?[thing as usize % PLACES];
        free.post()?;
        assert_eq!(there, thing, "lost or out of order");
    }
    println!("{THINGS} things, none lost");
    Ok(())
}
