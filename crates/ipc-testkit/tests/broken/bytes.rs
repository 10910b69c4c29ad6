//! Broken byte streams: each is the reference with one defect.

use std::io::IoSlice;
use std::marker::PhantomData;
use std::os::fd::OwnedFd;
use std::process::Command;

use ipc_core::{Caps, Error, ErrorKind, Handoff, Mechanism, ReadBytes, Result, Wait, WriteBytes};
use ipc_testkit::{Across, Bytes, Harness};
use rustix::io::fcntl_dupfd_cloexec;
use rustix::net::{SendFlags, send};

use crate::support::stream::{self, Stream};

/// What is wrong with a stream; whatever it does not override is right.
trait Defect: Send + 'static {
    const NAME: &'static str;

    fn write(tx: &mut End<Self>, buf: &[u8], wait: Wait) -> Result<usize> {
        tx.inner.write_with(buf, wait)
    }
    fn read(rx: &mut End<Self>, buf: &mut [u8], wait: Wait) -> Result<usize> {
        rx.inner.read_with(buf, wait)
    }
    fn kept_by_reader(_: &Stream) -> Option<OwnedFd> {
        None
    }
}

struct End<D: ?Sized> {
    inner: Stream,
    /// How many bytes have passed.
    at: usize,
    #[expect(dead_code, reason = "it is only kept open")]
    kept: Option<OwnedFd>,
    defect: PhantomData<D>,
}

impl<D: ?Sized> std::fmt::Debug for End<D> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.inner.fmt(f)
    }
}

fn end<D>(inner: Stream) -> End<D> {
    End { inner, at: 0, kept: None, defect: PhantomData }
}

impl<D: Defect> WriteBytes for End<D> {
    fn write_vectored_with(&mut self, bufs: &[IoSlice<'_>], wait: Wait) -> Result<usize> {
        let all = bufs.iter().flat_map(|buf| buf.iter().copied()).collect::<Vec<_>>();
        let n = D::write(self, &all, wait)?;
        self.at += n;
        Ok(n)
    }
}

impl<D: Defect> ReadBytes for End<D> {
    fn read_with(&mut self, buf: &mut [u8], wait: Wait) -> Result<usize> {
        D::read(self, buf, wait)
    }
}

struct Broken<D>(PhantomData<D>);

impl<D: Defect> Bytes for Broken<D> {
    const NAME: &'static str = D::NAME;
    const CAPS: Caps = Stream::CAPS;
    type Tx = End<D>;
    type Rx = End<D>;
    type Across = Self;

    fn pair() -> Result<(End<D>, End<D>)> {
        let (tx, rx) = stream::pair()?;
        let kept = D::kept_by_reader(&tx);
        Ok((end(tx), End { kept, ..end(rx) }))
    }
}

impl<D: Defect> Across<End<D>> for Broken<D> {
    fn give(end: End<D>, command: &mut Command, key: &str) -> Result<()> {
        Ok(end.inner.give(command, key)?)
    }
    fn adopt(key: &str) -> Result<End<D>> {
        Ok(end(Stream::adopt(key)?))
    }
}

struct Drops;

impl Defect for Drops {
    const NAME: &'static str = "drops-bytes";

    fn write(tx: &mut End<Self>, buf: &[u8], wait: Wait) -> Result<usize> {
        // The last three bytes of a large write.
        if tx.at > 1 << 20 && buf.len() > 10_000 {
            tx.inner.write_all_with(&buf[..buf.len() - 3], wait)?;
            return Ok(buf.len());
        }
        tx.inner.write_with(buf, wait)
    }
}

struct Repeats;

impl Defect for Repeats {
    const NAME: &'static str = "repeats-bytes";

    fn write(tx: &mut End<Self>, buf: &[u8], wait: Wait) -> Result<usize> {
        // A short count is right, and not what happened.
        if tx.at > 1 << 20 && buf.len() > 100 {
            tx.inner.write_all_with(buf, wait)?;
            return Ok(buf.len() - 50);
        }
        tx.inner.write_with(buf, wait)
    }
}

struct DiesBySigpipe;

impl Defect for DiesBySigpipe {
    const NAME: &'static str = "dies-by-sigpipe";

    fn write(tx: &mut End<Self>, buf: &[u8], wait: Wait) -> Result<usize> {
        // Asks the kernel for the signal.
        match send(&tx.inner.0, buf, SendFlags::DONTWAIT) {
            Ok(n) => Ok(n),
            Err(_) => tx.inner.write_with(buf, wait),
        }
    }
}

struct EndsWhenEmpty;

impl Defect for EndsWhenEmpty {
    const NAME: &'static str = "ends-when-it-is-empty";

    fn read(rx: &mut End<Self>, buf: &mut [u8], wait: Wait) -> Result<usize> {
        rx.inner.read_with(buf, wait).or_else(|error| match error.kind() {
            ErrorKind::WouldBlock => Ok(0),
            _ => Err(error),
        })
    }
}

struct WaitsForAll;

impl Defect for WaitsForAll {
    const NAME: &'static str = "waits-for-a-full-buffer";

    fn read(rx: &mut End<Self>, buf: &mut [u8], wait: Wait) -> Result<usize> {
        let mut n = 0;
        while n < buf.len() {
            match rx.inner.read_with(&mut buf[n..], wait)? {
                0 => break,
                more => n += more,
            }
        }
        Ok(n)
    }
}

struct ForgetsTheCount;

impl Defect for ForgetsTheCount {
    const NAME: &'static str = "forgets-what-is-out-when-it-fails";

    fn write(tx: &mut End<Self>, buf: &[u8], wait: Wait) -> Result<usize> {
        tx.inner.write_all_with(buf, wait)?;
        Ok(buf.len())
    }
}

struct SaysDisconnected;

impl Defect for SaysDisconnected {
    const NAME: &'static str = "makes-the-end-an-error";

    fn read(rx: &mut End<Self>, buf: &mut [u8], wait: Wait) -> Result<usize> {
        match rx.inner.read_with(buf, wait)? {
            0 => Err(Error::new(ErrorKind::Disconnected, "read")),
            n => Ok(n),
        }
    }
}

struct HangsWhenKilled;

impl Defect for HangsWhenKilled {
    const NAME: &'static str = "hangs-when-its-peer-is-killed";

    fn kept_by_reader(tx: &Stream) -> Option<OwnedFd> {
        Some(fcntl_dupfd_cloexec(&tx.0, 0).expect("there are descriptors"))
    }
}

/// Which case of the suite catches which defect, and what it says.
pub(crate) fn add(harness: Harness) -> Harness {
    let order = "eight_megabytes_arrive_in_order";
    let dropped = "write_after_reader_drop_is_disconnected";
    let ended = "read_after_writer_drop_drains_and_then_returns_zero";
    let killed = "blocked_read_returns_zero_when_the_writer_is_killed";
    let part = "a_write_that_is_out_in_part_returns_the_count_and_not_an_error";
    let short = "read_returns_what_is_there_without_waiting_for_more";
    let never = "try_read_on_empty_would_block";
    Table(harness)
        .catch::<Drops>(order, "3 bytes were lost, or came late, at byte")
        .catch::<Repeats>(order, "bytes were duplicated")
        .catch::<DiesBySigpipe>(dropped, "was killed by SIGPIPE (13)")
        .catch::<EndsWhenEmpty>(never, "must be WouldBlock, and it returned 0")
        .hang::<WaitsForAll>(short, "read waits for all of them")
        .catch::<ForgetsTheCount>(part, "bytes more came than the")
        .catch::<SaysDisconnected>(ended, "the other end is gone")
        .hang::<HangsWhenKilled>(killed, "a blocked read does not notice")
        .0
}

struct Table(Harness);

impl Table {
    fn catch<D: Defect>(self, case: &str, says: &'static str) -> Self {
        let case = format!("bytes/{}/{case}", D::NAME);
        Self(self.0.catches(Harness::bytes::<Broken<D>>, &case, says))
    }

    fn hang<D: Defect>(self, case: &str, says: &'static str) -> Self {
        let case = format!("bytes/{}/{case}", D::NAME);
        Self(self.0.catches_hang(Harness::bytes::<Broken<D>>, &case, says))
    }
}
