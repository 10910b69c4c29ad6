//! A camera's frames go to another process, and nobody copies them: the producer makes each in the ring, the
//! consumer looks at it there.
//!
//! `cargo run -p ipc-shm --example camera_frames`
#![expect(unsafe_code, reason = "a frame as a slice, made by a process that is trusted")]

use std::error::Error;
use std::process::Command;

use ipc_core::{ErrorKind, Handoff, Wait};
use ipc_shm::ring::RingOptions;
use ipc_shm::ring::spsc::Receiver;

const WIDTH: usize = 1920;
const HEIGHT: usize = 1080;
const FRAMES: usize = 60;

fn main() -> Result<(), Box<dyn Error>> {
    if std::env::args().nth(1).as_deref() == Some("consumer") {
        return consume();
    }
    // Room for three frames: one that is made, one that is looked at, one between.
    let (mut tx, rx) = RingOptions::new().capacity(4 * WIDTH * HEIGHT).pair()?;
    let mut command = Command::new(std::env::current_exe()?);
    rx.give(command.arg("consumer"), "frames").map_err(|rejected| rejected.error)?;
    let mut consumer = command.spawn()?;
    for frame in 0..FRAMES {
        let mut grant = tx.reserve(WIDTH * HEIGHT, Wait::Forever)?;
        for line in 0..HEIGHT {
            // What a camera's driver would write by itself.
            grant.write_at(line * WIDTH, &[(frame + line) as u8; WIDTH])?;
        }
        grant.commit();
    }
    drop(tx);
    assert!(consumer.wait()?.success(), "the consumer failed");
    Ok(())
}

fn consume() -> Result<(), Box<dyn Error>> {
    let mut rx = Receiver::adopt("frames")?;
    let mut frames = 0;
    loop {
        let view = match rx.peek(Wait::Forever) {
            Ok(view) => view,
            Err(error) if error.kind() == ErrorKind::Disconnected => break,
            Err(error) => return Err(error.into()),
        };
        // SAFETY: the producer is this very program, and does not write to a frame that it has committed
        // before we release it.
        let frame = unsafe { view.as_slice() };
        let middle = frame[HEIGHT / 2 * WIDTH + WIDTH / 2];
        assert_eq!(middle, (frames + HEIGHT / 2) as u8);
        view.release();
        frames += 1;
    }
    println!("consumer: {frames} frames of {} KiB, none copied", WIDTH * HEIGHT / 1024);
    assert_eq!(frames, FRAMES);
    Ok(())
}
