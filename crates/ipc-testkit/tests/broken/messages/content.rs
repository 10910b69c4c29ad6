//! Messages that are not what was sent.

use ipc_core::{Caps, Error, ErrorKind, RecvMsg, Result, SendMsg, Wait};
use rustix::net::{RecvFlags, recv};

use super::{Defect, End};
use crate::support::seqpacket;

pub(super) struct Reorders;

impl Defect for Reorders {
    const NAME: &'static str = "reorders";

    fn send(tx: &mut End<Self>, msg: &[u8], wait: Wait) -> Result<()> {
        if tx.count == 5000 {
            tx.held = Some(msg.to_vec());
            return Ok(());
        }
        tx.inner.send_with(msg, wait)?;
        match tx.held.take() {
            Some(held) => tx.inner.send_with(&held, wait),
            None => Ok(()),
        }
    }
}

pub(super) struct Drops;

impl Defect for Drops {
    const NAME: &'static str = "drops-every-1000th";

    fn send(tx: &mut End<Self>, msg: &[u8], wait: Wait) -> Result<()> {
        if tx.count.is_multiple_of(1000) { Ok(()) } else { tx.inner.send_with(msg, wait) }
    }
}

pub(super) struct Duplicates;

impl Defect for Duplicates {
    const NAME: &'static str = "duplicates";

    fn send(tx: &mut End<Self>, msg: &[u8], wait: Wait) -> Result<()> {
        if tx.count == 7000 {
            tx.inner.send_with(msg, wait)?;
        }
        tx.inner.send_with(msg, wait)
    }
}

pub(super) struct Truncates;

impl Defect for Truncates {
    const NAME: &'static str = "truncates";

    fn send(tx: &mut End<Self>, msg: &[u8], wait: Wait) -> Result<()> {
        tx.inner.send_with(&msg[..msg.len().min(4096)], wait)
    }
}

pub(super) struct Merges;

impl Defect for Merges {
    const NAME: &'static str = "merges";

    fn send(tx: &mut End<Self>, msg: &[u8], wait: Wait) -> Result<()> {
        if tx.count % 100 == 2 {
            tx.held = Some(msg.to_vec());
            return Ok(());
        }
        match tx.held.take() {
            Some(held) => tx.inner.send_with(&[&held, msg].concat(), wait),
            None => tx.inner.send_with(msg, wait),
        }
    }
}

pub(super) struct Corrupts;

impl Defect for Corrupts {
    const NAME: &'static str = "corrupts";

    fn send(tx: &mut End<Self>, msg: &[u8], wait: Wait) -> Result<()> {
        let mut msg = msg.to_vec();
        if let Some(byte) = msg.get_mut(100).filter(|_| tx.count > 1000) {
            *byte ^= 1;
        }
        tx.inner.send_with(&msg, wait)
    }
}

pub(super) struct SplitsOff;

impl Defect for SplitsOff {
    const NAME: &'static str = "loses-the-last-byte-of-the-longest";

    fn send(tx: &mut End<Self>, msg: &[u8], wait: Wait) -> Result<()> {
        tx.inner.send_with(&msg[..msg.len().min(seqpacket::MAX - 1)], wait)
    }
}

pub(super) struct SwallowsTooLong;

impl Defect for SwallowsTooLong {
    const NAME: &'static str = "truncates-what-is-too-long";

    fn send(tx: &mut End<Self>, msg: &[u8], wait: Wait) -> Result<()> {
        tx.inner.send_with(&msg[..msg.len().min(seqpacket::MAX)], wait)
    }
}

pub(super) struct SendsTooLong;

impl Defect for SendsTooLong {
    const NAME: &'static str = "refuses-and-sends-what-is-too-long";

    fn send(tx: &mut End<Self>, msg: &[u8], wait: Wait) -> Result<()> {
        let sent = tx.inner.send_with(&msg[..msg.len().min(seqpacket::MAX)], wait);
        if msg.len() > seqpacket::MAX { tx.inner.send_with(msg, wait) } else { sent }
    }
}

pub(super) struct AcceptsEmpty;

impl Defect for AcceptsEmpty {
    const NAME: &'static str = "accepts-empty-messages";

    fn send(tx: &mut End<Self>, msg: &[u8], wait: Wait) -> Result<()> {
        if msg.is_empty() { Ok(()) } else { tx.inner.send_with(msg, wait) }
    }
}

pub(super) struct SwallowsEmpty;

impl Defect for SwallowsEmpty {
    const NAME: &'static str = "swallows-empty-messages";

    const CAPS: Caps = seqpacket::CAPS.empty_messages();
    fn send(tx: &mut End<Self>, msg: &[u8], wait: Wait) -> Result<()> {
        if msg.is_empty() { Ok(()) } else { tx.inner.send_with(msg, wait) }
    }
}

pub(super) struct LosesTooLarge;

impl Defect for LosesTooLarge {
    const NAME: &'static str = "loses-what-does-not-fit-the-buffer";

    fn recv(rx: &mut End<Self>, buf: &mut [u8], wait: Wait) -> Result<usize> {
        let result = rx.inner.recv_with(buf, wait);
        if let Err(ErrorKind::MessageTooLarge { .. }) = result.as_ref().map_err(Error::kind) {
            rx.inner.recv_with(&mut vec![0; seqpacket::MAX], Wait::Forever)?;
        }
        result
    }
}

pub(super) struct WrongLength;

impl Defect for WrongLength {
    const NAME: &'static str = "reports-the-length-of-the-buffer";

    fn recv(rx: &mut End<Self>, buf: &mut [u8], wait: Wait) -> Result<usize> {
        rx.inner.recv_with(buf, wait).map_err(|error| match error.kind() {
            ErrorKind::MessageTooLarge { max, .. } => {
                Error::new(ErrorKind::MessageTooLarge { len: max + 1, max }, "recv")
            }
            _ => error,
        })
    }
}

pub(super) struct Spills;

impl Defect for Spills {
    const NAME: &'static str = "writes-behind-the-message";

    fn recv(rx: &mut End<Self>, buf: &mut [u8], wait: Wait) -> Result<usize> {
        // Two messages in one receive, and the length of both.
        let len = rx.inner.recv_with(buf, wait)?;
        match recv(&rx.inner.0, &mut buf[len..], RecvFlags::DONTWAIT) {
            Ok((more, _)) => Ok(len + more),
            Err(_) => Ok(len),
        }
    }
}
