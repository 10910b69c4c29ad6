//! Where a robot is, a hundred thousand times a second, for whoever wants to know. Nobody waits for a reader,
//! and a reader has the newest position and not an old one.
//!
//! `cargo run -p ipc-shm --example telemetry`

use std::error::Error;
use std::process::Command;

use ipc_core::{ErrorKind, Handoff, Wait};
use ipc_shm::ring::RingOptions;
use ipc_shm::ring::latest::{self, Reader};
use zerocopy::{FromBytes, Immutable, IntoBytes};

#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
struct Position {
    x: f64,
    y: f64,
    speed: f64,
}

const STEPS: u32 = 100_000;

fn main() -> Result<(), Box<dyn Error>> {
    if std::env::args().nth(1).as_deref() == Some("display") {
        return display();
    }
    let (mut robot, reader) = latest::pair::<Position>(&RingOptions::new())?;
    let mut command = Command::new(std::env::current_exe()?);
    reader.give(command.arg("display"), "position").map_err(|rejected| rejected.error)?;
    let mut display = command.spawn()?;
    for step in 0..STEPS {
        let angle = f64::from(step) / 1000.0;
        robot.write(&Position { x: angle.cos(), y: angle.sin(), speed: 1.0 })?;
    }
    drop(robot);
    assert!(display.wait()?.success(), "the display failed");
    Ok(())
}

fn display() -> Result<(), Box<dyn Error>> {
    let mut reader = Reader::<Position>::adopt("position")?;
    let (mut seen, mut last) = (0, 0);
    loop {
        match reader.read_new(Wait::Forever) {
            Ok(newest) => {
                let Position { x, y, .. } = newest.value;
                assert!(
                    (x.hypot(y) - 1.0).abs() < 1e-9,
                    "half of one position and half of another"
                );
                (seen, last) = (seen + 1, newest.number);
            }
            Err(error) if error.kind() == ErrorKind::Disconnected => break,
            Err(error) => return Err(error.into()),
        }
    }
    println!("display: looked at {seen} of {last} positions, the last one included");
    assert_eq!(last, u64::from(STEPS));
    Ok(())
}
