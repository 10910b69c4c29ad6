//! A picture of two megabytes goes to another process without a copy, and cannot change any more.
//!
//! `cargo run -p ipc-shm --example frame_to_child`

use std::error::Error;
use std::process::Command;

use ipc_core::{Handoff, Region};
use ipc_shm::{Memfd, MemfdOptions, ReadOnly, RegionExt, Seals};

/// 1920 x 1080 pixels of one byte.
const FRAME: usize = 1920 * 1080;

fn main() -> Result<(), Box<dyn Error>> {
    if std::env::args().nth(1).as_deref() == Some("child") {
        return child();
    }
    let frame = MemfdOptions::new(FRAME).freezable().create()?;
    let row: Vec<u8> = (0..1920).map(|x| (x % 256) as u8).collect();
    for y in 0..1080 {
        frame.write_at(y * 1920, &row)?;
    }
    let frame = frame.freeze().map_err(|rejected| rejected.error)?;
    let mut command = Command::new(std::env::current_exe()?);
    frame.give(command.arg("child"), "frame").map_err(|rejected| rejected.error)?;
    assert!(command.status()?.success(), "the child failed");
    Ok(())
}

fn child() -> Result<(), Box<dyn Error>> {
    let frame = Memfd::<ReadOnly>::adopt("frame")?;
    // What is checked now stays as it is: nobody can write any more, whoever sent it.
    assert!(frame.seals()?.contain(Seals::CONTENTS));
    let mut row = [0; 1920];
    frame.read_at(1079 * 1920, &mut row)?;
    println!("child: a frame of {} bytes, the last row begins with {:?}", frame.len(), &row[..4]);
    assert_eq!(row[..4], [0, 1, 2, 3]);
    Ok(())
}
