//! `alarm` as the last resort: a program that must not hang is ended by the kernel.
//!
//! ```text
//! cargo run -p ipc-signal --example alarm_watchdog
//! ```

use std::env;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::thread;
use std::time::Duration;

use ipc_core::Wait;
use ipc_signal::{Signal, SignalSet, alarm};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    if env::args().nth(1).is_some() {
        hangs();
    }
    // The default of SIGALRM ends the process, also one that is stuck.
    let status = Command::new(env::current_exe()?).arg("hang").status()?;
    let signal = status.signal().map(Signal::new).transpose()?;
    println!("a program that hung was ended by {}", signal.map_or("?".into(), |it| it.to_string()));

    // The same signal, blocked and waited for, is a timeout for one's own use.
    let set = SignalSet::from(Signal::ALRM);
    let _guard = set.block()?;
    alarm(1);
    println!("{} came after a second", set.wait(Wait::Forever)?.signal());
    Ok(())
}

fn hangs() -> ! {
    alarm(1);
    loop {
        thread::sleep(Duration::from_secs(1000));
    }
}
