//! Direct communication: a process and its children send to each other by pid.
//!
//! ```text
//! cargo run -p ipc-sock --example direct_ports
//! ```

use std::env;
use std::process::{self, Child, Command};
use std::time::Duration;

use ipc_core::{ErrorKind, SendMsg, Wait};
use ipc_sock::direct::{Port, PortOptions};

const QUESTIONS: u32 = 3;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    if let Some(parent) = env::args().nth(1) {
        return worker(parent.parse()?);
    }
    let mut port = PortOptions::new().open()?;
    println!("process {} has its port at {}", port.pid(), port.path().display());
    let mut workers = Vec::new();
    for _ in 0..3 {
        workers.push(Command::new(env::current_exe()?).arg(process::id().to_string()).spawn()?);
    }

    // Asymmetric: whoever comes, and the kernel says who it was.
    for _ in &workers {
        let (text, pid) = receive(&mut port, None)?;
        println!("{pid} says {text:?}");
    }
    // Symmetric: each one's answers in turn, whatever the others send meanwhile.
    for worker in &workers {
        for n in 0..QUESTIONS {
            port.send_to(worker.id(), &n.to_le_bytes(), soon())?;
        }
    }
    for worker in &workers {
        for n in 0..QUESTIONS {
            let (text, pid) = receive(&mut port, Some(worker.id()))?;
            println!("{pid} answers question {n}: {text:?}");
        }
    }

    // One of them for as long as it lives: this never becomes somebody else.
    let first = port.peer(workers[0].id())?;
    for worker in &mut workers {
        port.send_to(worker.id(), b"", soon())?;
        end(worker);
    }
    let error = (&first).send(b"are you there?").expect_err("it has ended");
    assert_eq!(error.kind(), ErrorKind::Disconnected);
    println!("{}: {:?}", first.pid(), error.kind());
    Ok(())
}

/// Answers questions until an empty message comes.
fn worker(parent: u32) -> Result<(), Box<dyn std::error::Error>> {
    let mut port = PortOptions::new().open()?;
    port.send_to(parent, b"I am ready", soon())?;
    let mut question = [0; 4];
    while port.recv_from(Some(parent), &mut question, soon())?.len > 0 {
        let n = u32::from_le_bytes(question);
        port.send_to(parent, format!("{n} squared is {}", n * n).as_bytes(), soon())?;
    }
    Ok(())
}

fn receive(port: &mut Port, from: Option<u32>) -> ipc_core::Result<(String, u32)> {
    let mut buf = [0; 256];
    let message = port.recv_from(from, &mut buf, soon())?;
    Ok((String::from_utf8_lossy(&buf[..message.len]).into_owned(), message.pid))
}

fn soon() -> Wait {
    Wait::timeout(Duration::from_secs(30))
}

fn end(worker: &mut Child) {
    let status = worker.wait().expect("wait for the worker");
    assert!(status.success(), "a worker failed: {status}");
}
