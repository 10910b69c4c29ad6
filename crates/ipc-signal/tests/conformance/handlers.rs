//! Safe handlers: what they do, with whom they share a signal, and what dropping them puts back.

use std::io::{Read, Write, pipe};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use ipc_core::ErrorKind;
use ipc_signal::{Disposition, Handler, Origin, Pid, RawOptions, Signal, Target, send};
use ipc_testkit::Harness;
use rustix::event::{EventfdFlags, eventfd};
use rustix::fs::OFlags;

pub(crate) fn cases(harness: Harness) -> Harness {
    harness
        .test("handlers/a_flag_a_counter_and_a_descriptor_see_each_delivery", reactions)
        .test("handlers/dropping_the_last_one_puts_the_default_back", default_comes_back)
        .test("handlers/a_handler_from_before_runs_first_and_comes_back", earlier_handler)
        .test("handlers/another_librarys_handler_is_left_in_place", other_library_later)
        .test("handlers/another_librarys_earlier_handler_stays", other_library_earlier)
        .test("handlers/what_was_ignored_is_ignored_again", ignored_comes_back)
        .test("handlers/a_handler_after_the_default_came_back_works", again)
        .test("handlers/a_detached_one_leaves_the_signal_without_effect", detached)
        .test("handlers/a_stranger_after_the_default_came_back_is_not_overruled", stranger)
        .test("handlers/bad_descriptors_are_refused", bad_descriptors)
        .test("handlers/a_full_pipe_does_not_stop_the_program", full_pipe)
}

pub(crate) fn raise(signal: Signal) {
    send(Target::Process(Pid::this()), signal).expect("send");
}

/// Whether the process has a handler for a signal, by the kernel's word.
pub(crate) fn caught(signal: Signal) -> bool {
    in_mask("SigCgt:", signal)
}

pub(crate) fn ignored(signal: Signal) -> bool {
    in_mask("SigIgn:", signal)
}

fn in_mask(name: &str, signal: Signal) -> bool {
    let text = std::fs::read_to_string("/proc/self/status").expect("/proc is mounted");
    let mask = text.lines().find_map(|line| line.strip_prefix(name)).expect("it is there");
    let mask = u64::from_str_radix(mask.trim(), 16).expect("a mask");
    mask & 1 << (signal.number() - 1) != 0
}

fn counter(signal: Signal) -> (Arc<AtomicU64>, Handler) {
    let count = Arc::new(AtomicU64::new(0));
    let handler = Handler::counter(signal, Arc::clone(&count)).expect("handler");
    (count, handler)
}

fn seen(count: &AtomicU64) -> u64 {
    count.load(Ordering::SeqCst)
}

fn reactions() {
    let flag = Arc::new(AtomicBool::new(false));
    let _flag = Handler::flag(Signal::USR2, Arc::clone(&flag)).expect("handler");
    let (count, _counter) = counter(Signal::USR2);
    let fd = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).expect("eventfd");
    let copy = fd.try_clone().expect("dup");
    let _descriptor = Handler::descriptor(Signal::USR2, copy).expect("handler");
    for n in 1..=5 {
        flag.store(false, Ordering::SeqCst);
        raise(Signal::USR2);
        assert!(flag.load(Ordering::SeqCst));
        assert_eq!(seen(&count), n);
    }
    let mut total = [0; 8];
    rustix::io::read(&fd, &mut total).expect("read");
    assert_eq!(u64::from_ne_bytes(total), 5);
}

fn default_comes_back() {
    let (first, one) = counter(Signal::USR2);
    let (second, two) = counter(Signal::USR2);
    raise(Signal::USR2);
    drop(one);
    assert!(caught(Signal::USR2), "one of two was dropped");
    raise(Signal::USR2);
    assert_eq!((seen(&first), seen(&second)), (1, 2));
    drop(two);
    assert!(!caught(Signal::USR2), "the default is not back");
    // Other signals of this crate do not stand in the way.
    let (_, other) = counter(Signal::URG);
    drop(counter(Signal::USR2));
    assert!(!caught(Signal::USR2), "the default is not back");
    drop(other);
    assert!(!caught(Signal::URG), "the default is not back");
}

static EARLIER: AtomicU64 = AtomicU64::new(0);

fn count_earlier(_: &Origin) {
    EARLIER.fetch_add(1, Ordering::SeqCst);
}

#[expect(unsafe_code, reason = "a handler from before is what a C library would have")]
fn earlier_handler() {
    // SAFETY: the function adds to an atomic and does nothing else.
    let guard = unsafe { Disposition::raw(Signal::USR2, RawOptions::new(), count_earlier) };
    let _guard = guard.expect("handler");
    let (count, handler) = counter(Signal::USR2);
    raise(Signal::USR2);
    assert_eq!((seen(&EARLIER), seen(&count)), (1, 1));
    drop(handler);
    raise(Signal::USR2);
    assert_eq!((seen(&EARLIER), seen(&count)), (2, 1));
}

fn other_library_later() {
    let (count, handler) = counter(Signal::USR2);
    let theirs = Arc::new(AtomicBool::new(false));
    let id = signal_hook::flag::register(Signal::USR2.number(), Arc::clone(&theirs));
    let id = id.expect("register");
    raise(Signal::USR2);
    assert!(theirs.swap(false, Ordering::SeqCst) && seen(&count) == 1, "both run");
    drop(handler);
    raise(Signal::USR2);
    assert!(theirs.swap(false, Ordering::SeqCst), "theirs was cut off");
    assert_eq!(seen(&count), 1, "ours still runs");
    // Nor is it later, by another of ours.
    drop(counter(Signal::USR2));
    raise(Signal::USR2);
    assert!(theirs.load(Ordering::SeqCst), "theirs was cut off");
    signal_hook::low_level::unregister(id);
}

fn other_library_earlier() {
    let theirs = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(Signal::USR2.number(), Arc::clone(&theirs)).expect("register");
    let (count, handler) = counter(Signal::USR2);
    raise(Signal::USR2);
    assert!(theirs.swap(false, Ordering::SeqCst) && seen(&count) == 1, "both run");
    drop(handler);
    raise(Signal::USR2);
    assert!(theirs.load(Ordering::SeqCst), "theirs was cut off");
}

fn ignored_comes_back() {
    let _guard = Disposition::ignore(Signal::USR2).expect("ignore");
    let (count, handler) = counter(Signal::USR2);
    raise(Signal::USR2);
    assert_eq!(seen(&count), 1);
    assert!(!ignored(Signal::USR2));
    drop(handler);
    assert!(ignored(Signal::USR2));
    raise(Signal::USR2);
}

fn again() {
    for _ in 0..3 {
        let (count, handler) = counter(Signal::USR2);
        raise(Signal::USR2);
        assert_eq!(seen(&count), 1);
        drop(handler);
        assert!(!caught(Signal::USR2));
    }
    // What was set in between is what comes back.
    let _guard = Disposition::ignore(Signal::USR2).expect("ignore");
    let (count, handler) = counter(Signal::USR2);
    raise(Signal::USR2);
    assert_eq!(seen(&count), 1);
    drop(handler);
    assert!(ignored(Signal::USR2));
}

fn detached() {
    let (count, handler) = counter(Signal::USR2);
    handler.detach();
    assert!(caught(Signal::USR2), "the registry's handler is gone");
    raise(Signal::USR2);
    assert_eq!(seen(&count), 0);
    // Who registers later is served, which is what it is for.
    let theirs = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(Signal::USR2.number(), Arc::clone(&theirs)).expect("register");
    raise(Signal::USR2);
    assert!(theirs.load(Ordering::SeqCst));
}

#[expect(unsafe_code, reason = "a handler that is not in the registry")]
fn stranger() {
    drop(counter(Signal::USR2));
    // SAFETY: the function adds to an atomic and does nothing else.
    let guard = unsafe { Disposition::raw(Signal::USR2, RawOptions::new(), count_earlier) };
    let _guard = guard.expect("handler");
    let error = Handler::flag(Signal::USR2, Default::default()).expect_err("it would not run");
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    raise(Signal::USR2);
    assert_eq!(seen(&EARLIER), 1);
}

fn nonblocking(fd: &OwnedFd) {
    rustix::fs::fcntl_setfl(fd, OFlags::NONBLOCK).expect("fcntl");
}

fn bad_descriptors() {
    let refused =
        |fd: OwnedFd| Handler::descriptor(Signal::USR2, fd).map(drop).expect_err("refused").kind();
    let file = std::fs::File::open("/dev/null").expect("open");
    assert!(matches!(refused(file.into()), ErrorKind::WrongType { .. }));
    let (rx, tx) = pipe().expect("pipe");
    let (rx, tx) = (OwnedFd::from(rx), OwnedFd::from(tx));
    assert_eq!(refused(tx), ErrorKind::InvalidInput, "it could block");
    nonblocking(&rx);
    assert_eq!(refused(rx), ErrorKind::InvalidInput, "it cannot be written to");
    assert!(!caught(Signal::USR2));
}

fn full_pipe() {
    let (mut rx, tx) = pipe().expect("pipe");
    let tx = OwnedFd::from(tx);
    nonblocking(&tx);
    let mut filler = std::fs::File::from(tx.try_clone().expect("dup"));
    while filler.write(&[0; 4096]).is_ok() {}
    let _handler = Handler::descriptor(Signal::USR2, tx).expect("handler");
    raise(Signal::USR2);
    // It came here. With room, a byte is written.
    let mut buf = vec![0; 1 << 20];
    let len = rx.read(&mut buf).expect("read");
    assert_eq!(&buf[..len], &vec![0; len]);
    raise(Signal::USR2);
    let mut byte = [0];
    rx.read_exact(&mut byte).expect("read");
    assert_eq!(byte, [1_u64.to_ne_bytes()[0]]);
}
