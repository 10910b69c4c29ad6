//! A bad network: a UDP proxy that loses, repeats and reorders datagrams, always in the same way, and
//! can put in datagrams of its own.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;
use std::{fmt, io};

/// What happens to datagrams, in percent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Network {
    pub(crate) lost: u64,
    pub(crate) repeated: u64,
    pub(crate) reordered: u64,
}

impl Network {
    pub(crate) const GOOD: Self = Self { lost: 0, repeated: 0, reordered: 0 };
    pub(crate) const BAD: Self = Self { lost: 30, repeated: 10, reordered: 20 };
}

/// Numbers that look random and are the same in every run.
#[derive(Debug)]
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

    pub(crate) fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.next() as u8).collect()
    }
}

/// How often a thread looks whether it is to end, and lets go of what it holds back.
const TURN: Duration = Duration::from_millis(5);

/// How many datagrams may overtake one that is held back.
const OVERTAKING: usize = 3;

/// One client of one server, with a bad network between them.
pub(crate) struct Proxy {
    sides: Arc<Sides>,
    threads: Vec<JoinHandle<()>>,
}

struct Sides {
    /// Where the client sends to.
    front: UdpSocket,
    /// From where the server is sent to.
    back: UdpSocket,
    client: Mutex<Option<SocketAddr>>,
    /// What came from the client, and what from the server.
    seen: [Mutex<Vec<Vec<u8>>>; 2],
    stop: AtomicBool,
}

/// Which way a datagram goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    ToServer,
    ToClient,
}

impl Proxy {
    pub(crate) fn start(server: SocketAddr, network: Network) -> io::Result<Self> {
        let front = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        let back = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        back.connect(server)?;
        for socket in [&front, &back] {
            socket.set_read_timeout(Some(TURN))?;
        }
        let (client, stop) = (Mutex::new(None), AtomicBool::new(false));
        let sides = Arc::new(Sides { front, back, client, seen: Default::default(), stop });
        let threads = [(Way::ToServer, 1), (Way::ToClient, 2)].map(|(way, seed)| {
            let sides = Arc::clone(&sides);
            std::thread::spawn(move || sides.carry(way, network, Random(seed)))
        });
        Ok(Self { sides, threads: threads.into() })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.sides.front.local_addr().expect("it is bound")
    }

    /// Sends a datagram as if the other side had sent it.
    pub(crate) fn put_in(&self, way: Way, datagram: &[u8]) {
        self.sides.send(way, datagram);
    }

    /// What has gone this way so far, up to a few hundred datagrams.
    pub(crate) fn seen(&self, way: Way) -> Vec<Vec<u8>> {
        self.sides.seen[way as usize].lock().expect("nobody panics with it").clone()
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy").field("front", &self.sides.front).finish_non_exhaustive()
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
    fn send(&self, way: Way, datagram: &[u8]) {
        // A datagram that cannot be sent is lost, as they are.
        let _ = match (way, *self.client.lock().expect("nobody panics with it")) {
            (Way::ToServer, _) => self.back.send(datagram),
            (Way::ToClient, Some(client)) => self.front.send_to(datagram, client),
            (Way::ToClient, None) => Ok(0),
        };
    }

    fn recv(&self, way: Way, buf: &mut [u8]) -> Option<usize> {
        match way {
            Way::ToServer => {
                let (len, from) = self.front.recv_from(buf).ok()?;
                *self.client.lock().expect("nobody panics with it") = Some(from);
                Some(len)
            }
            Way::ToClient => self.back.recv(buf).ok(),
        }
    }

    fn carry(&self, way: Way, network: Network, mut random: Random) {
        const REMEMBERED: usize = 500;
        let mut buf = vec![0; 1 << 16];
        // What is held back, and how many datagrams may still overtake it.
        let mut held: Vec<(Vec<u8>, usize)> = Vec::new();
        while !self.stop.load(Ordering::Relaxed) {
            let Some(len) = self.recv(way, &mut buf) else {
                for (datagram, _) in held.drain(..) {
                    self.send(way, &datagram);
                }
                continue;
            };
            let datagram = &buf[..len];
            let mut seen = self.seen[way as usize].lock().expect("nobody panics with it");
            if seen.len() < REMEMBERED {
                seen.push(datagram.to_vec());
            }
            drop(seen);
            if random.below(100) < network.lost {
                continue;
            }
            let copies = 1 + usize::from(random.below(100) < network.repeated);
            for _ in 0..copies {
                if random.below(100) < network.reordered {
                    held.push((datagram.to_vec(), OVERTAKING));
                } else {
                    self.send(way, datagram);
                    for (_, left) in &mut held {
                        *left = left.saturating_sub(1);
                    }
                }
            }
            held.retain(|(datagram, left)| {
                if *left == 0 {
                    self.send(way, datagram);
                }
                *left > 0
            });
        }
    }
}
