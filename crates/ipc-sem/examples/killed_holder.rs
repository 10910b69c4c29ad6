//! A counter that processes share, who are killed while they hold its lock.
//!
//! ```sh
//! cargo run -p ipc-sem --example killed_holder
//! ```

use std::error::Error;
use std::io::Read;
use std::os::fd::AsFd;
use std::process::{Command, Stdio};

use ipc_core::Handoff;
use ipc_sem::{LockError, Mutex, Shared};
use zerocopy::{FromBytes, IntoBytes};

/// Both are the same, but while they are being changed.
#[derive(Debug, FromBytes, IntoBytes)]
#[repr(C)]
struct Counter {
    count: u64,
    check: u64,
}

fn main() -> Result<(), Box<dyn Error>> {
    if std::env::args().nth(1).as_deref() == Some("worker") {
        return work();
    }
    let counter = Shared::<Mutex<Counter>>::new(Counter { count: 0, check: 0 })?;
    for _ in 0..3 {
        let mut worker = Command::new(std::env::current_exe()?);
        worker.arg("worker").stdout(Stdio::piped());
        let theirs = Shared::<Mutex<Counter>>::try_from(counter.as_fd().try_clone_to_owned()?)?;
        theirs.give(&mut worker, "counter")?;
        let mut worker = worker.spawn()?;
        // It has the lock now, and has done half of its work.
        worker.stdout.take().expect("it is piped").read_exact(&mut [0])?;
        worker.kill()?;
        worker.wait()?;

        let mut guard = match counter.lock() {
            Ok(_) => panic!("the worker had the lock"),
            Err(LockError::OwnerDied(mut died)) => {
                println!("its holder was killed: {} {}", died.count, died.check);
                // What was not done to the end was not done at all.
                died.count = died.check;
                died.recover()
            }
            Err(LockError::Failed(error)) => return Err(error.into()),
        };
        guard.count += 10;
        guard.check += 10;
    }
    let guard = counter.lock().map_err(ipc_core::Error::from)?;
    assert_eq!((guard.count, guard.check), (30, 30));
    println!("the counter is right: {}", guard.count);
    Ok(())
}

fn work() -> Result<(), Box<dyn Error>> {
    let counter = Shared::<Mutex<Counter>>::adopt("counter")?;
    let mut guard = counter.lock().map_err(ipc_core::Error::from)?;
    guard.count += 1;
    println!("x");
    loop {
        std::thread::park();
    }
}
