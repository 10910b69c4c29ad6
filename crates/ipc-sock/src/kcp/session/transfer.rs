//! What a user puts into a session and takes out of it.

use std::io::IoSlice;
use std::time::Instant;

use ipc_core::{Error, ErrorKind, Result};

use super::super::guard::{FRAGMENTS, LAST_SEQUENCE};
use super::{Peer, Session, corrupted};

impl Session {
    /// Refuses to send to a peer that has gone.
    pub(super) fn check_peer(&self, op: &'static str) -> Result<()> {
        match &self.peer {
            Peer::Open => Ok(()),
            Peer::Closed => Err(Error::new(ErrorKind::Disconnected, op)),
            Peer::Lost(error) => Err(error.clone()),
        }
    }

    fn check_sequence(&self, segments: usize, op: &'static str) -> Result<()> {
        let segments = u32::try_from(segments).unwrap_or(u32::MAX);
        if self.queued.saturating_add(segments) < LAST_SEQUENCE {
            return Ok(());
        }
        let kind = ErrorKind::ResourceLimit {
            limit: "sequence numbers of this conversation",
            knob: "a new connection, or a greater SocketOptions::mtu",
        };
        Err(Error::new(kind, op))
    }

    fn queue(&mut self, data: &[u8]) -> bool {
        let before = self.kcp.wait_snd();
        let taken = self.kcp.send(data).is_ok();
        let new = self.kcp.wait_snd().saturating_sub(before);
        self.queued = self.queued.saturating_add(u32::try_from(new).unwrap_or(u32::MAX));
        taken
    }

    /// Queues a message and sends what the window allows; `false` if there is no room for it.
    pub(in crate::kcp) fn send(&mut self, msg: &[u8], now: Instant) -> Result<bool> {
        let max = self.max_message();
        if msg.len() > max {
            return Err(Error::new(ErrorKind::MessageTooLarge { len: msg.len(), max }, "send"));
        }
        self.check_peer("send")?;
        let segments = msg.len().div_ceil(self.kcp.mss()).max(1);
        self.update(now);
        if self.room() < segments {
            return Ok(false);
        }
        self.check_sequence(segments, "send")?;
        let taken = self.queue(msg);
        self.used = now;
        self.flush(now);
        Ok(taken)
    }

    /// Queues what there is room for, sends what the window allows, and returns how many bytes it took.
    pub(in crate::kcp) fn write(&mut self, bufs: &[IoSlice<'_>], now: Instant) -> Result<usize> {
        self.check_peer("write")?;
        self.update(now);
        let mut written = 0;
        for buf in bufs {
            let mut rest = &buf[..];
            while !rest.is_empty() {
                let segments = self.room().min(FRAGMENTS / 2);
                if segments == 0 || (written > 0 && self.check_sequence(segments, "write").is_err())
                {
                    break;
                }
                self.check_sequence(segments, "write")?;
                let (piece, behind) = rest.split_at(rest.len().min(segments * self.kcp.mss()));
                if !self.queue(piece) {
                    break;
                }
                written += piece.len();
                rest = behind;
            }
        }
        if written > 0 {
            self.used = now;
            self.flush(now);
        }
        Ok(written)
    }

    /// Takes the next message, if there is one.
    pub(in crate::kcp) fn recv(&mut self, buf: &mut [u8], now: Instant) -> Result<Option<usize>> {
        match self.kcp.peeksize() {
            Ok(len) if len > self.tuning.max_message => {
                self.lose(corrupted());
                Err(corrupted())
            }
            Ok(len) if len > buf.len() => {
                let kind = ErrorKind::MessageTooLarge { len, max: buf.len() };
                Err(Error::new(kind, "recv"))
            }
            Ok(_) => {
                let len = self.kcp.recv(buf).map_err(|_| corrupted())?;
                self.took(len, now);
                Ok(Some(len))
            }
            Err(_) => match &self.peer {
                Peer::Open => Ok(None),
                Peer::Closed => Err(Error::new(ErrorKind::Disconnected, "recv")),
                Peer::Lost(error) => Err(error.clone()),
            },
        }
    }

    /// Takes what has come of a stream: `Some(0)` at its end.
    pub(in crate::kcp) fn read(&mut self, buf: &mut [u8], now: Instant) -> Result<Option<usize>> {
        let mut filled = self.read_part(buf);
        while filled < buf.len() {
            let Ok(len) = self.kcp.peeksize() else { break };
            let rest = &mut buf[filled..];
            if len <= rest.len() {
                filled += self.kcp.recv(rest).map_err(|_| corrupted())?;
            } else {
                self.part.resize(len, 0);
                self.kcp.recv(&mut self.part).map_err(|_| corrupted())?;
                self.part_read = 0;
                filled += self.read_part(&mut buf[filled..]);
            }
            self.took(len, now);
        }
        match &self.peer {
            _ if filled > 0 => Ok(Some(filled)),
            Peer::Open => Ok(None),
            Peer::Closed => Ok(Some(0)),
            Peer::Lost(error) => Err(error.clone()),
        }
    }

    /// Takes from what is left of a segment.
    fn read_part(&mut self, buf: &mut [u8]) -> usize {
        let rest = &self.part[self.part_read..];
        let n = rest.len().min(buf.len());
        buf[..n].copy_from_slice(&rest[..n]);
        self.part_read += n;
        n
    }

    /// So many bytes were taken: a sender that has little room left is told when there is a good deal.
    fn took(&mut self, len: usize, now: Instant) {
        let window = usize::from(self.tuning.recv_window);
        self.freed += len.div_ceil(self.kcp.mss()).max(1);
        let little = usize::from(self.out.lock().window) < window / 2;
        if little && self.freed >= window / 4 && self.peer == Peer::Open {
            self.announce(now);
        }
    }
}
