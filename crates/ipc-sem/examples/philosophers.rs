//! The dining philosophers: each takes both forks at once, by one operation on a System V set, so that nobody
//! starves with one fork in the hand; and one of them is killed with its forks, which the kernel puts back.
//!
//! ```sh
//! cargo run -p ipc-sem --example philosophers
//! ```

use std::error::Error;
use std::io::Read;
use std::process::{Command, Stdio};

use ipc_core::Wait;
use ipc_sem::sysv::{Op, Set, SetOptions};

const SEATS: u16 = 5;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    if let [seat, id] = &arguments[..] {
        return dine(seat.parse()?, &SetOptions::new().open_id(id.parse()?)?);
    }
    let forks = SetOptions::new().values(&[1; SEATS as usize]).private()?;
    let mut guests = Vec::new();
    for seat in 0..SEATS {
        let mut guest = Command::new(std::env::current_exe()?);
        guest.args([seat.to_string(), forks.id().to_string()]).stdout(Stdio::piped());
        let mut guest = guest.spawn()?;
        if seat == 0 {
            // It has its forks.
            guest.stdout.take().expect("it is piped").read_exact(&mut [0])?;
            println!("one has both forks, and is killed: {:?}", forks.values()?);
            guest.kill()?;
            guest.wait()?;
            println!("the kernel has put them back: {:?}", forks.values()?);
        } else {
            guests.push(guest);
        }
    }
    for mut guest in guests {
        assert!(guest.wait()?.success());
    }
    assert_eq!(forks.values()?, [1; SEATS as usize]);
    println!("all have eaten");
    Ok(())
}

fn dine(seat: u16, forks: &Set) -> Result<(), Box<dyn Error>> {
    let (left, right) = (seat, (seat + 1) % SEATS);
    for _ in 0..1000 {
        forks.operate(&[Op::wait(left, 1).undo(), Op::wait(right, 1).undo()], Wait::Forever)?;
        if seat == 0 {
            println!("x");
            loop {
                std::thread::park();
            }
        }
        forks.operate(&[Op::post(left, 1).undo(), Op::post(right, 1).undo()], Wait::Forever)?;
    }
    Ok(())
}
