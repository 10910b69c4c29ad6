//! A server that does something else until a signal says that messages came: `mq_notify`.
//!
//! It registers again **before** it drains the queue, so that no message goes unnoticed.
//!
//! ```text
//! cargo run -p ipc-mq --example notified_server
//! ```

use std::env;
use std::process::Command;

use ipc_core::{ErrorKind, Name, Result, SendMsg, Wait};
use ipc_mq::posix::QueueOptions;
use signal_hook::consts::SIGUSR1;
use signal_hook::iterator::Signals;

const REQUESTS: u32 = 50;

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    if let Some(name) = env::args().nth(1) {
        return Ok(client(&Name::new(name)?)?);
    }
    // Before anybody can send: an unhandled SIGUSR1 would end the process.
    let mut signals = Signals::new([SIGUSR1])?;
    let name = Name::new(format!("ipc-mq-example-{}", std::process::id()))?;
    let queue = QueueOptions::new().create(&name)?;
    let mut rx = queue.receiver()?;
    rx.notify_signal(SIGUSR1, 0)?;
    let mut client = Command::new(env::current_exe()?).arg(&name).spawn()?;

    let (mut served, mut signalled) = (0, 0);
    while served < REQUESTS {
        // Here a real server waits for all its events; this one has only signals.
        signalled += signals.wait().count();
        match rx.notify_signal(SIGUSR1, 0) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error.into()),
            _ => {}
        }
        loop {
            match rx.recv_message(Wait::Never) {
                Ok(message) => {
                    assert_eq!(message.body, served.to_le_bytes(), "a request was lost");
                    served += 1;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.into()),
            }
        }
    }
    client.wait()?;
    println!("{served} requests were announced by {signalled} signals");
    Ok(())
}

fn client(name: &Name) -> Result<()> {
    let mut tx = QueueOptions::new().open(name)?.sender()?;
    (0..REQUESTS).try_for_each(|n| tx.send(&n.to_le_bytes()))
}
