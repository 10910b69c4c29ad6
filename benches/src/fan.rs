//! One process on one side and several on the other: topologies `fan-in` and `fan-out`.
//!
//! In `fan-in` every responder sends and the initiator receives; in `fan-out` the initiator sends and each
//! message goes to one responder, or to every one where the mechanism is a broadcast.

use std::process::Command;

use anyhow::Result;
use ipc_bench_schema::{Topology, WaitMode};

use crate::control::{Tally, Void};
use crate::payload::{fill, verify};
use crate::workload::{BatchSpec, Rtts, Workload, measured};
use crate::{Link, Setup};

/// A mechanism between one process and several, one way.
///
/// A [`Link`] has the same for two processes and both ways. Setting up is not measured; sending and
/// receiving are.
pub trait Fan: Sized {
    /// What the initiator holds between making the mechanism and meeting the responders.
    type Offer;

    /// Whether every responder of a `fan-out` gets every message; else each goes to one of them.
    const EVERY: bool = false;

    /// In the initiator, before the responders start: makes the mechanism, and gives their sides to the
    /// `commands` where it has no name.
    ///
    /// # Errors
    ///
    /// Whatever the mechanism says.
    fn offer(setup: &Setup, topology: Topology, commands: &mut [Command]) -> Result<Self::Offer>;

    /// In the initiator, once the responders run.
    ///
    /// # Errors
    ///
    /// Whatever the mechanism says.
    fn connect(offer: Self::Offer) -> Result<Self>;

    /// In the responder with this number; they count from 0.
    ///
    /// # Errors
    ///
    /// Whatever the mechanism says.
    fn join(setup: &Setup, topology: Topology, index: usize) -> Result<Self>;

    /// Sends one message of the cell's size: in the responders of a `fan-in`, in the initiator of a
    /// `fan-out`.
    ///
    /// # Errors
    ///
    /// Whatever the mechanism says.
    fn send(&mut self, msg: &[u8], wait: WaitMode) -> Result<()>;

    /// Receives one message of the cell's size and returns its length.
    ///
    /// # Errors
    ///
    /// Whatever the mechanism says.
    fn recv(&mut self, buf: &mut [u8], wait: WaitMode) -> Result<usize>;
}

/// How the setup of a link between two of many processes is told from the others.
pub(crate) fn setup_of(setup: &Setup, index: usize) -> Setup {
    Setup { key: format!("{}_{index}", setup.key), ..setup.clone() }
}

/// A link to each responder, to which the sender deals its messages out in turns.
pub(crate) struct Dealt<L> {
    links: Vec<L>,
    next: usize,
}

impl<L: Link> Fan for Dealt<L> {
    type Offer = Vec<L::Offer>;

    fn offer(setup: &Setup, _: Topology, commands: &mut [Command]) -> Result<Self::Offer> {
        let commands = commands.iter_mut().enumerate();
        commands.map(|(i, command)| L::offer(&setup_of(setup, i), command)).collect()
    }

    fn connect(offers: Self::Offer) -> Result<Self> {
        Ok(Self { links: offers.into_iter().map(L::connect).collect::<Result<_>>()?, next: 0 })
    }

    fn join(setup: &Setup, _: Topology, index: usize) -> Result<Self> {
        Ok(Self { links: vec![L::join(&setup_of(setup, index))?], next: 0 })
    }

    #[inline]
    fn send(&mut self, msg: &[u8], wait: WaitMode) -> Result<()> {
        let at = self.next;
        self.next = if at + 1 == self.links.len() { 0 } else { at + 1 };
        self.links[at].send(msg, wait)
    }

    #[inline]
    fn recv(&mut self, buf: &mut [u8], wait: WaitMode) -> Result<usize> {
        self.links[0].recv(buf, wait)
    }
}

/// Where the number of the sender stands in the number of a message.
const SENDER: u32 = 56;
/// The number of a message that ends a batch has this bit.
const STOP: u64 = 1 << 63;
/// The shortest message that has room for its number.
pub(crate) const LEAST: usize = 8;

/// Many processes send and one receives.
pub(crate) struct In<F> {
    fan: F,
    /// The number of this sender; in the receiver, how many there are.
    many: usize,
}

/// One process sends and many receive.
pub(crate) struct Out<F> {
    fan: F,
    many: usize,
}

impl<F> In<F> {
    pub(crate) const fn new(fan: F, many: usize) -> Self {
        Self { fan, many }
    }
}

impl<F> Out<F> {
    pub(crate) const fn new(fan: F, many: usize) -> Self {
        Self { fan, many }
    }
}

impl<F: Fan> Workload for In<F> {
    /// Receives all that the senders send, in whatever order they come.
    fn initiate(&mut self, batch: &BatchSpec, _: &mut Rtts) -> Result<Tally> {
        let mut buf = vec![0; batch.size];
        let mut next = vec![batch.first; self.many];
        measured(batch, || {
            for _ in 0..batch.count * self.many as u64 {
                let len = self.fan.recv(&mut buf, batch.wait)?;
                let number = number(&buf, len)?;
                let sender = (number >> SENDER) as usize;
                let Some(due) = next.get_mut(sender) else {
                    return Err(void(format!(
                        "message {number:#x} is of a sender that is not there"
                    )));
                };
                check(&buf, (sender as u64) << SENDER | *due)
                    .map_err(|error| void(format!("sender {sender}: {error}")))?;
                *due += 1;
                batch.drag.pull();
            }
            Ok(())
        })
    }

    fn respond(&mut self, batch: &BatchSpec, _: &mut Rtts) -> Result<Tally> {
        let mut buf = vec![0; batch.size];
        let sender = (self.many as u64) << SENDER;
        measured(batch, || {
            for seq in batch.first..batch.first + batch.count {
                fill(&mut buf, sender | seq);
                self.fan.send(&buf, batch.wait)?;
            }
            Ok(())
        })
    }
}

impl<F: Fan> Workload for Out<F> {
    fn initiate(&mut self, batch: &BatchSpec, _: &mut Rtts) -> Result<Tally> {
        let mut buf = vec![0; batch.size];
        let stops = if F::EVERY { 1 } else { self.many as u64 };
        measured(batch, || {
            for seq in batch.first..batch.first + batch.count {
                fill(&mut buf, seq);
                self.fan.send(&buf, batch.wait)?;
                batch.drag.pull();
            }
            // Each receiver leaves with the first of these that it gets, so that none gets two.
            for stop in 0..stops {
                fill(&mut buf, STOP | stop);
                self.fan.send(&buf, batch.wait)?;
            }
            Ok(())
        })
    }

    /// Receives until it is told to stop. What it got, another did not: the numbers rise. The initiator
    /// adds up what all of them got.
    fn respond(&mut self, batch: &BatchSpec, _: &mut Rtts) -> Result<Tally> {
        let mut buf = vec![0; batch.size];
        let (mut messages, mut sum, mut due) = (0, 0_u64, batch.first);
        let mut tally = measured(batch, || {
            loop {
                let len = self.fan.recv(&mut buf, batch.wait)?;
                let number = number(&buf, len)?;
                if number & STOP != 0 {
                    return check(&buf, number);
                }
                let skips = number > due && !F::EVERY;
                check(&buf, if skips { number } else { due })
                    .map_err(|error| void(error.to_string()))?;
                (messages, sum, due) = (messages + 1, sum.wrapping_add(mix(number)), number + 1);
            }
        })?;
        (tally.messages, tally.digest) = (messages, sum);
        Ok(tally)
    }

    /// Every message went to one receiver, or to each.
    fn agree(&self, batch: &BatchSpec, there: &[Tally]) -> Result<()> {
        let all = (batch.first..batch.first + batch.count).map(mix).fold(0, u64::wrapping_add);
        if F::EVERY {
            let whole = |it: &&Tally| it.messages != batch.count || it.digest != all;
            return match there.iter().find(whole) {
                Some(it) => Err(void(format!("a receiver got {} of {}", it.messages, batch.count))),
                None => Ok(()),
            };
        }
        let messages: u64 = there.iter().map(|it| it.messages).sum();
        let sum = there.iter().fold(0_u64, |sum, it| sum.wrapping_add(it.digest));
        if messages != batch.count || sum != all {
            return Err(void(format!(
                "{} messages were sent and the receivers together got {messages}{}",
                batch.count,
                if messages == batch.count { ", not all of them those" } else { "" }
            )));
        }
        Ok(())
    }
}

/// The number that a message begins with.
#[inline]
fn number(buf: &[u8], len: usize) -> Result<u64> {
    match buf.first_chunk::<8>() {
        Some(first) if len == buf.len() => Ok(u64::from_le_bytes(*first)),
        _ => Err(void(format!("a message has {len} bytes, not {}", buf.len()))),
    }
}

#[inline]
fn check(buf: &[u8], number: u64) -> Result<()> {
    verify(buf, number)
}

#[cold]
fn void(reason: String) -> anyhow::Error {
    Void(reason).into()
}

/// Spreads a number over all bits, so that a sum of several tells which they were.
#[inline]
fn mix(number: u64) -> u64 {
    let mut it = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    it ^= it >> 32;
    it.wrapping_mul(0xD6E8_FEB8_6659_FD93)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::VecDeque;
    use std::rc::Rc;

    use ipc_bench_schema::Setting;

    use super::*;
    use crate::control::OpenLoop;
    use crate::drag::Drag;
    use crate::workload::histogram;

    type Queue = Rc<RefCell<VecDeque<Vec<u8>>>>;

    /// A queue within one process, so that one side can do its part after the other.
    #[derive(Clone, Default)]
    struct Tape(Queue);

    impl Fan for Tape {
        type Offer = ();

        fn offer(_: &Setup, _: Topology, _: &mut [Command]) -> Result<()> {
            Ok(())
        }

        fn connect((): ()) -> Result<Self> {
            Ok(Self::default())
        }

        fn join(_: &Setup, _: Topology, _: usize) -> Result<Self> {
            Ok(Self::default())
        }

        fn send(&mut self, msg: &[u8], _: WaitMode) -> Result<()> {
            self.0.borrow_mut().push_back(msg.to_vec());
            Ok(())
        }

        fn recv(&mut self, buf: &mut [u8], _: WaitMode) -> Result<usize> {
            let msg = self.0.borrow_mut().pop_front().ok_or_else(|| anyhow::anyhow!("empty"))?;
            buf[..msg.len()].copy_from_slice(&msg);
            Ok(msg.len())
        }
    }

    fn spec(topology: Topology) -> BatchSpec {
        BatchSpec::with(topology, 24, 10, Setting::Many(2), OpenLoop::default(), Drag::default())
    }

    /// What becomes of ten messages of each of two senders after something was done to the queue.
    fn receive(change: impl FnOnce(&mut VecDeque<Vec<u8>>)) -> Result<Tally> {
        let (tape, batch) = (Tape::default(), spec(Topology::FanIn));
        let mut none = histogram()?;
        for sender in 0..2 {
            In::new(tape.clone(), sender).respond(&batch, &mut none)?;
        }
        change(&mut tape.0.borrow_mut());
        In::new(tape, 2).initiate(&batch, &mut none)
    }

    fn why(result: Result<Tally>) -> String {
        let error = result.expect_err("something is wrong");
        let Void(reason) = error.downcast_ref().unwrap_or_else(|| panic!("{error}"));
        reason.clone()
    }

    #[test]
    fn several_senders_may_mix_and_each_ones_messages_may_not() {
        receive(|_| ()).expect("one after the other");
        receive(|queue| queue.rotate_left(10)).expect("the other way round");
        // The first of the second sender before the last of the first.
        receive(|queue| queue.swap(9, 10)).expect("mixed");
        let swapped = why(receive(|queue| queue.swap(3, 4)));
        assert!(swapped.starts_with("sender 0: ") && swapped.ends_with("1 lost"), "{swapped}");
        let lost = why(receive(|queue| drop(queue.remove(12))));
        assert!(lost.starts_with("sender 1: ") && lost.ends_with("1 lost"), "{lost}");
        let twice = why(receive(|queue| {
            let first = queue[0].clone();
            queue.insert(1, first);
        }));
        assert!(twice.contains("again"), "{twice}");
        assert!(why(receive(|queue| queue[5][20] ^= 1)).contains("byte 20"));
        assert!(why(receive(|queue| queue[5][7] ^= 8)).contains("not there"));
        assert!(why(receive(|queue| queue[5].truncate(23))).contains("23 bytes, not 24"));
    }

    /// What becomes of ten messages to two receivers, the first of which takes `first` of them.
    fn send(first: usize, change: impl FnOnce(&mut VecDeque<Vec<u8>>)) -> Result<Tally> {
        let (tape, batch) = (Tape::default(), spec(Topology::FanOut));
        let mut none = histogram()?;
        let mut sender = Out::new(tape.clone(), 2);
        let tally = sender.initiate(&batch, &mut none)?;
        change(&mut tape.0.borrow_mut());
        // One stop is for the first receiver.
        let mut queue = tape.0.borrow_mut();
        let stop = queue.pop_back().expect("a stop");
        queue.insert(first, stop);
        drop(queue);
        let there = [0, 1].map(|index| Out::new(tape.clone(), index).respond(&batch, &mut none));
        let there = there.into_iter().collect::<Result<Vec<_>>>()?;
        sender.agree(&batch, &there)?;
        Ok(tally)
    }

    #[test]
    fn each_message_goes_to_one_receiver() {
        for first in [0, 1, 5, 10] {
            send(first, |_| ()).expect("all came");
        }
        let lost = why(send(3, |queue| drop(queue.remove(7))));
        assert_eq!(lost, "10 messages were sent and the receivers together got 9");
        let twice = why(send(3, |queue| {
            let it = queue[4].clone();
            queue.insert(5, it);
        }));
        assert!(twice.contains("again"), "{twice}");
        // The same message to both, and another to none.
        let mixed = why(send(3, |queue| queue[8] = queue[2].clone()));
        assert!(mixed.contains("again") || mixed.contains("not all of them those"), "{mixed}");
        assert!(why(send(3, |queue| queue[6][20] ^= 1)).contains("byte 20"));
    }
}
