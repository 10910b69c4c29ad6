//! A mailbox: two workers take jobs by its name, over either kind of queue.
//!
//! ```text
//! cargo run -p ipc-mq --example mailbox
//! ```

use std::env;
use std::process::Command;
use std::time::Duration;

use ipc_core::{Name, Result, Wait};
use ipc_mq::{Backend, Fixed, MailboxOptions};

const JOBS: u64 = 20;
/// The job that ends a worker.
const END: u64 = u64::MAX;

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let args: Vec<_> = env::args().skip(1).collect();
    if let [backend, name] = &args[..] {
        return Ok(worker(options(backend), &Name::new(name)?)?);
    }
    for backend in ["posix", "sysv"] {
        let name = Name::new(format!("ipc-mq-example-{}", std::process::id()))?;
        let mailbox = options(backend).create(&name)?;
        let mut workers = Vec::new();
        for _ in 0..2 {
            let command = Command::new(env::current_exe()?).arg(backend).arg(&name).spawn();
            workers.push(command?);
        }
        let mut tx = Fixed::<_, 8>::new(mailbox.sender()?);
        for job in (0..JOBS).chain([END, END]) {
            tx.send(&job.to_le_bytes(), Wait::Forever)?;
        }
        for mut worker in workers {
            assert!(worker.wait()?.success(), "a worker failed");
        }
    }
    Ok(())
}

fn options(backend: &str) -> MailboxOptions {
    MailboxOptions::new().backend(match backend {
        "sysv" => Backend::SystemV,
        _ => Backend::Posix,
    })
}

fn worker(options: MailboxOptions, name: &Name) -> Result<()> {
    let mut rx = Fixed::<_, 8>::new(options.open(name)?.receiver()?);
    let mut done = 0;
    loop {
        match u64::from_le_bytes(rx.recv(Wait::timeout(Duration::from_secs(60)))?) {
            END => break,
            _job => done += 1,
        }
    }
    println!("a worker of the mailbox {name} did {done} jobs");
    Ok(())
}
