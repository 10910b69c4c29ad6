//! The protocol of a ring with several producers and consumers under a model checker, and against queues.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use loom::sync::Arc;
use proptest::prelude::*;

use super::dialogue::Dialogue;
use super::layout::{
    CONSUMER_CAME, CONSUMER_CPU, CONSUMER_GONE, CONSUMER_SLEEPS, DATA, HEAD, MIN, PRODUCER,
    PRODUCER_CPU, PRODUCER_GONE, PRODUCER_SLEEPS,
};
use super::many_core::{
    HEADER_LEN, LANES, LOCK, RECEIVERS, Receiving, Shape, USED, bury, leave_lane, leave_place,
    resume, take_lane,
};
use super::mapped::Mapped;
use super::memory::Memory;
use super::model::check_within;
use super::model_memory::{Fences, Model};
use super::sleepers::notify;
use super::spsc_core::{NotReceived, NotSent, Producer};
use crate::Anonymous;

fn shape(lanes: usize, receivers: usize) -> Shape {
    Shape { capacity: MIN, lanes, receivers }
}

fn model(shape: Shape, fences: Fences) -> Arc<Model> {
    let shared = [LANES, USED, CONSUMER_SLEEPS, CONSUMER_GONE, CONSUMER_CPU, CONSUMER_CAME];
    let places = (0..shape.receivers).map(|place| RECEIVERS + 8 * place);
    let lane = [PRODUCER, HEAD, LOCK, PRODUCER_SLEEPS, PRODUCER_GONE, PRODUCER_CPU];
    let lane = lane.into_iter().chain((DATA..DATA + MIN).step_by(8));
    let begin = |i| HEADER_LEN + i * (DATA + MIN).next_multiple_of(128);
    let lanes = (0..shape.lanes).flat_map(|i| lane.clone().map(move |at| begin(i) + at));
    Model::new(shared.into_iter().chain(places).chain(lanes), fences)
}

/// Three threads, each with many words: with one interruption more it takes minutes.
fn check(run: impl Fn() + Sync + Send + 'static) {
    check_within(2, run);
}

/// A producer that has taken a lane.
fn attach(memory: &impl Memory, shape: Shape, identity: u64) -> (usize, Producer) {
    let lane = take_lane(memory, shape, 0, None, identity).expect("a free lane");
    (lane, resume(memory, shape, lane).expect("records"))
}

fn send(
    core: &mut Producer,
    memory: &impl Memory,
    shape: Shape,
    lane: usize,
    msg: &[u8],
) -> Result<(), NotSent> {
    let part = shape.lane(memory, lane);
    let claim = core.claim(&part, msg.len())?;
    part.write(claim.at, msg);
    core.commit(&part, claim);
    notify(&part);
    core.tidy(&part, msg.len());
    Ok(())
}

fn recv(core: &mut Receiving, memory: &impl Memory, shape: Shape) -> Result<Vec<u8>, NotReceived> {
    let taken = core.find_known(memory).map_or_else(|| core.find(memory), Ok)?;
    let mut msg = vec![0; taken.found.len];
    shape.lane(memory, taken.lane).read(taken.found.at, &mut msg);
    core.release(memory, taken);
    Ok(msg)
}

/// Receives until the last producer has gone, sleeping when there is nothing.
fn recv_all(core: &mut Receiving, memory: &impl Memory, shape: Shape) -> Vec<Vec<u8>> {
    let mut received = Vec::new();
    loop {
        match recv(core, memory, shape) {
            Ok(message) => received.push(message),
            Err(NotReceived::Gone) => return received,
            Err(NotReceived::Empty) => {
                let bed = core.bed();
                Dialogue::new(true).sleep(memory, bed, 0, Duration::MAX, || {
                    match core.find(memory) {
                        Ok(taken) => {
                            core.put_back(memory, taken);
                            true
                        }
                        Err(why) => why != NotReceived::Empty,
                    }
                });
            }
            Err(NotReceived::Corrupted) => panic!("corrupted"),
        }
    }
}

/// Two producers take a lane each, send, and leave; one consumer sleeps when there is nothing.
fn two_producers(fences: Fences) {
    let shape = shape(2, 1);
    let memory = model(shape, fences);
    shape.places().take(&*memory, 0, None, 9).expect("a place");
    // Before any of them leaves.
    let lanes = [1, 2].map(|identity| attach(&*memory, shape, identity));
    let producers = lanes.map(|(lane, mut core)| {
        let there = Arc::clone(&memory);
        loom::thread::spawn(move || {
            let message = [lane as u8; 9];
            assert_eq!(send(&mut core, &*there, shape, lane, &message), Ok(()));
            leave_lane(&*there, shape, lane, 0);
        })
    });
    let mut core = Receiving::new(&*memory, shape, None);
    let mut received = recv_all(&mut core, &*memory, shape);
    received.sort();
    assert_eq!(received, [vec![0; 9], vec![1; 9]]);
    for producer in producers {
        producer.join().expect("join");
    }
}

#[test]
fn messages_of_two_producers_arrive_and_no_sleeper_is_forgotten() {
    check(|| two_producers(Fences::All));
}

/// Two producers take a lane at the same moment: they get one each.
#[test]
fn no_lane_has_two_producers() {
    check(|| {
        let shape = shape(2, 1);
        let memory = model(shape, Fences::All);
        let there = Arc::clone(&memory);
        let other = loom::thread::spawn(move || {
            let (lane, mut core) = attach(&*there, shape, 2);
            assert_eq!(send(&mut core, &*there, shape, lane, b"two"), Ok(()));
            lane
        });
        let (lane, mut core) = attach(&*memory, shape, 1);
        assert_eq!(send(&mut core, &*memory, shape, lane, b"one"), Ok(()));
        assert_ne!(other.join().expect("join"), lane);
        let mut core = Receiving::new(&*memory, shape, None);
        let mut received = [(); 2].map(|()| recv(&mut core, &*memory, shape).expect("message"));
        received.sort();
        assert_eq!(received, [b"one", b"two"]);
    });
}

/// Two consumers share the messages of one producer.
fn two_consumers(fences: Fences, locks: bool) {
    let shape = shape(1, 2);
    let memory = model(shape, fences);
    let (lane, mut core) = attach(&*memory, shape, 1);
    let consumers = [8, 9].map(|identity| {
        shape.places().take(&*memory, 0, None, identity).expect("a place");
        let there = Arc::clone(&memory);
        loom::thread::spawn(move || {
            let key = locks.then_some(identity);
            recv_all(&mut Receiving::new(&*there, shape, key), &*there, shape)
        })
    });
    assert_eq!(send(&mut core, &*memory, shape, lane, b"one"), Ok(()));
    leave_lane(&*memory, shape, lane, 0);
    let received = consumers.map(|it| it.join().expect("join")).concat();
    assert_eq!(received, [b"one"]);
}

#[test]
fn a_message_is_received_by_one_of_two_consumers_and_both_learn_of_the_end() {
    check(|| two_consumers(Fences::All, true));
}

/// Runs a test again in a process of its own, where it does what is wrong: what the checker does when it
/// finds something is more than a test survives. Returns what it said, or nothing in that process.
pub(super) fn in_a_child(name: &str, wrong: impl FnOnce()) -> Option<String> {
    const CHILD: &str = "IPC_SHM_TEST_WRONG";
    if std::env::var_os(CHILD).is_some() {
        wrong();
        return None;
    }
    let mut child = std::process::Command::new(std::env::current_exe().expect("own path"));
    child.args(["--exact", &format!("ring::{name}"), "--nocapture"]).env(CHILD, "1");
    let output = child.output().expect("run");
    assert!(!output.status.success(), "the checker found nothing");
    Some(String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn without_fences_a_sleeper_is_forgotten_and_the_checker_sees_it() {
    let name = "model_many::without_fences_a_sleeper_is_forgotten_and_the_checker_sees_it";
    if let Some(said) = in_a_child(name, || check(|| two_producers(Fences::None))) {
        assert!(said.contains("deadlock"), "{said}");
    }
}

#[test]
fn without_locks_a_message_is_received_twice_and_the_checker_sees_it() {
    let name = "model_many::without_locks_a_message_is_received_twice_and_the_checker_sees_it";
    if let Some(said) = in_a_child(name, || check(|| two_consumers(Fences::All, false))) {
        assert!(said.contains("left == right"), "{said}");
    }
}

proptest! {
    /// One thread, any mixture of sends, receives, producers and consumers that come, go and die, against a
    /// queue for each producer's lane.
    #[test]
    fn it_is_a_queue_for_each_sender(
        power in 6u32..13,
        exclusive: bool,
        lengths in prop_oneof![Just(200usize), Just(2000)],
        steps in prop::collection::vec((0usize..12, 0usize..3, 0usize..2000), 1..300),
    ) {
        let receivers = if exclusive { 1 } else { 3 };
        let shape = Shape { capacity: 1 << power, lanes: 3, receivers };
        let memory = Mapped::new(Anonymous::new(shape.region_len()).expect("memory"), false);
        let mut producers: HashMap<usize, (usize, Producer)> = HashMap::new();
        let mut queues = [const { VecDeque::new() }; 3];
        let key = (!exclusive).then_some(7);
        shape.places().take(&memory, 0, None, 7).expect("a place");
        let mut consumer = Receiving::new(&memory, shape, key);
        let mut identity = 10_u64;
        let mut number = 0_u8;
        for (step, who, len) in steps {
            let len = len % lengths;
            match step {
                // One comes, unless it is there.
                0 => if !producers.contains_key(&who) {
                    identity += 1;
                    let (lane, core) = attach(&memory, shape, identity);
                    prop_assert!(producers.values().all(|it| it.0 != lane));
                    producers.insert(who, (lane, core));
                },
                // One goes, or dies in the middle of a message.
                1 => if let Some((lane, _)) = producers.remove(&who) {
                    leave_lane(&memory, shape, lane, 0);
                },
                2 => if let Some((lane, mut core)) = producers.remove(&who) {
                    let part = shape.lane(&memory, lane);
                    let len = len % (core.max_len() + 1);
                    if let Ok(claim) = core.claim(&part, len) {
                        // Words that look like committed records.
                        part.write(claim.at, &(1_u64 << 63 | 8).to_ne_bytes().repeat(len / 8));
                    }
                    let dead = part.load(PRODUCER, Relaxed);
                    bury(&memory, shape, |identity| identity == dead);
                },
                // Another consumer takes over.
                3 => {
                    leave_place(&memory, shape, 0, 0);
                    shape.places().take(&memory, 0, None, 7).expect("a place");
                    consumer = Receiving::new(&memory, shape, key);
                }
                4..8 => if let Some((lane, core)) = producers.get_mut(&who) {
                    number = number.wrapping_add(1);
                    let message = vec![number; len % (core.max_len() + 1)];
                    match send(core, &memory, shape, *lane, &message) {
                        Ok(()) => queues[*lane].push_back(message),
                        Err(NotSent::Full) => prop_assert!(!queues[*lane].is_empty()),
                        Err(why) => prop_assert!(false, "{why:?}"),
                    }
                },
                _ => match consumer.find_known(&memory).map_or_else(|| consumer.find(&memory), Ok) {
                    Ok(taken) => {
                        let mut message = vec![0; taken.found.len];
                        shape.lane(&memory, taken.lane).read(taken.found.at, &mut message);
                        if step == 8 {
                            consumer.put_back(&memory, taken);
                            prop_assert_eq!(queues[taken.lane].front(), Some(&message));
                        } else {
                            consumer.release(&memory, taken);
                            prop_assert_eq!(queues[taken.lane].pop_front(), Some(message));
                        }
                    }
                    Err(NotReceived::Corrupted) => prop_assert!(false, "corrupted"),
                    Err(why) => {
                        prop_assert!(queues.iter().all(VecDeque::is_empty));
                        let gone = producers.is_empty() && memory.load(USED, Relaxed) > 0;
                        prop_assert_eq!(why == NotReceived::Gone, gone);
                    }
                },
            }
        }
    }
}
