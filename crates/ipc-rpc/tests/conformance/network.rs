//! Bad networks, the same in every run: one of datagrams in memory, one of datagrams over UDP.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// Of a hundred datagrams.
pub(crate) const LOST: u64 = 30;
pub(crate) const REPEATED: u64 = 10;
pub(crate) const REORDERED: u64 = 20;

/// Numbers that look random and follow from the first.
#[derive(Debug, Clone)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let n = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        n ^ (n >> 31)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

/// Datagrams that are under way in one direction, in memory.
#[derive(Debug)]
pub(crate) struct Wire {
    random: Random,
    under_way: Vec<(u64, Vec<u8>)>,
    now: u64,
}

impl Wire {
    pub(crate) fn new(seed: u64) -> Self {
        Self { random: Random(seed), under_way: Vec::new(), now: 0 }
    }

    pub(crate) fn send(&mut self, datagram: &[u8]) {
        if self.random.percent(LOST) {
            return;
        }
        for _ in 0..1 + u64::from(self.random.percent(REPEATED)) {
            // Now and then one is so late that whatever it belonged to is long over.
            let late = match self.random.percent(REORDERED) {
                false => 1,
                true if self.random.percent(2) => 5_000,
                true => 2 + self.random.below(8),
            };
            self.under_way.push((self.now + late, datagram.to_vec()));
        }
    }

    /// The datagrams that arrive in the next moment.
    pub(crate) fn arrive(&mut self) -> Vec<Vec<u8>> {
        self.now += 1;
        let now = self.now;
        let arrived = self.under_way.extract_if(.., |(at, _)| *at <= now);
        arrived.map(|(_, datagram)| datagram).collect()
    }
}

/// A UDP proxy between one client and one server, which may be replaced by another one.
#[derive(Debug)]
pub(crate) struct Proxy {
    sides: Arc<Sides>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Debug)]
struct Sides {
    /// Where the client sends to, and where the server sends to.
    sockets: [UdpSocket; 2],
    /// The client and the server.
    ends: Mutex<[Option<SocketAddr>; 2]>,
    stop: AtomicBool,
    pub(crate) carried: AtomicU64,
    pub(crate) lost: AtomicU64,
}

impl Proxy {
    pub(crate) fn start() -> Self {
        const TURN: Duration = Duration::from_millis(2);
        let sockets = [(); 2].map(|()| {
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("bind");
            socket.set_read_timeout(Some(TURN)).expect("timeout");
            socket
        });
        let (carried, lost) = (AtomicU64::new(0), AtomicU64::new(0));
        let (ends, stop) = (Mutex::new([None; 2]), AtomicBool::new(false));
        let sides = Arc::new(Sides { sockets, ends, stop, carried, lost });
        let threads = [0, 1].map(|from| {
            let sides = Arc::clone(&sides);
            std::thread::spawn(move || sides.carry(from, Random(from as u64 + 1)))
        });
        Self { sides, threads: threads.into() }
    }

    /// The addresses for the client and for the server to connect to.
    pub(crate) fn addresses(&self) -> [SocketAddr; 2] {
        [0, 1].map(|side| self.sides.sockets[side].local_addr().expect("bound"))
    }

    /// The client or the server is there from now on.
    pub(crate) fn set_end(&self, side: usize, address: SocketAddr) {
        self.sides.ends.lock().expect("nobody panics with it")[side] = Some(address);
    }

    /// How many datagrams came, and how many of them were lost.
    pub(crate) fn counts(&self) -> (u64, u64) {
        let Sides { carried, lost, .. } = &*self.sides;
        (carried.load(Ordering::Relaxed), lost.load(Ordering::Relaxed))
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.sides.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            thread.join().expect("the proxy does not panic");
        }
    }
}

impl Sides {
    fn carry(&self, from: usize, mut random: Random) {
        /// How many datagrams may overtake one that is held back.
        const OVERTAKING: u32 = 3;
        let to = 1 - from;
        let mut buf = vec![0; 1 << 16];
        let mut held: Vec<(Vec<u8>, u32)> = Vec::new();
        while !self.stop.load(Ordering::Relaxed) {
            let Ok((len, source)) = self.sockets[from].recv_from(&mut buf) else {
                for (datagram, _) in held.drain(..) {
                    self.send(to, &datagram);
                }
                continue;
            };
            if self.ends.lock().expect("nobody panics with it")[from] != Some(source) {
                continue;
            }
            self.carried.fetch_add(1, Ordering::Relaxed);
            if random.percent(LOST) {
                self.lost.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            for _ in 0..1 + u64::from(random.percent(REPEATED)) {
                if random.percent(REORDERED) {
                    held.push((buf[..len].to_vec(), OVERTAKING));
                    continue;
                }
                self.send(to, &buf[..len]);
                for (datagram, left) in &mut held {
                    *left -= 1;
                    if *left == 0 {
                        self.send(to, datagram);
                    }
                }
                held.retain(|(_, left)| *left > 0);
            }
        }
    }

    fn send(&self, to: usize, datagram: &[u8]) {
        if let Some(end) = self.ends.lock().expect("nobody panics with it")[to] {
            // What cannot be sent is lost, as datagrams are.
            let _ = self.sockets[to].send_to(datagram, end);
        }
    }
}
