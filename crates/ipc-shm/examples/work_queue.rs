//! Work for several processes: each piece is taken by one of them, and done before it is let go of, so that
//! the work of one that dies goes to another. The results come back over a ring with several senders.
//!
//! `cargo run -p ipc-shm --example work_queue`

use std::error::Error;
use std::process::Command;

use ipc_core::{Handoff, RecvMsg, SendMsg, Wait};
use ipc_shm::ring::{RingOptions, mpmc, mpsc};

const PIECES: u64 = 10_000;
const WORKERS: usize = 3;

fn main() -> Result<(), Box<dyn Error>> {
    if std::env::args().nth(1).as_deref() == Some("worker") {
        return work();
    }
    let (mut pieces, worker_end) = mpmc::pair(&RingOptions::new())?;
    let (result_end, mut results) = mpsc::pair(&RingOptions::new().senders(WORKERS + 1))?;
    let mut workers = Vec::new();
    for _ in 0..WORKERS {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("worker");
        worker_end.try_clone()?.give(&mut command, "pieces").map_err(|rejected| rejected.error)?;
        result_end.try_clone()?.give(&mut command, "results").map_err(|rejected| rejected.error)?;
        workers.push(command.spawn()?);
    }
    // Ours: the workers are to be the only ones.
    drop((worker_end, result_end));

    let giving = std::thread::spawn(move || {
        (0..PIECES).try_for_each(|piece| pieces.send(&piece.to_le_bytes()))
    });
    let (mut sum, mut buf) = (0, [0; 8]);
    for _ in 0..PIECES {
        results.recv(&mut buf)?;
        sum += u64::from_le_bytes(buf);
    }
    // The giver drops its end, and the workers learn that there is no more.
    giving.join().map_err(|_| "the giver panicked")??;
    for mut worker in workers {
        assert!(worker.wait()?.success(), "a worker failed");
    }
    println!("{WORKERS} workers squared {PIECES} numbers, whose sum is {sum}");
    assert_eq!(sum, (0..PIECES).map(|it| it * it).sum::<u64>());
    Ok(())
}

fn work() -> Result<(), Box<dyn Error>> {
    let mut pieces = mpmc::Receiver::adopt("pieces")?;
    let mut results = mpsc::Sender::adopt("results")?;
    let mut piece = [0; 8];
    while let Ok(view) = pieces.peek(Wait::Forever) {
        view.read_at(0, &mut piece)?;
        let number = u64::from_le_bytes(piece);
        results.send(&(number * number).to_le_bytes())?;
        view.release();
    }
    Ok(())
}
