//! A POSIX queue between two processes, with priorities.
//!
//! Run it without arguments and it starts its own sender. Or, as a course shows it, in two
//! terminals:
//!
//! ```text
//! cargo run -p ipc-mq --example posix_priority receive orders
//! cargo run -p ipc-mq --example posix_priority send orders
//! ```

use std::env;
use std::process::Command;
use std::time::Duration;

use ipc_core::{Name, Result, Wait};
use ipc_mq::posix::{Priority, QueueOptions};

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let args: Vec<_> = env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["send", name] => Ok(send(&Name::new(name)?)?),
        ["receive", name] => Ok(receive(&Name::new(name)?, || Ok(()))?),
        _ => {
            let name = Name::new(format!("ipc-mq-example-{}", std::process::id()))?;
            let sender = || {
                let status = Command::new(env::current_exe()?).arg("send").arg(&name).status()?;
                if status.success() {
                    Ok(())
                } else {
                    Err(std::io::Error::other("the sender failed"))
                }
            };
            receive(&name, sender)
        }
    }
}

/// Sends the least important message first.
fn send(name: &Name) -> Result<()> {
    let tx = QueueOptions::new().open(name)?.sender()?;
    for (text, priority) in
        [("sweep the floor", 0), ("answer the mail", 5), ("put out the fire", 9)]
    {
        tx.send_priority(text.as_bytes(), Priority::from(priority), Wait::Forever)?;
    }
    Ok(())
}

/// Creates the queue, waits for three messages, and removes it.
fn receive(
    name: &Name,
    sender: impl FnOnce() -> std::io::Result<()>,
) -> std::result::Result<(), Box<dyn std::error::Error>> {
    let queue = QueueOptions::new().capacity(8).message_size(100).create(name)?;
    let mut rx = queue.receiver()?;
    sender()?;
    for _ in 0..3 {
        let message = rx.recv_message(Wait::timeout(Duration::from_secs(60)))?;
        println!("priority {}: {}", message.priority, String::from_utf8_lossy(&message.body));
    }
    Ok(())
}
