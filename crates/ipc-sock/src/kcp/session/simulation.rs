//! Two sessions and a network between them, without a system call and in a time of their own.

use proptest::prelude::*;

use std::io::IoSlice;

use super::super::guard::LAST_SEQUENCE;
use super::super::{SocketOptions, wire};
use super::*;

/// Two ends of a conversation, and what is on its way: when it arrives, at which end.
struct World {
    ends: [Session; 2],
    now: Instant,
    on_its_way: Vec<(Instant, usize, Vec<u8>)>,
    lost: u64,
    random: u64,
}

impl World {
    fn new(mode: Mode, options: &SocketOptions, lost: u64, seed: u64) -> Self {
        let (tuning, now) = (options.tuning().expect("right options"), Instant::now());
        let agreement =
            Agreement { conv: 5, key: Key(seed, 6), mode, peer_max: tuning.max_message };
        let end = || Session::new(agreement, tuning, true, now);
        Self { ends: [end(), end()], now, on_its_way: Vec::new(), lost, random: seed }
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.random = self.random.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        (self.random >> 33) % bound
    }

    /// What an end has to say sets out: some of it is lost, some repeated, all of it reordered.
    fn send(&mut self, from: usize) {
        let mut said = Vec::new();
        let now = self.now;
        self.ends[from].drain(now, |datagram| said.push(datagram.to_vec()));
        for datagram in said {
            let copies = match self.below(100) {
                percent if percent < self.lost => 0,
                percent if percent < self.lost + self.lost / 3 => 2,
                _ => 1,
            };
            for _ in 0..copies {
                let arrives = self.now + Duration::from_millis(self.below(8));
                self.on_its_way.push((arrives, 1 - from, datagram.clone()));
            }
        }
    }

    fn give(&mut self, to: usize, bytes: &mut [u8]) {
        let now = self.now;
        if let Some(datagram) = Datagram::parse(bytes) {
            self.ends[to].input(datagram, now);
        }
        self.send(to);
    }

    /// Time passes.
    fn pass(&mut self, time: Duration) {
        self.now += time;
        let now = self.now;
        while let Some(at) = self.on_its_way.iter().position(|(arrives, ..)| *arrives <= now) {
            let (_, to, mut datagram) = self.on_its_way.swap_remove(at);
            self.give(to, &mut datagram);
        }
        for end in [0, 1] {
            self.ends[end].tick(now);
            self.send(end);
        }
    }

    /// Sends messages one way until all have come.
    fn exchange(&mut self, messages: std::ops::Range<u32>) {
        let (mut next, mut due) = (messages.start, messages.start);
        let mut buf = vec![0; 1 << 16];
        let message = |n: u32| vec![n as u8; 4 + (n as usize * 37) % 3000];
        while due < messages.end {
            let now = self.now;
            while next < messages.end && self.ends[0].send(&message(next), now).expect("send") {
                next += 1;
            }
            self.send(0);
            while let Some(len) = self.ends[1].recv(&mut buf, now).expect("recv") {
                assert_eq!(buf[..len], message(due), "message {due}");
                due += 1;
            }
            self.send(1);
            self.pass(Duration::from_millis(3));
        }
    }
}

/// Many keep-alives in a row may be lost.
fn patient(options: SocketOptions) -> SocketOptions {
    options.timeout(Duration::from_secs(60)).keep_alive(Duration::from_secs(1)).max_message(3004)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn messages_arrive_once_in_order_and_intact(
        seed: u64, lost in 0..40_u64, mtu in 400..2000_usize, nodelay: bool, congestion: bool,
    ) {
        let options = SocketOptions::new().mtu(mtu).nodelay(nodelay).congestion_window(congestion);
        let options = patient(options);
        World::new(Mode::Messages, &options, lost, seed).exchange(0..100);
    }

    #[test]
    fn bytes_arrive_once_in_order_and_intact(
        seed: u64, lost in 0..40_u64, pieces in prop::collection::vec(1..9000_usize, 1..60),
    ) {
        let options = patient(SocketOptions::new());
        let mut world = World::new(Mode::Stream, &options, lost, seed);
        let all: usize = pieces.iter().sum();
        let data: Vec<u8> = (0..all).map(|n| (n / 3) as u8).collect();
        let (mut sent, mut got) = (0, Vec::new());
        let mut buf = [0; 777];
        for piece in pieces.iter().cycle() {
            let (now, to) = (world.now, all.min(sent + piece));
            sent += world.ends[0].write(&[IoSlice::new(&data[sent..to])], now).expect("write");
            world.send(0);
            if let Some(n) = world.ends[1].read(&mut buf, now).expect("read") {
                got.extend_from_slice(&buf[..n]);
            }
            world.send(1);
            world.pass(Duration::from_millis(2));
            if got.len() == all {
                break;
            }
        }
        prop_assert!(got == data);
    }
}

/// A peer that has the key, and sends what it likes: no panic.
#[test]
fn a_hundred_thousand_datagrams_of_a_hostile_peer_do_no_harm() {
    for mode in [Mode::Stream, Mode::Messages] {
        let options = SocketOptions::new();
        let mut world = World::new(mode, &options, 0, 7);
        let mut buf = vec![0; 1 << 16];
        for number in 0..50_000 {
            let kind = match world.below(1000) {
                0 => Kind::Close,
                1 => Kind::Reset,
                2 => Kind::Closed,
                3 => Kind::Ready,
                _ => Kind::Segments,
            };
            let mut datagram = Vec::new();
            wire::begin(&mut datagram, 5, number, kind);
            for _ in 0..1 + world.below(4) {
                let edge = |world: &mut World| match world.below(4) {
                    0 => world.below(300) as u32,
                    1 => (1 << 31) - 2 + world.below(4) as u32,
                    2 => u32::MAX - world.below(3) as u32,
                    _ => world.random as u32,
                };
                let segment = Segment {
                    conv: 5,
                    command: 80 + world.below(6) as u8,
                    fragment: [0, 1, 126, 127, 255][world.below(5) as usize],
                    window: edge(&mut world) as u16,
                    time: edge(&mut world),
                    sequence: edge(&mut world),
                    unacknowledged: edge(&mut world),
                    len: [0, 0, 9, 10, u32::MAX][world.below(5) as usize],
                };
                datagram.extend_from_slice(&segment.encode());
                datagram.extend_from_slice(&vec![9; segment.len.min(10) as usize]);
            }
            wire::seal(&mut datagram, world.ends[1].agreement().key);
            world.give(1, &mut datagram);
            let now = world.now;
            let _ = world.ends[1].write(&[IoSlice::new(&[1; 100])], now);
            let _ = world.ends[1].recv(&mut buf, now);
            world.on_its_way.clear();
            if world.below(50) == 0 {
                world.now += Duration::from_millis(world.random % 40);
                let now = world.now;
                world.ends[1].tick(now);
            }
            if world.ends[1].peer != Peer::Open {
                // It said goodbye, or lied about a length: another one comes.
                let (tuning, agreement) = (*world.ends[1].tuning(), *world.ends[1].agreement());
                world.ends[1] = Session::new(agreement, tuning, true, world.now);
            }
        }
    }
}

/// The clock of KCP begins anew after twelve days, which nobody notices.
#[test]
fn a_conversation_goes_on_for_months() {
    let options = SocketOptions::new().timeout(Duration::from_secs(3600));
    let mut world = World::new(Mode::Messages, &options, 0, 8);
    for day in 0..100 {
        world.exchange(day * 50..(day + 1) * 50);
        for _ in 0..24 * 6 {
            world.pass(Duration::from_secs(600));
        }
    }
}

/// A sequence number of KCP has 31 bits.
#[test]
fn the_last_sequence_number_is_a_limit_with_a_name() {
    let mut world = World::new(Mode::Messages, &SocketOptions::new(), 0, 9);
    let now = world.now;
    world.ends[0].queued = LAST_SEQUENCE - 2;
    assert_eq!(world.ends[0].send(b"the last", now), Ok(true));
    let error = world.ends[0].send(b"one more", now).expect_err("there is no number for it");
    assert!(matches!(error.kind(), ErrorKind::ResourceLimit { .. }), "{error}");
}

#[test]
fn a_message_beyond_what_this_end_takes_is_corrupted() {
    let mut world = World::new(Mode::Messages, &SocketOptions::new(), 0, 10);
    world.ends[1].tuning.max_message = 10;
    let now = world.now;
    assert_eq!(world.ends[0].send(&[1; 11], now), Ok(true));
    world.send(0);
    world.pass(Duration::from_millis(10));
    let now = world.now;
    for _ in 0..2 {
        let error = world.ends[1].recv(&mut [0; 64], now).expect_err("it is too long");
        assert_eq!(error.kind(), ErrorKind::Corrupted, "{error}");
    }
}
