//! The protocol of a ring under a model checker, which tries every order in which two threads can run and
//! every store that a load can see.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::time::Duration;

use loom::sync::Arc;
use proptest::prelude::*;

use super::layout::{
    COMMITTED, CONSUMER_SLEEPS, DATA, MIN, PRODUCER_GONE, PRODUCER_SLEEPS, max_len,
};
use super::mapped::Mapped;
use super::memory::Memory;
use super::model_memory::{Fences, Model};
use super::spsc_core::{
    Claim, Consumer, NotReceived, NotSent, Producer, leave, sleep, want_fences,
};
use crate::Anonymous;

fn send(core: &mut Producer, memory: &impl Memory, msg: &[u8]) -> Result<(), NotSent> {
    let claim = core.claim(memory, msg.len())?;
    memory.write(claim.at, msg);
    core.commit(memory, claim);
    core.notify(memory);
    core.tidy(memory, msg.len());
    Ok(())
}

fn recv(core: &mut Consumer, memory: &impl Memory) -> Result<Vec<u8>, NotReceived> {
    let found = core.peek_known(memory).map_or_else(|| core.peek(memory), Ok)?;
    let mut msg = vec![0; found.len];
    memory.read(found.at, &mut msg);
    core.release(memory, found);
    Ok(msg)
}

/// Messages from one thread to another that sleeps when there is none.
fn exchange(fences: Fences, messages: &'static [&'static [u8]]) {
    let memory = Model::of_spsc(MIN, fences);
    if fences == Fences::NotLight {
        want_fences(&*memory, CONSUMER_SLEEPS, true);
    }
    let there = Arc::clone(&memory);
    let producer = loom::thread::spawn(move || {
        let mut core = Producer::new(MIN);
        for message in messages {
            assert_eq!(send(&mut core, &*there, message), Ok(()));
        }
        leave(&*there, PRODUCER_GONE, CONSUMER_SLEEPS);
    });
    let mut core = Consumer::new(MIN);
    let mut received = Vec::new();
    loop {
        match recv(&mut core, &*memory) {
            Ok(message) => received.push(message),
            Err(NotReceived::Gone) => break,
            Err(NotReceived::Empty) => {
                let ready = || !matches!(core.peek(&*memory), Err(NotReceived::Empty));
                sleep(&*memory, CONSUMER_SLEEPS, Duration::MAX, ready);
            }
            Err(NotReceived::Corrupted) => panic!("corrupted"),
        }
    }
    producer.join().expect("join");
    assert_eq!(received, messages);
}

fn check(run: impl Fn() + Sync + Send + 'static) {
    check_within(3, run);
}

/// Tries every order in which threads are interrupted so many times at most.
pub(super) fn check_within(preemptions: usize, run: impl Fn() + Sync + Send + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(preemptions);
    model.check(run);
}

#[test]
fn every_message_arrives_whole_and_no_sleeper_is_forgotten() {
    check(|| exchange(Fences::All, &[b"one", b"three"]));
}

#[test]
fn a_sleeper_that_has_asked_for_fences_needs_no_heavy_one() {
    check(|| exchange(Fences::NotLight, &[b"one"]));
}

/// The same without fences. In a process of its own: what the checker does when it finds a deadlock is more
/// than a test survives.
#[test]
fn without_fences_a_sleeper_is_forgotten_and_the_checker_sees_it() {
    const CHILD: &str = "IPC_SHM_TEST_WITHOUT_FENCES";
    if std::env::var_os(CHILD).is_some() {
        check(|| exchange(Fences::None, &[b"one", b"three"]));
        return;
    }
    let name = "ring::model::without_fences_a_sleeper_is_forgotten_and_the_checker_sees_it";
    let mut child = std::process::Command::new(std::env::current_exe().expect("own path"));
    let output =
        child.args(["--exact", name, "--nocapture"]).env(CHILD, "1").output().expect("run");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("deadlock"), "it found nothing: {said}");
}

/// A ring that is too small for what is sent: the producer sleeps, and positions wrap.
#[test]
fn a_producer_that_sleeps_for_want_of_room_is_woken() {
    check(|| {
        let memory = Model::of_spsc(MIN, Fences::All);
        let there = Arc::clone(&memory);
        let producer = loom::thread::spawn(move || {
            let mut core = Producer::new(MIN);
            for message in [[1_u8; 16], [2; 16], [3; 16]] {
                while let Err(why) = send(&mut core, &*there, &message) {
                    assert_eq!(why, NotSent::Full);
                    let ready = || !matches!(core.claim(&*there, 16), Err(NotSent::Full));
                    sleep(&*there, PRODUCER_SLEEPS, Duration::MAX, ready);
                }
            }
        });
        let mut core = Consumer::new(MIN);
        let mut received = Vec::new();
        while received.len() < 3 {
            match recv(&mut core, &*memory) {
                Ok(message) => received.push(message[0]),
                Err(NotReceived::Empty) => loom::thread::yield_now(),
                Err(why) => panic!("{why:?}"),
            }
        }
        producer.join().expect("join");
        assert_eq!(received, [1, 2, 3]);
    });
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Send,
    /// Sends what was written in place.
    Commit,
    /// Writes in place, and sends nothing.
    Drop,
    Receive,
}

/// Makes room and fills it with words that look like headers.
fn reserve(core: &mut Producer, memory: &impl Memory, len: usize) -> Result<Claim, NotSent> {
    let claim = core.claim(memory, len)?;
    core.forget_clean();
    let forged = (COMMITTED | 8).to_ne_bytes().repeat(len.div_ceil(8));
    memory.write(claim.at, &forged[..len]);
    Ok(claim)
}

proptest! {
    /// One thread, any mixture of sends and receives, of messages of few lengths and of many, against a queue.
    #[test]
    fn it_is_a_queue(
        power in 6u32..14,
        lengths in prop::collection::vec(0usize..3000, 1..4),
        steps in prop::collection::vec(
            (
                prop_oneof![
                    3 => Just(Step::Send), 2 => Just(Step::Commit), 1 => Just(Step::Drop), 5 => Just(Step::Receive),
                ],
                any::<prop::sample::Index>(),
                prop_oneof![4 => Just(0), 1 => 0usize..300],
            ),
            1..400,
        ),
    ) {
        let capacity = 1 << power;
        let memory = Mapped::new(Anonymous::new(DATA + capacity).expect("memory"), false);
        let (mut tx, mut rx) = (Producer::new(capacity), Consumer::new(capacity));
        let mut queue = VecDeque::new();
        let mut number = 0_u8;
        for (step, length, more) in steps {
            let len = (length.get(&lengths) + more) % (max_len(capacity) + 1);
            let sent = match step {
                Step::Send => {
                    number = number.wrapping_add(1);
                    send(&mut tx, &memory, &vec![number; len]).map(|()| Some(vec![number; len]))
                }
                Step::Commit => reserve(&mut tx, &memory, len).map(|claim| {
                    let mut message = vec![0; len];
                    memory.read(claim.at, &mut message);
                    tx.commit(&memory, claim);
                    tx.tidy(&memory, len);
                    Some(message)
                }),
                Step::Drop => reserve(&mut tx, &memory, len).map(|_| None),
                Step::Receive => {
                    let known = rx.peek_known(&memory);
                    let found = rx.peek(&memory);
                    // After a pad it is known as well.
                    prop_assert!(known.is_none_or(|it| found == Ok(it)));
                    prop_assert_eq!(rx.peek_known(&memory), found.ok());
                    match recv(&mut rx, &memory) {
                        Ok(message) => prop_assert_eq!(Some(message), queue.pop_front()),
                        Err(NotReceived::Empty) => prop_assert!(queue.is_empty()),
                        Err(why) => prop_assert!(false, "{why:?}"),
                    }
                    Ok(None)
                }
            };
            match sent {
                Ok(message) => queue.extend(message),
                Err(NotSent::Full) => prop_assert!(!queue.is_empty(), "empty and full"),
                Err(why) => prop_assert!(false, "{why:?}"),
            }
        }
    }

    /// Whatever stands in the ring, a consumer gets messages that lie in it, or says what it is.
    #[test]
    fn garbage_is_never_out_of_bounds(words: Vec<u64>, power in 6u32..10) {
        let capacity = 1 << power;
        let memory = Mapped::new(Anonymous::new(DATA + capacity).expect("memory"), false);
        for (i, word) in words.into_iter().take(capacity / 8).enumerate() {
            memory.store(DATA + 8 * i, word, Ordering::Relaxed);
        }
        let mut rx = Consumer::new(capacity);
        for _ in 0..capacity {
            let found = rx.peek(&memory);
            prop_assert_eq!(rx.peek_known(&memory), found.ok());
            let Ok(found) = found else { break };
            prop_assert!(found.at >= DATA && found.at + found.len <= DATA + capacity);
            rx.release(&memory, found);
        }
    }
}
