//! Two processes and a System V segment: `shmget`, `shmat`, and a key that both make of a file.
//!
//! `cargo run -p ipc-shm --example sysv_hello`, and `ipcs -m` while it runs.

use std::error::Error;
use std::process::Command;
use std::sync::atomic::Ordering;

use ipc_shm::{Key, RegionExt, SysvShmOptions};

fn main() -> Result<(), Box<dyn Error>> {
    // Both processes make the same key of the same file: here of the program itself.
    let key = Key::from_path_id(std::env::current_exe()?, b'h')?;
    if std::env::args().nth(1).as_deref() == Some("child") {
        return child(key);
    }
    let memory = SysvShmOptions::new().len(4096).create(key)?;
    println!("parent: made segment {} of key {key}", memory.id());
    let status = Command::new(std::env::current_exe()?).arg("child").status()?;
    assert!(status.success(), "the child failed");

    let len = memory.atomic_u32(0)?.load(Ordering::Acquire);
    let mut text = vec![0; usize::try_from(len)?];
    memory.read_at(8, &mut text)?;
    let status = memory.status()?;
    println!("parent: the child wrote {:?}", String::from_utf8_lossy(&text));
    println!("parent: process {:?} detached last", status.last);
    assert_eq!(text, b"hello from the child");
    Ok(())
}

fn child(key: Key) -> Result<(), Box<dyn Error>> {
    let memory = SysvShmOptions::new().open(key)?;
    let text = b"hello from the child";
    memory.write_at(8, text)?;
    memory.atomic_u32(0)?.store(u32::try_from(text.len())?, Ordering::Release);
    Ok(())
}
