//! Every order in which a small network can deliver, lose and repeat the frames of two calls, with a server that
//! may be started anew: all states that can be reached are looked at.

use std::collections::{BTreeSet, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use ipc_rpc::session::{Event, Finished, Session};
use ipc_rpc::{ClientId, Host, HostOptions, Semantics, Status};
use ipc_testkit::{Harness, note};

use crate::service::{TestClient, TestServer, Tested};

type Checked = Result<(), Box<dyn std::error::Error>>;

pub(crate) fn cases(harness: Harness) -> Harness {
    harness
        .test("model/at_most_once_holds_in_every_order", || explore(Semantics::AtMostOnce))
        .test("model/maybe_holds_in_every_order", || explore(Semantics::Maybe))
}

/// What can happen next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Move {
    /// The client begins its next call.
    Begin,
    /// The client sends what has no reply, or its hello, again.
    Again,
    /// The frame at this place arrives, and stays under way: it is repeated later, overtaken, or lost.
    Deliver(usize),
    /// The client gives up the call of this number.
    GiveUp(u64),
    /// The server is started anew.
    Restart,
}

const COUNT: u32 = ipc_rpc::method_id("count", "(u64) -> u64");

/// How many moves there are at most, and of some kinds.
const DEPTH: usize = 12;
const CALLS: u64 = 2;

/// A history is made again from its moves: a host cannot be copied, and is quick.
struct World {
    session: Session,
    tested: Tested,
    host: Host<TestServer<Tested>>,
    hello: Vec<u8>,
    /// Every different frame that was sent so far. None is ever gone, since it may come again; that one is lost is
    /// that it is not delivered.
    sent: Vec<(bool, Vec<u8>)>,
    /// What has arrived at the server in this life, with the tokens left out.
    arrived: BTreeSet<Vec<u8>>,
    begun: u64,
    restarted: bool,
    /// What the client was told of each call.
    told: Vec<(u64, Option<bool>)>,
}

impl World {
    fn new(id: ClientId) -> ipc_core::Result<Self> {
        let tested = Tested::default();
        let mut session = Session::new(TestClient::<()>::SERVICE, id, 1, 1 << 16);
        let mut hello = Vec::new();
        session.hello(&mut hello);
        let host = Host::new(TestServer(tested.clone()), &HostOptions::new().window(2))?;
        let mut world = Self {
            session,
            tested,
            host,
            sent: Vec::new(),
            hello: Vec::new(),
            arrived: BTreeSet::new(),
            begun: 0,
            restarted: false,
            told: Vec::new(),
        };
        // The first acquaintance is as it is always.
        world.server(&hello);
        let (_, welcome) = world.sent.pop().expect("a welcome");
        world.client(&welcome);
        Ok(world)
    }

    fn send(&mut self, to_server: bool, frame: Vec<u8>) {
        if !self.sent.contains(&(to_server, frame.clone())) {
            self.sent.push((to_server, frame));
        }
    }

    fn server(&mut self, frame: &[u8]) {
        self.arrived.insert(masked(frame));
        let mut connection = self.host.connection();
        let answer = self.host.handle(&mut connection, frame, &mut Vec::new());
        if let Some(answer) = answer.map(|it| it.bytes.to_vec()) {
            self.send(false, answer);
        }
    }

    fn client(&mut self, frame: &[u8]) {
        match self.session.on_frame(frame) {
            Event::Reply(head, result) => self.session.keep(head, result, Vec::new()),
            Event::Unknown => {
                self.session.hello(&mut self.hello);
                self.send(true, self.hello.clone());
            }
            Event::Opened { .. } => self.again(),
            Event::Refused(refusal) => panic!("{refusal}"),
            _ => {}
        }
        for seq in 1..=self.begun {
            let told = match self.session.finished(seq) {
                Some(Finished::Reply(head, _)) if head.status == Status::Ok => Some(true),
                Some(_) => Some(false),
                None => continue,
            };
            self.told.push((seq, told));
            self.session.finish(seq);
        }
    }

    fn again(&mut self) {
        let mut from = 0;
        while let Some(seq) = self.session.unanswered(from) {
            from = seq + 1;
            if let Some((frame, _)) = self.session.outgoing(seq, None) {
                let frame = frame.to_vec();
                self.send(true, frame);
            }
        }
    }

    fn moves(&self) -> Vec<Move> {
        let mut moves: Vec<_> = (0..self.sent.len()).map(Move::Deliver).collect();
        if self.begun < CALLS && self.session.is_open() && self.session.has_room() {
            moves.push(Move::Begin);
        }
        moves.push(Move::Again);
        if !self.restarted {
            moves.push(Move::Restart);
        }
        let gives_up = (1..=self.begun).filter(|seq| self.told.iter().all(|(it, _)| it != seq));
        moves.extend(gives_up.map(Move::GiveUp));
        moves
    }

    fn make(&mut self, step: Move, semantics: Semantics) -> Checked {
        match step {
            Move::Begin => {
                let seq = self.session.begin(semantics, COUNT, None)?;
                self.session.frame(seq).push(seq as u8);
                let frame = self.session.outgoing(seq, None).expect("open").0.to_vec();
                self.begun = seq;
                self.send(true, frame);
            }
            Move::Again if self.session.is_open() => self.again(),
            Move::Again => self.send(true, self.hello.clone()),
            Move::Deliver(at) => {
                let (to_server, frame) = self.sent[at].clone();
                if to_server { self.server(&frame) } else { self.client(&frame) }
            }
            Move::GiveUp(seq) => {
                self.session.finish(seq);
                self.told.push((seq, None));
            }
            Move::Restart => {
                self.host =
                    Host::new(TestServer(self.tested.clone()), &HostOptions::new().window(2))?;
                self.restarted = true;
                self.arrived.clear();
            }
        }
        self.check();
        Ok(())
    }

    fn check(&self) {
        let counts = self.tested.0.counts();
        for (number, times) in counts.iter() {
            assert!(*times <= 1, "call {number} was executed {times} times");
        }
        for (seq, told) in &self.told {
            if *told == Some(true) {
                assert_eq!(counts.get(seq), Some(&1), "call {seq} was answered and not executed");
            }
        }
    }

    /// What two histories have in common that can go on in the same ways. Random tokens are left out.
    fn shape(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        let mut sent: Vec<_> = self.sent.iter().map(|(to, frame)| (*to, masked(frame))).collect();
        sent.sort();
        let mut counts: Vec<_> = self.tested.0.counts().iter().map(|(k, v)| (*k, *v)).collect();
        counts.sort_unstable();
        let mut told = self.told.clone();
        told.sort_unstable();
        (sent, counts, told, self.begun, self.restarted, self.session.is_open()).hash(&mut hasher);
        (self.session.low(), self.session.unanswered(0), &self.arrived).hash(&mut hasher);
        hasher.finish()
    }
}

/// A frame without what is random in it.
fn masked(frame: &[u8]) -> Vec<u8> {
    let mut frame = frame.to_vec();
    match frame[0] {
        2 => frame[8..24].fill(0),
        4 | 5 => frame[8..16].fill(0),
        _ => {}
    }
    frame
}

fn explore(semantics: Semantics) -> Checked {
    let id = ClientId::new(7).expect("not 0");
    let mut frontier: Vec<Vec<Move>> = vec![Vec::new()];
    let mut seen = HashSet::new();
    let (mut histories, mut executed, mut answered) = (0_u64, 0_u64, 0_u64);
    for _ in 0..DEPTH {
        let mut next = Vec::new();
        for history in &frontier {
            let mut world = World::new(id)?;
            for step in history {
                world.make(*step, semantics)?;
            }
            for step in world.moves() {
                let mut world = World::new(id)?;
                for before in history {
                    world.make(*before, semantics)?;
                }
                world.make(step, semantics)?;
                histories += 1;
                executed += u64::from(!world.tested.0.counts().is_empty());
                answered += u64::from(world.told.iter().any(|(_, told)| *told == Some(true)));
                if seen.insert(world.shape()) {
                    next.push([&history[..], &[step]].concat());
                }
            }
        }
        frontier = next;
    }
    note(format!(
        "{semantics:?}: {histories} histories of up to {DEPTH} moves, {} states, {executed} with a call executed, \
         {answered} with one answered",
        seen.len()
    ));
    assert!(answered > 0 && executed > answered);
    Ok(())
}
