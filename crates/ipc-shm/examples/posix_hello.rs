//! Two processes and one page of memory that has a name, as the textbook has it.
//!
//! `cargo run -p ipc-shm --example posix_hello`
//!
//! The parent makes the memory, starts itself again as the child, and reads what the child wrote. Who
//! goes when is a word in the memory: 0 while nobody has written, then the length of the message.

use std::error::Error;
use std::process::Command;
use std::sync::atomic::Ordering;

use ipc_core::Name;
use ipc_shm::{PosixShmOptions, RegionExt};

fn main() -> Result<(), Box<dyn Error>> {
    if let Some(name) = std::env::args_os().nth(1) {
        return child(&Name::new(name)?);
    }
    let name = Name::new(format!("ipc-shm-hello-{}", std::process::id()))?;
    let memory = PosixShmOptions::new().len(4096).create(&name)?;
    println!("parent: made /dev/shm/{}", name.as_os_str().display());
    let status = Command::new(std::env::current_exe()?).arg(name.as_os_str()).status()?;
    assert!(status.success(), "the child failed");

    let len = memory.atomic_u32(0)?.load(Ordering::Acquire);
    let mut text = vec![0; usize::try_from(len)?];
    memory.read_at(8, &mut text)?;
    println!("parent: the child wrote {:?}", String::from_utf8_lossy(&text));
    assert_eq!(text, b"hello from the child");
    Ok(())
}

fn child(name: &Name) -> Result<(), Box<dyn Error>> {
    let memory = PosixShmOptions::new().open(name)?;
    let text = b"hello from the child";
    memory.write_at(8, text)?;
    // Released after the text, so that whoever acquires the length sees all of it.
    memory.atomic_u32(0)?.store(u32::try_from(text.len())?, Ordering::Release);
    Ok(())
}
