//! The loops over links that are faulty on purpose.

use std::process::Command;
use std::sync::mpsc::{Receiver, Sender, channel};

use super::*;
use crate::Setup;

/// What a faulty link does to message number 5 of those it sends.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fault {
    None,
    Lose,
    Repeat,
    Swap,
    FlipLastBit,
    Truncate,
}

struct Faulty {
    fault: Fault,
    sent: u64,
    held: Option<Vec<u8>>,
    tx: Sender<Vec<u8>>,
    rx: Receiver<Vec<u8>>,
}

fn pair(fault: Fault) -> (Faulty, Faulty) {
    let ((a_tx, b_rx), (b_tx, a_rx)) = (channel(), channel());
    let link = |fault, tx, rx| Faulty { fault, sent: 0, held: None, tx, rx };
    (link(fault, a_tx, a_rx), link(Fault::None, b_tx, b_rx))
}

impl Link for Faulty {
    type Offer = ();

    fn offer(_: &Setup, _: &mut Command) -> Result<()> {
        Ok(())
    }

    fn connect((): ()) -> Result<Self> {
        Ok(pair(Fault::None).0)
    }

    fn join(_: &Setup) -> Result<Self> {
        Ok(pair(Fault::None).0)
    }

    fn send(&mut self, msg: &[u8], _: WaitMode) -> Result<()> {
        self.sent += 1;
        let mut msg = msg.to_vec();
        let fault = if self.sent == 5 { self.fault } else { Fault::None };
        match fault {
            Fault::Lose => return Ok(()),
            Fault::Repeat => self.tx.send(msg.clone())?,
            Fault::Swap => {
                self.held = Some(msg);
                return Ok(());
            }
            Fault::FlipLastBit => *msg.last_mut().expect("not empty") ^= 1,
            Fault::Truncate => msg.truncate(msg.len() - 1),
            Fault::None => {}
        }
        self.tx.send(msg)?;
        if let Some(held) = self.held.take() {
            self.tx.send(held)?;
        }
        Ok(())
    }

    fn recv(&mut self, buf: &mut [u8], _: WaitMode) -> Result<usize> {
        let msg = self.rx.recv()?;
        buf[..msg.len()].copy_from_slice(&msg);
        Ok(msg.len())
    }
}

/// A batch of 20 messages.
fn spec(topology: Topology, size: usize) -> BatchSpec {
    BatchSpec::with(topology, size, 20, Setting::None, OpenLoop::default(), Drag::default())
}

/// What the responder says of a stream of 20 messages.
fn respond(topology: Topology, fault: Fault) -> Result<Tally> {
    let (here, there) = pair(fault);
    let spec = spec(topology, 100);
    let responder = std::thread::spawn(move || {
        Runner(there).respond(&spec, &mut histogram().expect("histogram"))
    });
    let mut rtts = histogram().expect("histogram");
    // Its own error, if any, follows from the responder's.
    let _ = Runner(here).initiate(&spec, &mut rtts);
    responder.join().expect("no panic")
}

/// A notification is a message of size 0: only what is there to receive too much can be seen.
struct Bell {
    repeat: bool,
    link: Faulty,
}

impl Link for Bell {
    type Offer = ();

    fn offer(_: &Setup, _: &mut Command) -> Result<()> {
        Ok(())
    }

    fn connect((): ()) -> Result<Self> {
        Ok(Self { repeat: false, link: Faulty::connect(())? })
    }

    fn join(_: &Setup) -> Result<Self> {
        Self::connect(())
    }

    fn send(&mut self, msg: &[u8], wait: WaitMode) -> Result<()> {
        if self.repeat && self.link.sent == 4 {
            self.link.send(msg, wait)?;
        }
        self.link.send(msg, wait)
    }

    fn recv(&mut self, buf: &mut [u8], wait: WaitMode) -> Result<usize> {
        self.link.recv(buf, wait)
    }

    fn quiet(&mut self) -> Result<()> {
        match self.link.rx.try_recv() {
            Ok(_) => Err(Void("one too many".to_owned()).into()),
            Err(_) => Ok(()),
        }
    }
}

#[test]
fn a_notification_too_many_is_found_when_all_is_quiet() {
    for repeat in [false, true] {
        let (here, there) = pair(Fault::None);
        let topology = Topology::PingPong;
        let spec = spec(topology, 0);
        let responder = std::thread::spawn(move || {
            let mut there = Runner(Bell { repeat: false, link: there });
            let mut none = histogram().expect("histogram");
            there.respond(&spec, &mut none).expect("one answer for each that came");
            there
        });
        let mut here = Runner(Bell { repeat, link: here });
        let mut rtts = histogram().expect("histogram");
        let tally = here.initiate(&spec, &mut rtts).expect("one answer for each");
        assert_eq!((tally.messages, rtts.len()), (20, 20));
        let mut there = responder.join().expect("no panic");
        assert_eq!([here.quiet().is_err(), there.quiet().is_err()], [false, repeat]);
    }
}

#[test]
fn a_sound_link_is_measured() {
    for topology in [Topology::PingPong, Topology::Stream] {
        let tally = respond(topology, Fault::None).expect("nothing is wrong");
        assert_eq!(tally.messages, 20);
        assert!(tally.begin_ns <= tally.end_ns, "{tally:?}");
    }
}

#[test]
fn each_fault_voids_the_cell_with_its_own_reason() {
    for (fault, says) in [
        (Fault::Lose, "message 6 came in place of 5: 1 lost"),
        (Fault::Repeat, "message 5 came again in place of 6"),
        (Fault::Swap, "message 6 came in place of 5: 1 lost"),
        (Fault::FlipLastBit, "byte 99 of message 5 is"),
        (Fault::Truncate, "message 5 has 99 bytes, not 100"),
    ] {
        let error = respond(Topology::Stream, fault).expect_err("it is faulty");
        let void = error.downcast_ref::<Void>();
        let Void(reason) = void.unwrap_or_else(|| panic!("{fault:?}: {error}"));
        assert!(reason.contains(says), "{fault:?}: {reason}");
    }
}
