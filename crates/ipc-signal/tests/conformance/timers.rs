//! `alarm`, interval timers, POSIX timers, and SIGIO.

use std::fs::File;
use std::io::{Read, Write, pipe};
use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, Instant};

use ipc_core::{ErrorKind, Wait};
use ipc_signal::{
    Clock, Code, IntervalTimer, Pid, SigIo, Signal, SignalSet, TimerOptions, Value, alarm, blocked,
    pending,
};
use ipc_testkit::Harness;
use rustix::fs::OFlags;
use rustix::thread::gettid;

pub(crate) fn cases(harness: Harness) -> Harness {
    harness
        .test("timers/an_alarm_goes_off_once", alarm_once)
        .test("timers/an_alarm_can_be_taken_back", alarm_cancelled)
        .test("timers/an_interval_timer_goes_on_until_it_is_dropped", interval)
        .test("timers/there_is_one_interval_timer_in_a_process", one_interval)
        .test("timers/expiries_that_are_not_taken_are_counted", overrun)
        .test("timers/each_timer_has_its_signal_its_value_and_its_clock", many)
        .test("timers/a_timer_for_a_thread_signals_that_thread", to_a_thread)
        .test("timers/a_dropped_timer_expires_no_more", dropped)
        .test("timers/bad_times_and_threads_are_refused", bad)
        .test("sigio/every_change_is_queued_with_its_descriptor", sigio_queued)
        .test("sigio/what_never_tells_is_refused_and_nothing_is_left_set", sigio_refused)
        .test("sigio/dropping_it_puts_the_descriptor_back", sigio_put_back)
}

const TICK: Duration = Duration::from_millis(2);

fn alarm_once() {
    let set = SignalSet::from(Signal::ALRM);
    let _guard = set.block().expect("block");
    let began = Instant::now();
    assert_eq!(alarm(1), 0);
    let origin = set.wait(Wait::Forever).expect("wait");
    assert_eq!((origin.code(), origin.pid()), (Code::Kernel, None));
    assert!(origin.is_vouched_for());
    assert!(began.elapsed() >= Duration::from_secs(1), "too early");
    assert_eq!(alarm(0), 0, "it goes off once");
}

fn alarm_cancelled() {
    assert_eq!(alarm(1000), 0);
    let left = alarm(2000);
    assert!((900..=1000).contains(&left), "{left}");
    assert!(alarm(0) > 1900);
    assert_eq!(alarm(0), 0);
}

fn interval() {
    let set = SignalSet::from(Signal::ALRM);
    let _guard = set.block().expect("block");
    let timer = IntervalTimer::start(TICK, TICK).expect("start");
    let began = Instant::now();
    for _ in 0..5 {
        set.wait(Wait::Forever).expect("wait");
    }
    assert!(began.elapsed() >= 3 * TICK, "too early");
    drop(timer);
    let _ = set.wait(Wait::Never);
    let error = set.wait_timeout(10 * TICK).expect_err("it was dropped");
    assert_eq!(error.kind(), ErrorKind::TimedOut);
}

fn one_interval() {
    let day = Duration::from_secs(86_400);
    let timer = IntervalTimer::start(day, day).expect("start");
    let error = IntervalTimer::start(day, day).expect_err("there is one");
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    assert!(alarm(0) > 80_000, "the first one goes on");
    drop(timer);
    alarm(1000);
    let error = IntervalTimer::start(day, day).expect_err("the alarm is the same timer");
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    assert!(alarm(0) > 900, "the alarm goes on");
    let error = IntervalTimer::start(Duration::ZERO, day).expect_err("that stops it");
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    let error = IntervalTimer::start(Duration::MAX, day).expect_err("too long");
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

fn overrun() {
    for signal in [Signal::USR2, Signal::realtime(3).expect("a signal")] {
        let set = SignalSet::from(signal);
        let _guard = set.block().expect("block");
        let timer = TimerOptions::new(signal).create().expect("create");
        let began = Instant::now();
        timer.arm_every(TICK, TICK).expect("arm");
        while began.elapsed() < 20 * TICK {
            std::thread::sleep(TICK);
        }
        let origin = set.wait(Wait::Forever).expect("wait");
        let missed = origin.overrun().expect("it is a timer's");
        assert!(missed >= 18, "{signal}: one signal and {missed} more in twenty times");
        assert_eq!(timer.overrun().expect("ask"), missed);
    }
}

fn many() {
    let clocks = [Clock::Monotonic, Clock::BootTime, Clock::RealTime, Clock::ProcessCpuTime];
    let signal = |n| Signal::realtime(n).expect("a signal");
    let set: SignalSet = (0..4).map(signal).collect();
    let _guard = set.block().expect("block");
    let mut timers = Vec::new();
    for (n, clock) in clocks.into_iter().enumerate() {
        let options = TimerOptions::new(signal(n as u32)).value(Value::from(n << 40 | 7));
        timers.push(options.clock(clock).create().expect("create"));
        timers[n].arm_once(TICK).expect("arm");
    }
    let mut seen = SignalSet::EMPTY;
    while seen != set {
        // The CPU's clock goes on only while we use it.
        let Ok(origin) = set.wait(Wait::Never) else { continue };
        assert!(!seen.contains(origin.signal()), "it was to expire once");
        seen.extend([origin.signal()]);
        let n = (origin.signal().number() - Signal::realtime_min().number()) as usize;
        assert_eq!(origin.value().map(Value::as_usize), Some(n << 40 | 7));
        assert_eq!((origin.code(), origin.pid()), (Code::Timer, None));
    }
}

fn to_a_thread() {
    let set = SignalSet::from(Signal::USR2);
    let _guard = set.block().expect("block");
    let here = Pid::new(gettid().as_raw_nonzero().get()).expect("a tid");
    let timer = TimerOptions::new(Signal::USR2).thread(here).create().expect("create");
    timer.arm_once(TICK).expect("arm");
    while !pending().expect("pending").contains(Signal::USR2) {
        std::thread::yield_now();
    }
    let there = std::thread::spawn(move || set.wait(Wait::Never).map(|it| it.signal()));
    there.join().expect("no panic").expect_err("it is for another thread");
    set.wait(Wait::Never).expect("it is for this one");
}

fn dropped() {
    let set = SignalSet::from(Signal::USR2);
    let _guard = set.block().expect("block");
    let timer = TimerOptions::new(Signal::USR2).create().expect("create");
    timer.arm_every(TICK, TICK).expect("arm");
    set.wait(Wait::Forever).expect("wait");
    drop(timer);
    let _ = set.wait(Wait::Never);
    assert_eq!(set.wait_timeout(10 * TICK).expect_err("gone").kind(), ErrorKind::TimedOut);
}

fn bad() {
    let timer = TimerOptions::new(Signal::USR2).create().expect("create");
    for result in [
        timer.arm_once(Duration::ZERO),
        timer.arm_every(Duration::ZERO, TICK),
        timer.arm_every(TICK, Duration::ZERO),
        timer.arm_once(Duration::MAX),
    ] {
        assert_eq!(result.expect_err("no time").kind(), ErrorKind::InvalidInput);
    }
    let parent = Pid::parent().expect("it has one");
    let error = TimerOptions::new(Signal::USR2).thread(parent).create().expect_err("not ours");
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

fn sigio_queued() {
    let signal = Signal::realtime(7).expect("a signal");
    let set = SignalSet::from([signal, Signal::IO]);
    let _guard = set.block().expect("block");
    let ((mut rx, mut tx), (other_rx, mut other_tx)) =
        (pipe().expect("pipe"), pipe().expect("pipe"));
    let one = rx.try_clone().expect("dup");
    let watch = SigIo::watch(one.as_fd(), signal).expect("watch");
    let _other = SigIo::watch(other_rx.as_fd(), signal).expect("watch");
    let taken = SigIo::watch(one.as_fd(), signal).expect_err("it is watched already");
    assert_eq!(taken.kind(), ErrorKind::AlreadyExists);
    for (tx, fd) in [(&mut tx, one.as_raw_fd()), (&mut other_tx, other_rx.as_raw_fd())] {
        tx.write_all(b"x").expect("write");
        let origin = set.wait(Wait::Forever).expect("wait");
        let event = origin.io().expect("it is about a descriptor");
        assert_eq!((origin.signal(), event.fd), (signal, fd));
        assert_eq!(event.events & 1, 1, "POLLIN is not in {:#x}", event.events);
    }
    rx.read_exact(&mut [0]).expect("read");
    drop(watch);
    while set.wait(Wait::Never).is_ok() {}
    tx.write_all(b"y").expect("write");
    assert!(set.wait(Wait::Never).is_err(), "it is watched no more");
}

fn sigio_refused() {
    let file = File::open("/proc/self/exe").expect("open");
    let error = SigIo::watch(file.as_fd(), Signal::IO).expect_err("a file is always ready");
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    let (rx, _tx) = pipe().expect("pipe");
    let error = SigIo::watch(rx.as_fd(), Signal::KILL).expect_err("it would end us");
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(blocked().expect("ask").is_empty());
}

fn sigio_put_back() {
    let (rx, _tx) = pipe().expect("pipe");
    let asynchronous = OFlags::from_bits_retain(0o20000);
    let flags = || rustix::fs::fcntl_getfl(&rx).expect("fcntl");
    let before = flags();
    let watch = SigIo::watch(rx.as_fd(), Signal::realtime_min()).expect("watch");
    assert_eq!(flags(), before | asynchronous);
    drop(watch);
    assert_eq!(flags(), before);
}
