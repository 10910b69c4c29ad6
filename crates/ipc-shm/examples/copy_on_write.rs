//! One file, mapped twice: shared, so that changes are everybody's, and private, so that they are copies.
//!
//! `cargo run -p ipc-shm --example copy_on_write`

use std::error::Error;
use std::io::Write;

use ipc_core::Region;
use ipc_shm::{FileMap, RegionExt};

fn main() -> Result<(), Box<dyn Error>> {
    let mut file = tempfile::tempfile()?;
    file.write_all(b"the original")?;
    let (shared, private) = (FileMap::shared(&file)?, FileMap::private(&file)?);

    shared.write_at(0, b"THE")?;
    println!("after a shared write:  shared {:?}, private {:?}", text(&shared)?, text(&private)?);

    private.write_at(4, b"imitated")?;
    println!("after a private write: shared {:?}, private {:?}", text(&shared)?, text(&private)?);

    // The page of the private mapping is a copy by now: it does not follow the file any more.
    shared.write_at(0, b"The")?;
    println!("after a shared write:  shared {:?}, private {:?}", text(&shared)?, text(&private)?);
    assert_eq!((text(&shared)?, text(&private)?), ("The original".into(), "THE imitated".into()));
    Ok(())
}

fn text(region: &impl Region) -> ipc_core::Result<String> {
    let mut bytes = vec![0; region.len()];
    region.read_at(0, &mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
