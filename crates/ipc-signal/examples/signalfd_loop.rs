//! One `poll` loop for everything: signals, a child's output, and a POSIX timer's ticks.
//!
//! ```text
//! cargo run -p ipc-signal --example signalfd_loop
//! ```

use std::io::Read;
use std::process::{Command, Stdio};
use std::time::Duration;

use ipc_core::Wait;
use ipc_signal::{Signal, SignalFd, TimerOptions};
use rustix::event::{PollFd, PollFlags, poll};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let tick = Signal::realtime(0)?;
    let signals = SignalFd::open([Signal::CHLD, tick].into())?;
    let timer = TimerOptions::new(tick).create()?;
    timer.arm_every(Duration::from_millis(50), Duration::from_millis(50))?;

    let script = "for i in 1 2 3; do echo line $i; sleep 0.1; done; exit 5";
    let mut child = Command::new("sh").args(["-c", script]).stdout(Stdio::piped()).spawn()?;
    let mut out = child.stdout.take().ok_or("no standard output")?;
    let mut batch = Vec::new();
    loop {
        let mut fds = [PollFd::new(&signals, PollFlags::IN), PollFd::new(&out, PollFlags::IN)];
        poll(&mut fds, None)?;
        let [of_signals, of_out] = fds.map(|it| it.revents());
        if of_out.contains(PollFlags::IN) {
            let mut buf = [0; 256];
            let len = out.read(&mut buf)?;
            print!("the child says: {}", String::from_utf8_lossy(&buf[..len]));
        }
        if of_signals.contains(PollFlags::IN) {
            signals.read_batch(&mut batch, Wait::Never)?;
        }
        for origin in batch.drain(..) {
            if let Some(missed) = origin.overrun() {
                println!("tick, and {missed} that were missed");
            }
            if let (Some(pid), Some(status)) = (origin.pid(), origin.child_status()) {
                println!("child {pid} has ended: {status}, {}", child.wait()?);
                return Ok(());
            }
        }
    }
}
