//! A file of 10 GiB as memory: only the pages that are touched exist.
//!
//! `cargo run -p ipc-shm --example sparse_file`

use std::error::Error;
use std::os::unix::fs::MetadataExt;

use ipc_core::Region;
use ipc_shm::{Advice, FileMap, RegionExt};

fn main() -> Result<(), Box<dyn Error>> {
    let file = tempfile::tempfile()?;
    file.set_len(10 << 30)?;
    let map = FileMap::shared(&file)?;
    map.advise(Advice::Random)?;
    for gib in 0..10_usize {
        map.write_at((gib << 30) + 12_345, format!("record {gib}").as_bytes())?;
    }
    map.flush(0..map.len())?;

    let mut record = [0; 8];
    map.read_at((7 << 30) + 12_345, &mut record)?;
    println!("at 7 GiB stands {:?}", String::from_utf8_lossy(&record));
    let used = file.metadata()?.blocks() * 512;
    println!("the file has {} bytes and uses {used} of the disk", map.len());
    assert!(used < 1 << 20, "the holes take space");
    Ok(())
}
