//! The protocol of a broadcast under a model checker, and against a list of what was sent.

use std::sync::atomic::Ordering::Relaxed;

use loom::sync::Arc;
use proptest::prelude::*;

use super::broadcast_consumer::Consumer;
use super::broadcast_core::{BEGIN, CHECK, DATA, MIN, PLACES, Producer, max_len};
use super::layout::{
    COMMITTED, CONSUMER_CAME, CONSUMER_GONE, CONSUMER_SLEEPS, PRODUCER, PRODUCER_GONE,
    PRODUCER_SLEEPS,
};
use super::mapped::Mapped;
use super::memory::Memory;
use super::model::check_within;
use super::model_many::in_a_child;
use super::model_memory::{Fences, Model};
use super::spsc_core::{Claim, NotReceived, NotSent};
use crate::Anonymous;

fn send(core: &mut Producer, memory: &impl Memory, msg: &[u8]) -> Result<(), NotSent> {
    let known = core.claim_known(memory, msg.len());
    let claim = known.map_or_else(|| core.claim(memory, msg.len()), Ok)?;
    memory.write(claim.at, msg);
    core.commit(memory, claim);
    Ok(())
}

/// Makes room and fills it with words that look like headers.
fn reserve(core: &mut Producer, memory: &impl Memory, len: usize) -> Result<Claim, NotSent> {
    let claim = core.claim(memory, len)?;
    core.forget_clean();
    let forged = (COMMITTED | 8).to_ne_bytes().repeat(len.div_ceil(8));
    memory.write(claim.at, &forged[..len]);
    Ok(claim)
}

/// The next message, if it is whole.
fn recv(core: &mut Consumer, memory: &impl Memory) -> Result<Vec<u8>, NotReceived> {
    loop {
        let found = core.peek(memory)?;
        let mut msg = vec![0; found.len];
        memory.read(found.at, &mut msg);
        if core.release(memory, found) {
            return Ok(msg);
        }
    }
}

/// One thread overwrites, while another receives.
fn overtake(fences: Fences) {
    let control = [
        BEGIN,
        CHECK,
        CONSUMER_SLEEPS,
        CONSUMER_GONE,
        CONSUMER_CAME,
        PRODUCER,
        PRODUCER_SLEEPS,
        PRODUCER_GONE,
    ];
    let place = [PLACES.at(0), PLACES.at(0) + 8];
    let data = (DATA..DATA + MIN).step_by(8);
    let memory = Model::new(control.into_iter().chain(place).chain(data), fences);
    let mut producer = Producer::new(MIN, true);
    PLACES.take(&*memory, 0, None, 1).expect("a place");
    let mut core = Consumer::join(&*memory, MIN, true, 0).expect("join");
    // As much as there is room for; the next one overwrites the oldest.
    for number in 0..5_u8 {
        assert_eq!(send(&mut producer, &*memory, &[number; 32]), Ok(()));
    }
    let there = Arc::clone(&memory);
    let sender = loom::thread::spawn(move || {
        assert_eq!(send(&mut producer, &*there, &[5; 32]), Ok(()));
    });
    let message = recv(&mut core, &*memory).expect("there are some");
    let number = message[0];
    assert_eq!(message, [number; 32]);
    assert_eq!(u64::from(number), core.lost);
    sender.join().expect("join");
}

#[test]
fn what_is_received_while_it_is_overwritten_is_whole() {
    check_within(3, || overtake(Fences::All));
}

#[test]
fn without_fences_a_mixture_is_received_and_the_checker_sees_it() {
    let name = "model_broadcast::without_fences_a_mixture_is_received_and_the_checker_sees_it";
    if let Some(said) = in_a_child(name, || check_within(3, || overtake(Fences::None))) {
        assert!(said.contains("left == right"), "{said}");
    }
}

proptest! {
    /// One thread, a sender and three receivers that come and go, against what was sent.
    #[test]
    fn each_receiver_gets_what_was_sent_or_knows_how_much_it_lost(
        power in 8u32..11,
        overwrites: bool,
        steps in prop::collection::vec((0usize..11, 0usize..3, 0usize..300), 1..400),
    ) {
        let capacity = 1 << power;
        let memory = Mapped::new(Anonymous::new(DATA + capacity).expect("memory"), false);
        let mut producer = Producer::new(capacity, overwrites);
        let mut sent: Vec<Vec<u8>> = Vec::new();
        // The consumer, how many were sent when it came, and how many it has received.
        let mut consumers: [Option<(Consumer, u64, u64)>; 3] = [None, None, None];
        for (step, who, len) in steps {
            match step {
                0 if consumers[who].is_none() => {
                    let place = PLACES.take(&memory, 0, None, 9).expect("a place");
                    let core = Consumer::join(&memory, capacity, overwrites, place);
                    consumers[who] = Some((core.expect("join"), sent.len() as u64, 0));
                    // Places are taken in order.
                    prop_assert!(place < 3);
                }
                1..5 => {
                    let message = vec![sent.len() as u8; len % (max_len(capacity) + 1)];
                    match send(&mut producer, &memory, &message) {
                        Ok(()) => sent.push(message),
                        Err(why) => {
                            prop_assert_eq!(why, NotSent::Full);
                            prop_assert!(!overwrites);
                            let behind = |it: &Option<(Consumer, u64, u64)>| {
                                it.as_ref().is_some_and(|it| it.1 + it.2 < sent.len() as u64)
                            };
                            prop_assert!(consumers.iter().any(behind), "nobody is behind");
                        }
                    }
                }
                // In place: sent, or dropped.
                5 => if let Ok(claim) = reserve(&mut producer, &memory, len % (max_len(capacity) + 1)) {
                    let mut message = vec![0; claim.len];
                    memory.read(claim.at, &mut message);
                    producer.commit(&memory, claim);
                    sent.push(message);
                },
                6 => _ = reserve(&mut producer, &memory, len % (max_len(capacity) + 1)),
                _ => if let Some((core, came, received)) = &mut consumers[who] {
                    let lost = core.lost;
                    match recv(core, &memory) {
                        Ok(message) => {
                            let number = *came + *received + core.lost;
                            prop_assert_eq!(Some(&message), sent.get(number as usize));
                            *received += 1;
                        }
                        Err(why) => {
                            prop_assert_eq!(why, NotReceived::Empty);
                            prop_assert_eq!(*came + *received + lost, sent.len() as u64);
                        }
                    }
                    prop_assert!(overwrites || core.lost == 0);
                },
            }
        }
        prop_assert_eq!(memory.load(PRODUCER_GONE, Relaxed), 0);
    }
}
