//! The pool: workers that die, drain, hang and cannot be started, and a parent that is killed.
#![expect(unsafe_code, reason = "forking is unsafe, and says what its caller promises")]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use ipc_core::{ErrorKind, Result, Wait};
use ipc_process::{
    Event, Pid, Prefork, PreforkOptions, Process, Turn, Worker, reap_any, set_subreaper,
};
use ipc_testkit::{Harness, Peer, say, with_free_descriptors};

use crate::deaths::kills;
use crate::forks::{assert_ends, fork};

pub(crate) fn cases(harness: Harness) -> Harness {
    harness
        .test("pool/workers_run_until_they_are_drained", drained)
        .test("pool/a_dead_worker_is_replaced", replaced)
        .test("pool/a_worker_that_keeps_failing_is_started_less_often", backs_off)
        .test("pool/a_worker_that_is_done_is_replaced_at_once", done)
        .test("pool/a_worker_that_hangs_is_killed_at_the_deadline", hangs)
        .test("pool/a_second_signal_ends_a_drain_at_once", second_signal)
        .test("pool/sigterm_and_sigint_are_told", signals)
        .test("pool/a_signal_to_a_worker_drains_it_alone", worker_signal)
        .test("pool/dropping_drains_and_restores_the_mask", dropped)
        .test("pool/workers_end_when_their_parent_is_killed", parent_killed)
        .role("has_a_pool", has_a_pool)
        .test("pool/a_process_with_threads_is_refused", threads)
        .test("pool/no_workers_are_refused", no_workers)
        .test("pool/a_worker_that_cannot_be_started_is_tried_again", no_descriptors)
        .test("pool/a_pool_that_cannot_start_leaves_nobody", cannot_start)
        .test("pool/a_listener_that_blocks_is_refused", blocking_listener)
        .test("pool/what_is_no_listener_is_refused", no_listener)
        .test("pool/a_connection_is_taken_by_one_worker", one_worker)
        .test("pool/a_status_that_is_lost_is_an_end_all_the_same", lost_status)
        .test("pool/a_killed_worker_takes_its_connection_and_no_other", killed_worker)
        .test("pool/what_was_accepted_is_finished_in_a_drain", drains_connections)
        .test("pool/a_drain_needs_no_other_process_to_end", other_child)
}

/// Starts a pool.
fn start<F: FnMut(&Worker<'_>) -> u8>(options: PreforkOptions, run: F) -> Result<Prefork<F>> {
    // SAFETY: a case has one thread, and nothing that a fork would make two owners of.
    unsafe { options.start(run) }
}

/// Works until it is drained.
fn idle(worker: &Worker<'_>) -> u8 {
    let (never, _hold) = std::io::pipe().expect("pipe");
    u8::from(worker.until_ready(&never, Wait::Forever) != Ok(Turn::Drain))
}

fn soon() -> Wait {
    Wait::timeout(Duration::from_secs(30))
}

/// The pids of the workers.
fn pids<F: FnMut(&Worker<'_>) -> u8>(pool: &Prefork<F>) -> Vec<Pid> {
    pool.report().workers.iter().filter_map(|worker| worker.pid).collect()
}

#[track_caller]
fn no_child_is_left() {
    assert_eq!(reap_any(Wait::Never).expect_err("a child is left").kind(), ErrorKind::NotFound);
}

fn drained() {
    let mut pool = start(PreforkOptions::new(4), idle).expect("start");
    let report = pool.report();
    assert_eq!((report.running(), report.restarts(), report.draining), (4, 0, false));
    assert!(report.workers.iter().all(|it| it.uptime.is_some() && it.next_start.is_none()));
    let error = pool.supervise(Wait::Never).expect_err("nothing has happened");
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
    let error = pool.supervise(Wait::timeout(Duration::from_millis(1))).expect_err("nothing");
    assert_eq!(error.kind(), ErrorKind::TimedOut);

    let report = pool.drain(soon()).expect("drain");
    assert_eq!((report.running(), report.killed, report.draining), (0, 0, true));
    for worker in &report.workers {
        assert_eq!(worker.last_exit.and_then(|status| status.code()), Some(0), "{report}");
    }
    let error = pool.supervise(Wait::Forever).expect_err("nobody is left");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    no_child_is_left();
}

fn replaced() {
    use std::os::unix::process::ExitStatusExt;
    let mut pool = start(PreforkOptions::new(3), idle).expect("start");
    let victim = pids(&pool)[1];
    Process::open(victim).and_then(|it| it.kill()).expect("kill");
    let Event::Ended { slot: 1, pid, status: Some(status) } =
        pool.supervise(Wait::Forever).expect("an event")
    else {
        panic!("another event")
    };
    assert_eq!((pid, status.signal()), (victim, Some(9)));
    let Event::Started { slot: 1, pid } = pool.supervise(soon()).expect("an event") else {
        panic!("another event")
    };
    assert_eq!(pids(&pool)[1], pid);
    let report = pool.report();
    assert_eq!((report.running(), report.restarts()), (3, 1));
    assert_eq!(report.workers[1].last_exit, Some(status));
    assert!(report.to_string().contains("3 of 3 workers, 1 restarts"), "{report}");
}

fn backs_off() {
    let options = PreforkOptions::new(1).settled(Duration::from_secs(3600));
    let options = options.backoff(Duration::from_millis(1), Duration::from_millis(8));
    let mut pool = start(options, |_| 3).expect("start");
    for round in 1..8 {
        let ended = pool.supervise(Wait::Forever).expect("an event");
        assert!(matches!(ended, Event::Ended { .. }), "{ended:?}");
        let worker = pool.report().workers.remove(0);
        assert_eq!((worker.failures, worker.starts), (round, u64::from(round)));
        if round > 2 {
            // It waits for the back-off, and not for the caller's deadline.
            let delay = worker.next_start.expect("it is due");
            assert!(delay <= Duration::from_millis(8), "{delay:?}");
        }
        let started = pool.supervise(Wait::Forever).expect("an event");
        assert!(matches!(started, Event::Started { slot: 0, .. }), "{started:?}");
    }
    let long = options.backoff(Duration::from_secs(3600), Duration::from_secs(3600));
    drop(pool);
    let mut pool = start(long, |_| 3).expect("start");
    for _ in 0..3 {
        pool.supervise(Wait::Forever).expect("an event");
    }
    let error = pool.supervise(Wait::timeout(Duration::from_millis(5)));
    assert_eq!(error.expect_err("it backs off for an hour").kind(), ErrorKind::TimedOut);
    assert_eq!(pool.supervise(Wait::Never).expect_err("as before").kind(), ErrorKind::WouldBlock);
    assert!(pool.report().to_string().contains("starts in"), "{}", pool.report());
    assert_eq!(pool.drain(soon()).expect("drain").killed, 0);
}

fn done() {
    let long = Duration::from_secs(3600);
    let mut pool = start(PreforkOptions::new(1).backoff(long, long), |_| 0).expect("start");
    for _ in 0..20 {
        pool.supervise(Wait::Forever).expect("an event");
    }
    let worker = pool.report().workers.remove(0);
    assert_eq!((worker.starts, worker.failures), (11, 0));
}

fn hangs() {
    use std::os::unix::process::ExitStatusExt;
    let hang = |_: &Worker<'_>| loop {
        std::thread::park();
    };
    let mut pool = start(PreforkOptions::new(2), hang).expect("start");
    let report = pool.drain(Wait::timeout(Duration::from_millis(20))).expect("drain");
    assert_eq!((report.running(), report.killed), (0, 2));
    for worker in report.workers {
        assert_eq!(worker.last_exit.and_then(|status| status.signal()), Some(9));
    }
    no_child_is_left();
}

/// A worker that hangs tells this process a second time that it is to end.
fn second_signal() {
    let parent = Pid::this();
    let run = move |worker: &Worker<'_>| {
        let (never, _hold) = std::io::pipe().expect("pipe");
        worker.until_ready(&never, Wait::Forever).expect("drained");
        Process::parent(parent).and_then(|it| it.terminate()).expect("tell");
        loop {
            std::thread::park();
        }
    };
    let mut pool = start(PreforkOptions::new(1), run).expect("start");
    assert_eq!(pool.drain(Wait::Forever).expect("drain").killed, 1);
    no_child_is_left();
}

fn signals() {
    let this = Process::this().expect("this");
    let mut pool = start(PreforkOptions::new(1), idle).expect("start");
    for signal in [libc::SIGTERM, libc::SIGINT] {
        this.send_signal(signal).expect("send");
        assert_eq!(pool.supervise(Wait::Forever), Ok(Event::Signal(signal)));
    }
    this.terminate().expect("send");
    let mut events = Vec::new();
    let report = pool.run(|event| events.push(event.clone())).expect("run");
    assert_eq!(events, [Event::Signal(libc::SIGTERM)]);
    assert_eq!((report.running(), report.killed), (0, 0));
}

fn worker_signal() {
    let mut pool = start(PreforkOptions::new(2), idle).expect("start");
    let before = pids(&pool);
    for signal in [libc::SIGTERM, libc::SIGINT] {
        let first = Process::open(pids(&pool)[0]).expect("open");
        first.send_signal(signal).expect("send");
        match pool.supervise(soon()).expect("an event") {
            Event::Ended { slot: 0, status: Some(status), .. } if status.success() => {}
            other => panic!("{other:?}"),
        }
        let started = pool.supervise(soon()).expect("an event");
        assert!(matches!(started, Event::Started { slot: 0, .. }), "{started:?}");
    }
    assert_eq!(pids(&pool)[1], before[1]);
}

/// The signals that this thread has blocked, from its status.
fn blocked() -> String {
    let status = std::fs::read_to_string("/proc/self/status").expect("status");
    status.lines().find(|line| line.starts_with("SigBlk")).expect("a line").to_owned()
}

fn dropped() {
    let before = blocked();
    let pool = start(PreforkOptions::new(2), idle).expect("start");
    assert_ne!(blocked(), before);
    let workers: Vec<_> =
        pids(&pool).into_iter().map(|pid| Process::open(pid).expect("open")).collect();
    drop(pool);
    assert_eq!(blocked(), before);
    assert!(workers.iter().all(|worker| worker.is_alive() == Ok(false)));
    no_child_is_left();
}

fn parent_killed() {
    set_subreaper(true).expect("prctl");
    for round in 0..kills() {
        let mut peer = Peer::start("has_a_pool");
        let mut workers = Vec::new();
        for _ in 0..round % 5 {
            let pid = Pid::new(peer.listen().parse().expect("a pid")).expect("a pid");
            workers.push(Process::open(pid));
        }
        peer.kill();
        for worker in workers.into_iter().flatten() {
            assert_ends(&worker);
        }
        // Whoever else was started is an orphan here, and ends as well.
        while let Ok((_, status)) = reap_any(soon()) {
            assert!(status.success(), "round {round}: {status}");
        }
        no_child_is_left();
    }
}

fn has_a_pool() {
    let mut pool = start(PreforkOptions::new(4), idle).expect("start");
    pids(&pool).iter().for_each(|pid| say(pid.to_string()));
    let _ = pool.run(|_| {});
}

fn threads() {
    std::thread::scope(|scope| {
        let (stop, until) = std::sync::mpsc::channel::<()>();
        scope.spawn(move || until.recv().is_err());
        let error = start(PreforkOptions::new(1), idle).expect_err("there are two threads");
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        drop(stop);
    });
    // And later: a worker is not replaced while there is a second thread.
    let fast = Duration::from_millis(1);
    let mut pool = start(PreforkOptions::new(1).backoff(fast, fast), idle).expect("start");
    std::thread::scope(|scope| {
        let (stop, until) = std::sync::mpsc::channel::<()>();
        scope.spawn(move || until.recv().is_err());
        Process::open(pids(&pool)[0]).and_then(|it| it.kill()).expect("kill");
        pool.supervise(Wait::Forever).expect("its end");
        match pool.supervise(Wait::Forever).expect("an event") {
            Event::NotStarted { slot: 0, error } => {
                assert_eq!(error.kind(), ErrorKind::InvalidInput);
            }
            other => panic!("{other:?}"),
        }
        drop(stop);
    });
    while !matches!(pool.supervise(Wait::Forever), Ok(Event::Started { .. })) {}
    assert_eq!(pool.report().running(), 1);
}

fn no_workers() {
    let error = start(PreforkOptions::new(0), idle).expect_err("there is nobody");
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

fn no_descriptors() {
    let fast = Duration::from_millis(1);
    let mut pool = start(PreforkOptions::new(1).backoff(fast, fast), idle).expect("start");
    Process::open(pids(&pool)[0]).and_then(|it| it.kill()).expect("kill");
    pool.supervise(Wait::Forever).expect("its end");
    for _ in 0..3 {
        let event = with_free_descriptors(0, || pool.supervise(Wait::Forever)).expect("an event");
        let Event::NotStarted { slot: 0, error } = event else { panic!("{event:?}") };
        assert!(matches!(error.kind(), ErrorKind::ResourceLimit { .. }), "{error}");
    }
    let started = pool.supervise(Wait::Forever).expect("an event");
    assert!(matches!(started, Event::Started { slot: 0, .. }), "{started:?}");
}

fn cannot_start() {
    let before = blocked();
    for free in 0..8 {
        let result = with_free_descriptors(free, || start(PreforkOptions::new(4), idle).map(drop));
        if let Err(error) = result {
            assert!(matches!(error.kind(), ErrorKind::ResourceLimit { .. }), "{free}: {error}");
        }
        no_child_is_left();
        assert_eq!(blocked(), before, "{free}");
    }
}

fn listener() -> TcpListener {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    listener.set_nonblocking(true).expect("set_nonblocking");
    listener
}

fn blocking_listener() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let run = |worker: &Worker<'_>| match worker.accept(&listener) {
        Err(error) if error.kind() == ErrorKind::InvalidInput => 42,
        _ => 1,
    };
    assert_eq!(first_exit(run), Some(42));
}

fn no_listener() {
    let (socket, mut other) = std::os::unix::net::UnixStream::pair().expect("socketpair");
    socket.set_nonblocking(true).expect("set_nonblocking");
    other.write_all(b"x").expect("write");
    let run = |worker: &Worker<'_>| match worker.accept(&socket) {
        Err(error) if matches!(error.kind(), ErrorKind::WrongType { .. }) => 43,
        _ => 1,
    };
    assert_eq!(first_exit(run), Some(43));
}

/// What the first worker to end returned.
fn first_exit(run: impl FnMut(&Worker<'_>) -> u8) -> Option<i32> {
    let mut pool = start(PreforkOptions::new(1), run).expect("start");
    match pool.supervise(soon()).expect("an event") {
        Event::Ended { status: Some(status), .. } => status.code(),
        other => panic!("{other:?}"),
    }
}

/// Each connection gets the pid of the worker that has it, and its byte back.
fn echo(listener: &TcpListener, worker: &Worker<'_>) -> u8 {
    while let Ok(Some(connection)) = worker.accept(listener) {
        let mut connection = TcpStream::from(connection);
        let _ = writeln!(connection, "{}", Pid::this());
        let mut byte = [0];
        while connection.read_exact(&mut byte).is_ok() && connection.write_all(&byte).is_ok() {}
    }
    0
}

/// A connection that is being served, and by whom.
fn connect(listener: &TcpListener) -> (TcpStream, Pid) {
    let address = listener.local_addr().expect("address");
    let mut connection = TcpStream::connect(address).expect("connect");
    let mut pid = String::new();
    let mut byte = [0];
    while connection.read_exact(&mut byte).is_ok() && byte != *b"\n" {
        pid.push(byte[0].into());
    }
    (connection, Pid::new(pid.parse().expect("a pid")).expect("a pid"))
}

fn alive(connection: &mut TcpStream) -> bool {
    let mut byte = [0];
    connection.write_all(b"x").is_ok() && connection.read_exact(&mut byte).is_ok()
}

fn one_worker() {
    let listener = listener();
    let mut pool = start(PreforkOptions::new(4), |worker| echo(&listener, worker)).expect("start");
    let mut served: Vec<_> = (0..4).map(|_| connect(&listener)).collect();
    let mut workers: Vec<_> = served.iter().map(|(_, pid)| *pid).collect();
    workers.sort_unstable();
    let mut expected = pids(&pool);
    expected.sort_unstable();
    assert_eq!(workers, expected, "every worker has one");
    assert!(served.iter_mut().all(|(connection, _)| alive(connection)));
    drop(served);
    assert_eq!(pool.drain(soon()).expect("drain").killed, 0);
}

fn lost_status() {
    crate::programs::ignore_sigchld();
    let mut pool = start(PreforkOptions::new(1), idle).expect("start");
    let pid = pids(&pool)[0];
    Process::open(pid).and_then(|it| it.kill()).expect("kill");
    let ended = pool.supervise(soon()).expect("an event");
    assert_eq!(ended, Event::Ended { slot: 0, pid, status: None });
    let started = pool.supervise(soon()).expect("an event");
    assert!(matches!(started, Event::Started { slot: 0, .. }), "{started:?}");
}

/// Of the connections that workers have, the death of one worker ends its own.
fn killed_worker() {
    let listener = listener();
    let fast = Duration::from_millis(1);
    let options = PreforkOptions::new(3).backoff(fast, fast);
    let mut pool = start(options, |worker| echo(&listener, worker)).expect("start");
    let mut served: Vec<_> = (0..3).map(|_| connect(&listener)).collect();
    for round in 0..kills() {
        let (mut lost, pid) = served.remove(0);
        Process::open(pid).and_then(|it| it.kill()).expect("kill");
        while !matches!(pool.supervise(soon()), Ok(Event::Started { .. })) {}
        assert!(!alive(&mut lost), "round {round}: nobody is there");
        assert!(served.iter_mut().all(|(connection, _)| alive(connection)), "round {round}");
        served.push(connect(&listener));
    }
}

/// Another child has a copy of everything that the pool had open when it was forked.
fn other_child() {
    let mut pool = start(PreforkOptions::new(2), idle).expect("start");
    let (mut other, hold) = crate::forks::ends_when_told();
    let report = pool.drain(soon()).expect("drain");
    assert_eq!((report.running(), report.killed), (0, 0));
    assert_eq!(other.try_wait().expect_err("it runs").kind(), ErrorKind::WouldBlock);
    drop(hold);
    assert!(other.wait().expect("wait").success());
}

/// What workers have accepted when the pool is told to end, they finish.
fn drains_connections() {
    let listener = listener();
    let mut pool = start(PreforkOptions::new(3), |worker| echo(&listener, worker)).expect("start");
    let mut served: Vec<_> = (0..3).map(|_| connect(&listener)).collect();
    let parent = Pid::this();
    let mut client = fork(|| {
        Process::parent(parent).and_then(|it| it.terminate()).expect("tell");
        // Again and again, while the pool drains.
        let all = (0..1000).all(|_| served.iter_mut().all(|(connection, _)| alive(connection)));
        u8::from(!all)
    });
    drop(served);
    let report = pool.run(|_| {}).expect("run");
    assert!(client.wait().expect("wait").success(), "a connection was dropped");
    assert_eq!((report.running(), report.killed), (0, 0));
    assert!(
        report.workers.iter().all(|it| it.last_exit.is_some_and(|it| it.success())),
        "{report}"
    );
}
