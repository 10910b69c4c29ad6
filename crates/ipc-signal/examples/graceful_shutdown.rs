//! A server that finishes what it has begun when SIGTERM comes, and says who wanted it to end.
//!
//! Signals are blocked before the first thread starts; the main thread waits for them, and no signal is
//! missed, however closely it comes before the wait.
//!
//! ```text
//! cargo run -p ipc-signal --example graceful_shutdown
//! ```

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use ipc_core::{ErrorKind, Result};
use ipc_signal::{Pid, Signal, SignalSet};

fn main() -> Result<()> {
    let signals = SignalSet::from([Signal::INT, Signal::TERM, Signal::HUP]);
    let _guard = signals.block()?;

    let stop = Arc::new(AtomicBool::new(false));
    let done = Arc::new(AtomicU32::new(0));
    let workers: Vec<_> = (0..2).map(|_| worker(Arc::clone(&stop), Arc::clone(&done))).collect();

    // Somebody else: an administrator with kill(1).
    let script = format!("sleep 0.1; kill -HUP {0}; sleep 0.1; kill -TERM {0}", Pid::this());
    let administrator = thread::spawn(move || Command::new("sh").args(["-c", &script]).status());

    loop {
        match signals.wait_timeout(Duration::from_millis(50)) {
            Ok(origin) if origin.signal() == Signal::HUP => println!("reading the configuration"),
            Ok(origin) => {
                let (pid, uid) = (origin.pid(), origin.uid());
                println!("{} from process {pid:?} of user {uid:?}", origin.signal());
                break;
            }
            Err(error) if error.kind() == ErrorKind::TimedOut => {
                println!("{} jobs so far", done.load(Ordering::Relaxed));
            }
            Err(error) => return Err(error),
        }
    }
    stop.store(true, Ordering::Release);
    for worker in workers {
        worker.join().expect("a worker panicked");
    }
    administrator.join().expect("no panic").expect("run sh");
    println!("every job that was begun is done: {}", done.load(Ordering::Relaxed));
    Ok(())
}

fn worker(stop: Arc<AtomicBool>, done: Arc<AtomicU32>) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        while !stop.load(Ordering::Acquire) {
            thread::sleep(Duration::from_millis(10)); // A job.
            done.fetch_add(1, Ordering::Relaxed);
        }
    })
}
