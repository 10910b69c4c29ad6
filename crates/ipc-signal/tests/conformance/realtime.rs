//! Queues of values: nothing lost, nothing twice, in order; and what happens when they are full.

use std::collections::BTreeMap;
use std::time::Duration;

use ipc_core::{ErrorKind, Handoff, Notified, Notify, Wait};
use ipc_signal::{
    Code, Limits, Pid, RtReceiver, RtSender, Signal, SignalFd, SignalReceiver, SignalSet, Target,
    TimerOptions, Value, queue, send,
};
use ipc_testkit::{Harness, Peer, block, hear, need_root, note, say};
use rustix::process::{Resource, Rlimit, Uid, getrlimit, setrlimit};
use rustix::thread::set_thread_uid;

pub(crate) fn cases(harness: Harness) -> Harness {
    harness
        .test("realtime/values_of_four_senders_arrive_once_and_in_order", || four_senders(false))
        .test("realtime/values_of_four_senders_are_read_from_a_signalfd", || four_senders(true))
        .role("queues_values", queues_values)
        .test("realtime/killed_senders_leave_whole_beginnings", killed_senders)
        .test("realtime/standard_signals_coalesce_and_realtime_ones_queue", counts)
        .test("realtime/the_lower_number_comes_first", lower_first)
        .test("realtime/a_full_queue_is_told_by_kind", || alone("meets_a_full_queue"))
        .role("meets_a_full_queue", full)
        .test("realtime/a_blocked_send_is_woken_by_room", || alone("waits_for_room"))
        .role("waits_for_room", room)
        .test("realtime/a_blocked_send_ends_when_the_receiver_dies", receiver_dies)
        .role("never_receives", never_receives)
        .test("realtime/a_standard_signal_comes_without_particulars_when_full", || {
            alone("gets_standard_signals");
        })
        .role("gets_standard_signals", standard_when_full)
}

const SENDERS: usize = 4;

/// Each sender uses two signals in turn.
fn signals() -> [Signal; 2] {
    [1, 2].map(|n| Signal::realtime(n).expect("a realtime signal"))
}

fn number(variable: &str, unless_set: usize) -> usize {
    std::env::var(variable).map_or(unless_set, |text| text.parse().expect("a number"))
}

/// So few fit that senders meet a full queue often. What other processes of this user have pending
/// counts too.
fn limit_queue(room: u64) {
    let pending = Limits::read().expect("limits").pending;
    let maximum = getrlimit(Resource::Sigpending).maximum;
    let limit = Rlimit { current: Some(pending + room), maximum };
    setrlimit(Resource::Sigpending, limit).expect("setrlimit");
}

/// Plays a role whose user has nothing else pending.
fn alone(role: &str) {
    need_root("be a user whose limit nobody shares");
    Peer::start(role).join();
}

/// A user whom nobody else is, and room for so many pending signals.
fn become_somebody(room: u64) {
    set_thread_uid(Uid::from_raw(1_000_000_000 + std::process::id())).expect("setuid");
    limit_queue(room);
}

/// Starts a peer that queues `count` values for this process, with its number in the upper half.
fn start_sender(id: usize, count: usize) -> Peer {
    let mut peer = Peer::cast("queues_values");
    for (key, signal) in ["a", "b"].into_iter().zip(signals()) {
        let tx = RtSender::to(Pid::this(), signal).expect("sender");
        tx.give(peer.command(), key).expect("give");
    }
    peer.command().env("ID", id.to_string()).env("COUNT", count.to_string());
    peer.start()
}

fn queues_values() {
    let senders = ["a", "b"].map(|key| RtSender::adopt(key).expect("adopt"));
    let id = number("ID", usize::MAX);
    let (mut full, count) = (0, number("COUNT", 0));
    say("ready");
    assert_eq!(hear(), "go");
    for n in 0..count {
        let (tx, value) = (&senders[n % 2], Value::from(id << 32 | n));
        match tx.try_send(value) {
            Ok(()) => {}
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}");
                if full == 0 {
                    say("full");
                }
                full += 1;
                tx.send(value, Wait::Forever).expect("send");
            }
        }
    }
    say(full.to_string());
}

/// What came of each sender and signal until now.
#[derive(Default)]
struct Arrivals {
    /// The sender's pid, by its number.
    pids: BTreeMap<usize, Pid>,
    next: BTreeMap<(usize, Signal), usize>,
    count: usize,
}

impl Arrivals {
    fn take(&mut self, origin: ipc_signal::Origin) {
        assert_eq!(origin.code(), Code::Queue);
        let value = origin.value().expect("it has a value").as_usize();
        let (id, n) = (value >> 32, value & 0xffff_ffff);
        let which = n % 2;
        assert_eq!(origin.signal(), signals()[which], "the value of another signal");
        let next = self.next.entry((id, origin.signal())).or_insert(which);
        assert_eq!(n, *next, "sender {id}, {}: lost, repeated or overtaken", origin.signal());
        *next += 2;
        let pid = origin.pid().expect("it has a sender");
        assert_eq!(*self.pids.entry(id).or_insert(pid), pid, "two processes are sender {id}");
        self.count += 1;
    }
}

fn four_senders(by_descriptor: bool) {
    let each = number("IPC_SIGNAL_VALUES", 100_000) / SENDERS;
    let set: SignalSet = signals().into();
    let fd = SignalFd::open(set).expect("signalfd");
    limit_queue(500);
    let mut peers: Vec<_> = (0..SENDERS).map(|id| start_sender(id, each)).collect();
    peers.iter_mut().for_each(|peer| peer.expect("ready"));
    peers.iter_mut().for_each(|peer| peer.tell("go"));
    // Nothing is taken before each of them has met a full queue.
    peers.iter_mut().for_each(|peer| peer.expect("full"));
    let mut arrivals = Arrivals::default();
    let mut batch = Vec::new();
    note(format!("{} values are sent: if it hangs, one was lost", each * SENDERS));
    while arrivals.count < each * SENDERS {
        if by_descriptor {
            fd.read_batch(&mut batch, Wait::Forever).expect("read");
            batch.drain(..).for_each(|origin| arrivals.take(origin));
        } else {
            arrivals.take(set.wait(Wait::Forever).expect("wait"));
        }
    }
    let full: u64 =
        peers.iter_mut().map(|peer| peer.listen().parse::<u64>().expect("a count")).sum();
    let pids: Vec<_> = peers.iter().map(|it| it.pid().as_raw_nonzero().get()).collect();
    for (id, pid) in &arrivals.pids {
        assert_eq!(pid.get(), pids[*id], "the sender's pid");
    }
    peers.into_iter().for_each(Peer::join);
    assert_eq!(set.wait(Wait::Never).expect_err("no more").kind(), ErrorKind::WouldBlock);
    assert_eq!(arrivals.next.len(), 2 * SENDERS);
    println!("{} values came, and senders met a full queue {full} times", arrivals.count);
}

/// A sender that is killed has queued its values up to some point, and nothing is lost before it.
fn killed_senders() {
    let set: SignalSet = signals().into();
    let _guard = set.block().expect("block");
    limit_queue(500);
    let mut random = 88_172_645_463_325_252_u64 ^ u64::from(std::process::id());
    for id in 0..number("IPC_SIGNAL_KILLS", 20) {
        let mut arrivals = Arrivals::default();
        let mut peer = start_sender(id, usize::MAX >> 32);
        peer.expect("ready");
        peer.tell("go");
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        for _ in 0..random % 3000 {
            arrivals.take(set.wait(Wait::Forever).expect("wait"));
        }
        peer.kill();
        while let Ok(origin) = set.wait(Wait::Never) {
            arrivals.take(origin);
        }
        // Both signals have come as far, or the first one by one more; whichever was in the queue
        // longer has been read out by now.
        let next =
            |which: usize| arrivals.next.get(&(id, signals()[which])).map_or(which, |it| *it);
        assert!(next(0) == next(1) - 1 || next(0) == next(1) + 1, "{:?}", arrivals.next);
    }
}

/// The same number of both kinds, counted.
fn counts() {
    const SENT: u64 = 1000;
    let standard = SignalReceiver::new(Signal::USR2).expect("receiver");
    let realtime = RtReceiver::new(Signal::realtime(0).expect("a signal")).expect("receiver");
    let (to_standard, to_realtime) =
        (standard.sender().expect("sender"), realtime.sender().expect("sender"));
    for _ in 0..SENT {
        to_standard.notify().expect("notify");
        to_realtime.notify().expect("notify");
    }
    let count = |rx: &dyn Notified| std::iter::from_fn(|| rx.try_wait().ok()).count();
    let (coalesced, queued) = (count(&standard), count(&realtime));
    println!("{SENT} of each were sent: SIGUSR2 came {coalesced} time, SIGRTMIN {queued} times");
    assert_eq!((coalesced, queued), (1, 1000));
}

fn lower_first() {
    let numbers = [7, 3, 5];
    let signals = numbers.map(|n| Signal::realtime(n).expect("a signal"));
    let set = SignalSet::from(signals).with(Signal::USR2);
    let _guard = set.block().expect("block");
    let this = Target::Process(Pid::this());
    for (signal, n) in signals.into_iter().zip(numbers) {
        for value in 0..2 {
            queue(this, signal, Value::from(n as i32 * 10 + value)).expect("queue");
        }
    }
    send(this, Signal::USR2).expect("send");
    let mut order = Vec::new();
    while let Ok(origin) = set.wait(Wait::Never) {
        order.push(origin.value().map_or(-1, Value::as_int));
    }
    assert_eq!(order, [-1, 30, 31, 50, 51, 70, 71]);
}

/// Fills the queue of this process, and returns how many fitted.
fn fill(tx: &RtSender) -> usize {
    std::iter::from_fn(|| tx.try_send(1.into()).ok()).count()
}

fn full() {
    let rx = RtReceiver::new(Signal::realtime_max()).expect("receiver");
    let tx = rx.sender().expect("sender");
    become_somebody(20);
    let sent = fill(&tx);
    assert_eq!(sent, 20);
    let limits = Limits::read().expect("limits");
    assert!(limits.pending >= limits.max_pending, "{limits:?}");

    let never = tx.try_send(2.into()).expect_err("full");
    assert_eq!((never.kind(), never.raw_os_error()), (ErrorKind::WouldBlock, Some(libc_eagain())));
    assert!(never.note().is_some_and(|it| it.contains("RLIMIT_SIGPENDING")), "{never}");
    let timed = tx.send_timeout(2.into(), Duration::from_millis(20)).expect_err("full");
    assert_eq!(timed.kind(), ErrorKind::TimedOut);
    assert!(timed.note().is_some_and(|it| it.contains("RLIMIT_SIGPENDING")), "{timed}");
    let timer = TimerOptions::new(Signal::USR2).create().map(drop);
    for result in
        [tx.notify(), queue(Target::Process(Pid::this()), Signal::realtime_max(), 2.into()), timer]
    {
        let error = result.expect_err("full");
        let ErrorKind::ResourceLimit { knob, .. } = error.kind() else { panic!("{error}") };
        assert!(knob.contains("RLIMIT_SIGPENDING"), "{error}");
    }
    // What `kill` sends is lost without a word, as documented.
    send(Target::Process(Pid::this()), Signal::realtime_max()).expect("no error");
    let came = std::iter::from_fn(|| rx.recv(Wait::Never).ok()).count();
    assert_eq!(came, sent);
}

fn libc_eagain() -> i32 {
    rustix::io::Errno::AGAIN.raw_os_error()
}

fn room() {
    become_somebody(20);
    for wait in [Wait::Forever, Wait::timeout(Duration::from_secs(3600))] {
        let rx = RtReceiver::new(Signal::realtime(9).expect("a signal")).expect("receiver");
        let tx = rx.sender().expect("sender");
        let sent = fill(&tx);
        let blocked = block("send to a full queue", move || tx.send(77.into(), wait));
        let value = |wait| rx.recv(wait).expect("receive").value().expect("a value").as_int();
        (0..sent).for_each(|_| assert_eq!(value(Wait::Never), 1));
        note("there is room now: if it hangs, the sender does not see it");
        assert_eq!(value(Wait::Forever), 77);
        blocked.join().expect("send");
    }
}

fn receiver_dies() {
    need_root("be a user whose limit nobody shares");
    let mut peer = Peer::start("never_receives");
    peer.expect("ready");
    let pid = Pid::new(peer.pid().as_raw_nonzero().get()).expect("a pid");
    let tx = RtSender::to(pid, Signal::realtime(3).expect("a signal")).expect("sender");
    assert_eq!(fill(&tx), 20);
    let blocked = block("send to a full queue", move || (tx.send(1.into(), Wait::Forever), tx));
    peer.kill();
    note("the receiver is dead: if it hangs, the sender waits for room that nobody makes");
    let (result, tx) = blocked.join();
    // A process that is being killed throws its queue away first: for a moment there is room.
    if let Err(error) = result {
        assert_eq!(error.kind(), ErrorKind::Disconnected);
    }
    assert_eq!(tx.try_send(1.into()).expect_err("gone").kind(), ErrorKind::Disconnected);
}

fn never_receives() {
    let _rx = RtReceiver::new(Signal::realtime(3).expect("a signal")).expect("receiver");
    become_somebody(20);
    say("ready");
    let _ = hear();
}

fn standard_when_full() {
    let rx = RtReceiver::new(Signal::realtime(9).expect("a signal")).expect("receiver");
    let standard = SignalSet::from(Signal::USR2);
    let _guard = standard.block().expect("block");
    become_somebody(20);
    fill(&rx.sender().expect("sender"));
    // A value for it is lost, as documented.
    queue(Target::Process(Pid::this()), Signal::USR2, 5.into()).expect("it is sent all the same");
    let origin = standard.wait(Wait::Never).expect("it is there");
    assert_eq!((origin.code(), origin.pid(), origin.value()), (Code::User, None, None));
}
