//! Passes an open file and sealed memory to another process, which could have opened neither.
//!
//! `cargo run -p ipc-sock --example pass_descriptors`

use std::env;
use std::error::Error;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::fd::AsFd;
use std::process::Command;

use ipc_core::{Handoff, RecvMsg, SendMsg, Wait};
use ipc_sock::unix::{SealedMemfd, Seals, Seqpacket, SocketOptions};

type Done = Result<(), Box<dyn Error>>;

fn main() -> Done {
    match env::args().nth(1).as_deref() {
        Some("worker") => worker(),
        _ => parent(),
    }
}

fn parent() -> Done {
    let (mut ours, theirs) = SocketOptions::new().pair_seqpacket()?;
    let mut command = Command::new(env::current_exe()?);
    command.arg("worker");
    theirs.give(&mut command, "work")?;
    let mut worker = command.spawn()?;
    drop(command);

    // A file that has no name any more: nobody can open it, and the worker writes to it.
    let mut log = tempfile::tempfile()?;
    writeln!(log, "process {} was here", std::process::id())?;
    ours.send_message(b"log", &[log.as_fd()], Wait::Forever)?;

    // A megabyte that is not copied through the socket, and that this process cannot change any more.
    let picture = SealedMemfd::new(&vec![7; 1 << 20])?;
    ours.send_message(b"picture", &[picture.as_fd()], Wait::Forever)?;

    let mut answer = [0; 64];
    let len = ours.recv(&mut answer)?;
    println!("{}", String::from_utf8_lossy(&answer[..len]));
    assert!(worker.wait()?.success());
    // The two share the file's position, as after `dup`.
    std::io::Seek::rewind(&mut log)?;
    for line in BufReader::new(log).lines() {
        println!("log: {}", line?);
    }
    Ok(())
}

fn worker() -> Done {
    let mut work = Seqpacket::adopt("work")?;
    let mut what = [0; 64];
    let mut message = work.recv_message(&mut what, Wait::Forever)?;
    assert_eq!((&what[..message.len], message.fds.len()), (&b"log"[..], 1));
    let mut log = File::from(message.fds.remove(0));
    writeln!(log, "and process {}", std::process::id())?;

    // Checked before it is looked at: what is read is what was sent, whatever the sender does now.
    let (_, picture) = work.recv_sealed(&mut what, Seals::CONTENTS, Wait::Forever)?;
    let sum: u64 = picture.read(1 << 24)?.iter().map(|byte| u64::from(*byte)).sum();
    let answer = format!("{} bytes, which add up to {sum}", picture.len());
    work.send(answer.as_bytes())?;
    Ok(())
}
