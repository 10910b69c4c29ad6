//! What a peer can do to the protocols at a single instruction: die there, or write what never was.

use std::sync::atomic::Ordering::Relaxed;

use proptest::prelude::*;

use super::broadcast_consumer;
use super::broadcast_core::{self, BEGIN, CHECK};
use super::layout::{self, CONSUMER_GONE, DATA, HEAD, PRODUCER};
use super::many_core::{LOCK, Receiving, Shape, USED, bury, leave_lane, resume, take_lane};
use super::mapped::Mapped;
use super::memory::Memory;
use super::spsc_core::{Consumer, NotSent, Producer};
use crate::Anonymous;

const SHAPE: Shape = Shape { capacity: 256, lanes: 2, receivers: 2 };

fn many() -> Mapped<Anonymous> {
    Mapped::new(Anonymous::new(SHAPE.region_len()).expect("memory"), true)
}

/// Sends so many messages of 8 bytes in a lane.
fn send(memory: &Mapped<Anonymous>, lane: usize, core: &mut Producer, count: usize) {
    let part = SHAPE.lane(memory, lane);
    for _ in 0..count {
        let claim = core.claim(&part, 8).expect("room");
        core.commit(&part, claim);
        core.tidy(&part, 8);
    }
}

#[test]
fn a_lane_whose_sender_died_before_it_said_so_is_free_again() {
    let memory = many();
    for identity in [7, 8] {
        take_lane(&memory, SHAPE, 0, None, identity).expect("a free lane");
    }
    // Both are killed before USED says that there are lanes.
    assert_eq!(memory.load(USED, Relaxed), 0);
    bury(&memory, SHAPE, |identity| identity == 7 || identity == 8);
    assert_eq!(take_lane(&memory, SHAPE, 0, None, 9), Some(0));
}

#[test]
fn senders_learn_that_the_last_receiver_died_while_it_left() {
    let (memory, places) = (many(), SHAPE.places());
    bury(&memory, SHAPE, |_| false);
    assert_eq!(memory.load(CONSUMER_GONE, Relaxed), 0, "none has come yet: one will");
    let place = places.take(&memory, 0, None, 7).expect("a place");
    // It gives its place up, and is killed before it says that it was the last.
    memory.store(places.at(place), 0, Relaxed);
    bury(&memory, SHAPE, |_| false);
    let mut core = Producer::new(SHAPE.capacity);
    assert_eq!(core.claim(&SHAPE.lane(&memory, 0), 8).map(drop), Err(NotSent::Gone));
    // Or: it takes the place back, and is killed before it says so.
    places.take(&memory, 0, None, 7).expect("a place");
    memory.store(CONSUMER_GONE, 1, Relaxed);
    bury(&memory, SHAPE, |_| false);
    assert_eq!(core.claim(&SHAPE.lane(&memory, 0), 8).map(drop), Ok(()));
}

#[test]
fn a_lane_that_is_locked_for_long_is_noticed_by_who_receives_from_others() {
    let memory = many();
    let [mut one, mut two] = [0, 1].map(|lane| {
        take_lane(&memory, SHAPE, 0, None, 7).expect("a free lane");
        resume(&memory, SHAPE, lane).expect("records")
    });
    send(&memory, 0, &mut one, 1);
    SHAPE.lane(&memory, 0).store(LOCK, 5, Relaxed);
    let mut receiving = Receiving::new(&memory, SHAPE, Some(6));
    let noticed = (0..10_000).any(|_| {
        send(&memory, 1, &mut two, 1);
        let taken = receiving.find(&memory).expect("there is one in the other lane");
        assert_eq!(taken.lane, 1);
        receiving.release(&memory, taken);
        receiving.is_kept_out()
    });
    assert!(noticed, "it would be locked for ever");
}

#[test]
fn a_lane_full_of_records_to_the_brim_is_none() {
    let memory = many();
    let part = SHAPE.lane(&memory, 0);
    // There is always room for the next header: no sender has written these.
    for at in (0..SHAPE.capacity).step_by(16) {
        part.store(DATA + at, layout::COMMITTED | 8, Relaxed);
    }
    assert!(resume(&memory, SHAPE, 0).is_none());
}

#[test]
fn a_broadcast_at_the_end_of_all_positions_goes_on_or_is_corrupted() {
    let capacity = 1024;
    let region = Anonymous::new(broadcast_core::DATA + capacity).expect("memory");
    let memory = Mapped::new(region, true);
    // Empty messages, and a pad in the last word.
    for at in (0..capacity).step_by(8) {
        let pad = if at + 8 == capacity { layout::PAD } else { 0 };
        memory.store(broadcast_core::DATA + at, layout::COMMITTED | pad, Relaxed);
    }
    for back in (8..=64_u64).step_by(8) {
        memory.store(CHECK, 0_u64.wrapping_sub(back), Relaxed);
        memory.store(BEGIN, 0_u64.wrapping_sub(back), Relaxed);
        let joined = broadcast_consumer::Consumer::join(&memory, capacity, true, 0);
        assert!(joined.is_err(), "nobody is there");
        let mut core = broadcast_consumer::Consumer::inherit(capacity, true, 0);
        for _ in 0..100 {
            let Ok(found) = core.peek(&memory) else { break };
            core.release(&memory, found);
        }
    }
}

/// Positions as they never are.
fn positions() -> impl Strategy<Value = u64> {
    prop_oneof![
        (0..600_u64).prop_map(|it| u64::MAX - it),
        (0..600_u64),
        any::<u64>(),
        (0..600_u64).prop_map(|it| (u64::MAX / 2).wrapping_add(it)),
    ]
}

/// Headers that may be right where they stand.
fn headers() -> impl Strategy<Value = Vec<u64>> {
    let header = prop_oneof![
        Just(0),
        (0..256_u64).prop_map(|it| layout::COMMITTED | it),
        (0..256_u64).prop_map(|it| layout::COMMITTED | layout::PAD | it),
        any::<u64>(),
    ];
    prop::collection::vec(header, 32..160)
}

proptest! {
    #[test]
    fn positions_that_never_were_are_not_added_to(
        position in positions(),
        other in positions(),
        headers in headers(),
    ) {
        let memory = many();
        let part = SHAPE.lane(&memory, 0);
        for (i, header) in headers.iter().take(SHAPE.capacity / 8).enumerate() {
            part.store(DATA + 8 * i, *header, Relaxed);
        }
        part.store(HEAD, position, Relaxed);
        // One that takes the lane over, and sends as much as it can.
        memory.compare_exchange(part.data(PRODUCER), 0, 7).expect("it is free");
        if let Some(mut core) = resume(&memory, SHAPE, 0) {
            for len in 0..64 {
                let Ok(claim) = core.claim(&part, len) else { break };
                prop_assert!(claim.at >= DATA && claim.at + len <= DATA + SHAPE.capacity);
                core.commit(&part, claim);
                core.tidy(&part, len);
                part.store(HEAD, core.position().min(other), Relaxed);
            }
        }
        leave_lane(&memory, SHAPE, 0, 0);
        memory.store(USED, 2, Relaxed);
        part.store(HEAD, position, Relaxed);
        // Consumers, alone and of several, and one of a ring that was begun anew.
        for key in [None, Some(6)] {
            let mut receiving = Receiving::new(&memory, SHAPE, key);
            for _ in 0..100 {
                let known = receiving.find_known(&memory);
                let Some(taken) = known.or_else(|| receiving.find(&memory).ok()) else { break };
                let found = taken.found;
                prop_assert!(found.at >= DATA && found.at + found.len <= DATA + SHAPE.capacity);
                receiving.release(&memory, taken);
            }
            part.store(HEAD, other, Relaxed);
        }
        let mut consumer = Consumer::resume(SHAPE.capacity, position & !7);
        for _ in 0..100 {
            let Ok(found) = consumer.peek(&part) else { break };
            consumer.release(&part, found);
        }
    }

    #[test]
    fn a_broadcast_that_says_it_is_anywhere_is_received_or_corrupted(
        check in positions(),
        begin in positions(),
        overwrites: bool,
        headers in headers(),
    ) {
        let capacity = 1024;
        let region = Anonymous::new(broadcast_core::DATA + capacity).expect("memory");
        let memory = Mapped::new(region, true);
        for (i, header) in headers.iter().take(capacity / 8).enumerate() {
            memory.store(broadcast_core::DATA + 8 * i, *header, Relaxed);
        }
        memory.store(CHECK, check, Relaxed);
        let joined = broadcast_consumer::Consumer::join(&memory, capacity, overwrites, 0);
        let inherited = broadcast_consumer::Consumer::inherit(capacity, overwrites, 0);
        memory.store(BEGIN, begin, Relaxed);
        for mut core in [joined.unwrap_or(inherited)] {
            for _ in 0..100 {
                let Ok(found) = core.peek(&memory) else { break };
                let end = broadcast_core::DATA + capacity;
                prop_assert!(found.at >= broadcast_core::DATA && found.at + found.len <= end);
                core.release(&memory, found);
            }
        }
    }
}
