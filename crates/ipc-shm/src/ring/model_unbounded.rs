//! The protocol of a ring that grows under a model checker, and against a queue.

use std::collections::VecDeque;

use loom::sync::Arc;
use proptest::prelude::*;

use super::layout::{
    CONSUMER_CPU, CONSUMER_GONE, CONSUMER_SLEEPS, DATA, HEAD, MIN, PRODUCER_CPU, PRODUCER_GONE,
    PRODUCER_SLEEPS,
};
use super::mapped::Mapped;
use super::memory::Memory;
use super::model::check_within;
use super::model_memory::{Fences, Model};
use super::spsc_core::{NotReceived, NotSent, Producer};
use super::unbounded_core::{Chain, Follower, TAKEN, free_segment, go_on};
use crate::Anonymous;

/// What a sender keeps of the chain.
struct Tail {
    segment: usize,
    core: Producer,
}

fn send(tail: &mut Tail, memory: &impl Memory, chain: Chain, msg: &[u8]) -> Result<(), NotSent> {
    let part = chain.segment(memory, tail.segment);
    let claim = match tail.core.claim(&part, msg.len()) {
        Err(NotSent::Full) => {
            let next = free_segment(memory, chain, tail.segment).ok_or(NotSent::Full)?;
            tail.core = go_on(memory, chain, &tail.core, tail.segment, next);
            tail.segment = next;
            tail.core.claim(&chain.segment(memory, next), msg.len())?
        }
        claim => claim?,
    };
    let part = chain.segment(memory, tail.segment);
    part.write(claim.at, msg);
    tail.core.commit(&part, claim);
    tail.core.notify(&part);
    tail.core.tidy(&part, msg.len());
    Ok(())
}

fn recv(head: &mut Follower, memory: &impl Memory, chain: Chain) -> Result<Vec<u8>, NotReceived> {
    let found = head.peek_known(memory).map_or_else(|| head.peek(memory, |_| ()), Ok)?;
    let mut msg = vec![0; found.len];
    chain.segment(memory, head.segment).read(found.at, &mut msg);
    head.release(memory, found);
    Ok(msg)
}

/// Segments are taken, left, and taken again.
#[test]
fn messages_arrive_in_order_across_segments() {
    check_within(2, || {
        let chain = Chain { capacity: MIN, segments: 2, page: 64 };
        let control = [
            CONSUMER_SLEEPS,
            CONSUMER_GONE,
            CONSUMER_CPU,
            PRODUCER_CPU,
            PRODUCER_SLEEPS,
            PRODUCER_GONE,
        ];
        let taken = (0..2).map(|it| TAKEN + 8 * it);
        let segment = [HEAD].into_iter().chain((DATA..DATA + MIN).step_by(8));
        let segments = (0..2).flat_map(|it| segment.clone().map(move |at| chain.at(it) + at));
        let memory = Model::new(control.into_iter().chain(taken).chain(segments), Fences::All);
        memory.store(TAKEN, 1, std::sync::atomic::Ordering::Relaxed);
        let there = Arc::clone(&memory);
        let sender = loom::thread::spawn(move || {
            let mut tail = Tail { segment: 0, core: Producer::new(MIN) };
            (0..5).take_while(|it| send(&mut tail, &*there, chain, &[*it; 16]).is_ok()).count()
        });
        let mut head = Follower::new(chain);
        let mut received = Vec::new();
        while received.len() < 2 {
            match recv(&mut head, &*memory, chain) {
                Ok(message) => received.push(message),
                Err(NotReceived::Empty) => loom::thread::yield_now(),
                Err(why) => panic!("{why:?}"),
            }
        }
        let sent = sender.join().expect("join");
        while let Ok(message) = recv(&mut head, &*memory, chain) {
            received.push(message);
        }
        let all: Vec<_> = (0..sent as u8).map(|it| vec![it; 16]).collect();
        assert_eq!(received, all);
    });
}

proptest! {
    #[test]
    fn it_is_a_queue(
        power in 6u32..13,
        segments in 2usize..6,
        lengths in prop_oneof![Just(200usize), Just(2000)],
        steps in prop::collection::vec((any::<bool>(), 0usize..2000), 1..400),
    ) {
        let chain = Chain { capacity: 1 << power, segments, page: 64 };
        let region = Anonymous::new(chain.region_len()).expect("memory");
        let memory = Mapped::new(region, false);
        memory.store(TAKEN, 1, std::sync::atomic::Ordering::Relaxed);
        let mut tail = Tail { segment: 0, core: Producer::new(chain.capacity) };
        let mut head = Follower::new(chain);
        let mut queue = VecDeque::new();
        let mut number = 0_u8;
        for (sends, len) in steps {
            if sends {
                number = number.wrapping_add(1);
                let message = vec![number; len % lengths % (tail.core.max_len() + 1)];
                match send(&mut tail, &memory, chain, &message) {
                    Ok(()) => queue.push_back(message),
                    Err(why) => {
                        prop_assert_eq!(why, NotSent::Full);
                        prop_assert!(queue.len() >= segments, "full with {}", queue.len());
                    }
                }
            } else {
                match recv(&mut head, &memory, chain) {
                    Ok(message) => prop_assert_eq!(Some(message), queue.pop_front()),
                    Err(why) => {
                        prop_assert_eq!(why, NotReceived::Empty);
                        prop_assert!(queue.is_empty());
                    }
                }
            }
        }
    }
}
