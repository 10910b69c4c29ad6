//! Waits that end too early, too late or not at all.

use std::os::fd::AsFd;
use std::thread;
use std::time::Duration;

use ipc_core::{Error, ErrorKind, RecvMsg, Result, SendMsg, Wait};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::{Defect, End, duplicate};
use crate::support::seqpacket::Socket;

pub(super) struct IgnoresDeadline;

impl Defect for IgnoresDeadline {
    const NAME: &'static str = "ignores-the-deadline";

    fn recv(rx: &mut End<Self>, buf: &mut [u8], wait: Wait) -> Result<usize> {
        let wait = if matches!(wait, Wait::Until(_)) { Wait::Forever } else { wait };
        rx.inner.recv_with(buf, wait)
    }
    fn send(tx: &mut End<Self>, msg: &[u8], wait: Wait) -> Result<()> {
        let wait = if matches!(wait, Wait::Until(_)) { Wait::Forever } else { wait };
        tx.inner.send_with(msg, wait)
    }
}

pub(super) struct Blocks;

impl Defect for Blocks {
    const NAME: &'static str = "blocks-although-it-must-never";

    fn recv(rx: &mut End<Self>, buf: &mut [u8], _: Wait) -> Result<usize> {
        rx.inner.recv_with(buf, Wait::Forever)
    }
}

fn sixteenth(wait: Wait) -> Wait {
    match wait {
        Wait::Until(_) => Wait::timeout(wait.remaining().unwrap_or_default() / 16),
        other => other,
    }
}

pub(super) struct TooEarly;

impl Defect for TooEarly {
    const NAME: &'static str = "times-out-too-early";

    fn recv(rx: &mut End<Self>, buf: &mut [u8], wait: Wait) -> Result<usize> {
        rx.inner.recv_with(buf, sixteenth(wait))
    }
    fn send(tx: &mut End<Self>, msg: &[u8], wait: Wait) -> Result<()> {
        tx.inner.send_with(msg, sixteenth(wait))
    }
}

pub(super) struct WrongKind;

impl Defect for WrongKind {
    const NAME: &'static str = "says-timed-out-for-would-block";

    fn recv(rx: &mut End<Self>, buf: &mut [u8], wait: Wait) -> Result<usize> {
        rx.inner.recv_with(buf, wait).map_err(|error| match error.kind() {
            ErrorKind::WouldBlock => error.with_kind(ErrorKind::TimedOut),
            _ => error,
        })
    }
}

pub(super) struct LooksAtThePast;

impl Defect for LooksAtThePast {
    const NAME: &'static str = "looks-at-a-deadline-in-the-past-first";

    fn recv(rx: &mut End<Self>, buf: &mut [u8], wait: Wait) -> Result<usize> {
        if matches!(wait, Wait::Until(_)) && wait.remaining() == Some(Duration::ZERO) {
            return Err(Error::new(ErrorKind::TimedOut, "recv"));
        }
        rx.inner.recv_with(buf, wait)
    }
}

/// What a signal does to a wait.
fn poll_once(rx: &Socket, timeout: Option<Duration>) -> Result<bool, Errno> {
    let timeout = timeout.map(|timeout| Timespec::try_from(timeout).expect("it fits"));
    let fd = rx.0.as_fd();
    Ok(poll(&mut [PollFd::new(&fd, PollFlags::IN)], timeout.as_ref())? > 0)
}

pub(super) struct RestartsTimeout;

impl Defect for RestartsTimeout {
    const NAME: &'static str = "begins-the-timeout-anew-after-a-signal";

    fn recv(rx: &mut End<Self>, buf: &mut [u8], wait: Wait) -> Result<usize> {
        let timeout = wait.remaining();
        loop {
            match poll_once(&rx.inner, timeout) {
                Ok(true) => return rx.inner.recv_with(buf, wait),
                Ok(false) => return Err(Error::new(wait.exhausted(), "recv")),
                Err(_) => continue,
            }
        }
    }
}

pub(super) struct FailsBySignal;

impl Defect for FailsBySignal {
    const NAME: &'static str = "fails-when-a-signal-comes";

    fn recv(rx: &mut End<Self>, buf: &mut [u8], wait: Wait) -> Result<usize> {
        match poll_once(&rx.inner, wait.remaining()) {
            Err(errno) => Err(Error::from_os("poll", errno.raw_os_error())),
            Ok(_) => rx.inner.recv_with(buf, wait),
        }
    }
}

pub(super) struct TimesOutBySignal;

impl Defect for TimesOutBySignal {
    const NAME: &'static str = "times-out-when-a-signal-comes";

    fn recv(rx: &mut End<Self>, buf: &mut [u8], wait: Wait) -> Result<usize> {
        match poll_once(&rx.inner, wait.remaining()) {
            Err(_) => Err(Error::new(ErrorKind::TimedOut, "recv")),
            Ok(_) => rx.inner.recv_with(buf, wait),
        }
    }
}

pub(super) struct RefusesAndSends;

impl Defect for RefusesAndSends {
    const NAME: &'static str = "refuses-and-sends-nevertheless";

    fn send(tx: &mut End<Self>, msg: &[u8], wait: Wait) -> Result<()> {
        let result = tx.inner.send_with(msg, wait);
        if result.is_err() {
            let mut behind_your_back = Socket(duplicate(&tx.inner));
            let msg = msg.to_vec();
            thread::spawn(move || behind_your_back.send_with(&msg, Wait::Forever));
        }
        result
    }
}

pub(super) struct NeverWakes;

impl Defect for NeverWakes {
    const NAME: &'static str = "waits-for-the-wrong-event";

    fn send(tx: &mut End<Self>, msg: &[u8], wait: Wait) -> Result<()> {
        tx.inner.send_with(msg, Wait::Never).or_else(|error| match wait {
            Wait::Never => Err(error),
            _ => {
                poll_once(&tx.inner, None).expect("poll");
                tx.inner.send_with(msg, wait)
            }
        })
    }
}
