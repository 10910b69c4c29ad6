//! All rings between two threads over memory of the heap: for tools that watch every access, such as the
//! sanitizers and Miri (`.ci/sanitize`).
#![expect(unsafe_code, reason = "memory of the heap as a region")]

use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use ipc_core::{RecvMsg, Region, RegionMut, SendMsg, Wait};

use super::mapped::Mapped;
use super::memory::Memory;
use super::spsc_core::{Consumer, NotReceived, NotSent, Producer};
use super::{
    RingOptions, Strategy, broadcast, broadcast_consumer, broadcast_core, latest, latest_core,
    layout, mpmc, mpsc, spsc,
};

#[derive(Debug)]
#[repr(align(128))]
#[expect(dead_code, reason = "it is reached by its address")]
struct Line([AtomicU64; 16]);

/// Memory of this process alone.
#[derive(Debug, Clone)]
struct Heap(Arc<[Line]>);

impl Heap {
    fn new(len: usize) -> Self {
        let line = || Line([const { AtomicU64::new(0) }; 16]);
        Self((0..len.div_ceil(128)).map(|_| line()).collect())
    }
}

// SAFETY: the lines stay where they are as long as an owner does; they are initialised, and atomics.
unsafe impl Region for Heap {
    fn base(&self) -> NonNull<u8> {
        NonNull::from(&*self.0).cast()
    }

    fn len(&self) -> usize {
        128 * self.0.len()
    }
}

// SAFETY: atomics may be written through a shared reference.
unsafe impl RegionMut for Heap {}

/// How many messages: a tool that watches every access is slow.
const MANY: u64 = if cfg!(miri) { 200 } else { 4_000 };

fn message(number: u64) -> Vec<u8> {
    let mut message = vec![number as u8; 8 + (number % 50) as usize];
    message[..8].copy_from_slice(&number.to_le_bytes());
    message
}

/// The protocol alone, which makes no system call: what Miri can run.
#[test]
fn a_producer_and_a_consumer() {
    let capacity = 256;
    let memory = Arc::new(Mapped::new(Heap::new(layout::DATA + capacity), true));
    let there = Arc::clone(&memory);
    let sender = std::thread::spawn(move || {
        let mut core = Producer::new(capacity);
        for number in 0..MANY {
            let message = message(number);
            let claim = loop {
                match core.claim(&*there, message.len()) {
                    Ok(claim) => break claim,
                    Err(why) => assert_eq!(why, NotSent::Full),
                }
                std::thread::yield_now();
            };
            there.write(claim.at, &message);
            core.commit(&*there, claim);
            core.notify(&*there);
            core.tidy(&*there, message.len());
        }
    });
    let mut core = Consumer::new(capacity);
    for number in 0..MANY {
        let found = loop {
            match core.peek(&*memory) {
                Ok(found) => break found,
                Err(why) => assert_eq!(why, NotReceived::Empty),
            }
            std::thread::yield_now();
        };
        let mut got = vec![0; found.len];
        memory.read(found.at, &mut got);
        core.release(&*memory, found);
        assert_eq!(got, message(number));
    }
    sender.join().expect("no panic");
}

/// The same, where the producer does not wait.
#[test]
fn a_producer_that_overwrites() {
    let capacity = 1024;
    let memory = Arc::new(Mapped::new(Heap::new(broadcast_core::DATA + capacity), true));
    broadcast_core::PLACES.take(&*memory, 0, None, 1).expect("a place");
    let joined = broadcast_consumer::Consumer::join(&*memory, capacity, true, 0);
    let mut core = joined.expect("join");
    let there = Arc::clone(&memory);
    let sender = std::thread::spawn(move || {
        let mut core = broadcast_core::Producer::new(capacity, true);
        for number in 0..MANY {
            let message = message(number);
            let claim = core.claim(&*there, message.len()).expect("room");
            there.write(claim.at, &message);
            core.commit(&*there, claim);
            if number.is_multiple_of(10) {
                std::thread::yield_now();
            }
        }
    });
    let mut received = 0;
    while received + core.lost < MANY {
        let Ok(found) = core.peek(&*memory) else {
            std::thread::yield_now();
            continue;
        };
        let mut got = vec![0; found.len];
        memory.read(found.at, &mut got);
        if core.release(&*memory, found) {
            assert_eq!(got, message(received + core.lost));
            received += 1;
        }
    }
    sender.join().expect("no panic");
}

#[test]
fn a_writer_and_a_reader_of_the_newest_value() {
    let len = latest_core::slot_len(64).expect("a length");
    let memory = Arc::new(Mapped::new(Heap::new(latest_core::DATA + 4 * len), true));
    let there = Arc::clone(&memory);
    let writer = std::thread::spawn(move || {
        for number in 1..=MANY {
            latest_core::write(&*there, len, number, &[number as u8; 64]);
        }
    });
    let (mut value, mut last) = ([0; 64], 0);
    while last < MANY {
        if let Ok(number) = latest_core::read(&*memory, len, last, &mut value, 3) {
            assert_eq!(value, [number as u8; 64]);
            last = number;
        }
    }
    writer.join().expect("no panic");
    assert_eq!(memory.load(latest_core::VERSION, Relaxed), MANY);
}

/// The ends, which sleep and wake.
fn exchange(mut tx: impl SendMsg + Send + 'static, mut rx: impl RecvMsg) {
    let sender = std::thread::spawn(move || {
        (0..MANY).for_each(|number| tx.send(&message(number)).expect("send"));
    });
    let mut buf = [0; 64];
    for number in 0..MANY {
        let len = rx.recv(&mut buf).expect("receive");
        assert_eq!(buf[..len], message(number));
    }
    sender.join().expect("no panic");
}

#[test]
#[cfg_attr(miri, ignore = "the ends make system calls that it does not know")]
fn ends_of_every_ring() {
    for fences in [false, true] {
        for strategy in [Strategy::Block, Strategy::Adaptive] {
            let options =
                RingOptions::new().capacity(512).senders(2).strategy(strategy).full_fences(fences);
            let heap = Heap::new(options.region_len().expect("length"));
            options.init(&heap).expect("init");
            let tx = spsc::Sender::attach(heap.clone(), &options).expect("attach");
            exchange(tx, spsc::Receiver::attach(heap, &options).expect("attach"));

            let heap = Heap::new(mpsc::region_len(&options).expect("length"));
            mpsc::init(&heap, &options).expect("init");
            let tx = mpsc::Sender::attach(heap.clone(), &options).expect("attach");
            exchange(tx, mpsc::Receiver::attach(heap, &options).expect("attach"));

            let heap = Heap::new(mpmc::region_len(&options).expect("length"));
            mpmc::init(&heap, &options).expect("init");
            let tx = mpmc::Sender::attach(heap.clone(), &options).expect("attach");
            exchange(tx, mpmc::Receiver::attach(heap, &options).expect("attach"));

            let heap = Heap::new(broadcast::region_len(&options).expect("length"));
            broadcast::init(&heap, &options).expect("init");
            let tx = broadcast::Sender::attach(heap.clone(), &options).expect("attach");
            exchange(tx, broadcast::Receiver::attach(heap, &options).expect("attach"));

            let heap = Heap::new(latest::region_len::<u64>().expect("length"));
            latest::init::<u64>(&heap, &options).expect("init");
            let mut tx = latest::Writer::<u64, _>::attach(heap.clone(), &options).expect("attach");
            let mut rx = latest::Reader::<u64, _>::attach(heap, &options).expect("attach");
            let writer = std::thread::spawn(move || {
                (1..=MANY).for_each(|it| _ = tx.write(&it).expect("write"));
            });
            while rx.read_new(Wait::Forever).expect("a value").value < MANY {}
            writer.join().expect("no panic");
        }
    }
}
