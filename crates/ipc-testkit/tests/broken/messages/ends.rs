//! Ends that are not given back, that the wrong process gets, or that do not notice each other's
//! death.

use std::fs;
use std::os::fd::{AsFd, IntoRawFd, OwnedFd};
use std::process::Command;

use ipc_core::{Error, ErrorKind, Handoff, RecvMsg, Result, Wait};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{FdFlags, fcntl_setfd};

use super::{Defect, End, duplicate};
use crate::support::seqpacket::{self, Socket};

pub(super) struct ForgetsTheRest;

impl Defect for ForgetsTheRest {
    const NAME: &'static str = "forgets-what-was-sent-when-the-sender-goes";

    fn recv(rx: &mut End<Self>, buf: &mut [u8], wait: Wait) -> Result<usize> {
        let fd = rx.inner.0.as_fd();
        let mut fds = [PollFd::new(&fd, PollFlags::RDHUP)];
        poll(&mut fds, Some(&Timespec::default())).expect("poll");
        if fds[0].revents().intersects(PollFlags::HUP | PollFlags::RDHUP) {
            return Err(Error::new(ErrorKind::Disconnected, "recv"));
        }
        rx.inner.recv_with(buf, wait)
    }
}

pub(super) struct HangsWhenKilled;

impl Defect for HangsWhenKilled {
    const NAME: &'static str = "hangs-when-its-peer-is-killed";

    /// The receiver has a sender of its own, so that the kernel sees no end.
    fn kept_by_receiver(tx: &Socket) -> Option<OwnedFd> {
        Some(duplicate(tx))
    }
}

pub(super) struct SaysTimedOutWhenGone;

impl Defect for SaysTimedOutWhenGone {
    const NAME: &'static str = "says-timed-out-when-its-peer-is-gone";

    fn recv(rx: &mut End<Self>, buf: &mut [u8], wait: Wait) -> Result<usize> {
        rx.inner.recv_with(buf, wait).map_err(|error| match error.kind() {
            ErrorKind::Disconnected => error.with_kind(ErrorKind::TimedOut),
            _ => error,
        })
    }
}

pub(super) struct Leaks;

impl Defect for Leaks {
    const NAME: &'static str = "leaks-a-descriptor";

    fn pair() -> Result<(Socket, Socket)> {
        let (tx, rx) = seqpacket::pair()?;
        leak(duplicate(&rx));
        Ok((tx, rx))
    }
}

fn leak(fd: OwnedFd) {
    let _ = fd.into_raw_fd();
}

fn make_inheritable(socket: &Socket) {
    fcntl_setfd(&socket.0, FdFlags::empty()).expect("fcntl");
}

pub(super) struct ForgetsCloexec;

impl Defect for ForgetsCloexec {
    const NAME: &'static str = "forgets-close-on-exec";

    fn pair() -> Result<(Socket, Socket)> {
        let (tx, rx) = seqpacket::pair()?;
        make_inheritable(&rx);
        Ok((tx, rx))
    }
}

pub(super) struct GivesToAll;

impl Defect for GivesToAll {
    const NAME: &'static str = "gives-the-end-to-every-child";

    fn give(end: End<Self>, command: &mut Command, key: &str) -> Result<()> {
        make_inheritable(&end.inner);
        Ok(end.inner.give(command, key)?)
    }
}

pub(super) struct AdoptsInheritable;

impl Defect for AdoptsInheritable {
    const NAME: &'static str = "adopts-without-close-on-exec";

    fn adopted(socket: &Socket) {
        make_inheritable(socket);
    }
}

pub(super) struct LeavesFile;

impl Defect for LeavesFile {
    const NAME: &'static str = "leaves-a-file-behind";

    fn pair() -> Result<(Socket, Socket)> {
        fs::write(ipc_testkit::dir().join(ipc_testkit::unique_name()), "").expect("write");
        seqpacket::pair()
    }
}

pub(super) struct MisnamesLimit;

impl Defect for MisnamesLimit {
    const NAME: &'static str = "does-not-name-the-limit";

    fn pair() -> Result<(Socket, Socket)> {
        seqpacket::pair().map_err(|error| error.with_kind(ErrorKind::Other))
    }
}

pub(super) struct LeaksInFailure;

impl Defect for LeaksInFailure {
    const NAME: &'static str = "leaks-when-it-fails";

    fn pair() -> Result<(Socket, Socket)> {
        let (tx, rx) = seqpacket::pair()?;
        match seqpacket::pair() {
            Ok(_) => Ok((tx, rx)),
            Err(error) => {
                leak(tx.0);
                Err(error)
            }
        }
    }
}
