//! Pipes by bare system calls.

use std::os::fd::OwnedFd;

use anyhow::Result;
use ipc_bench_schema::WaitMode;
use ipc_pipe::DuplexPipe;

use super::ends::{Ends, recv_all, send_all};
use crate::sys::Raw;

/// A connection made of two pipes. `NOWAIT` says whether the kernel reads and writes them with
/// `RWF_NOWAIT`; else each is opened once more with `O_NONBLOCK`, as our crate does.
pub(crate) struct BarePipes<const NOWAIT: bool> {
    rx: Raw,
    tx: Raw,
}

impl<const NOWAIT: bool> Ends for BarePipes<NOWAIT> {
    type Of = DuplexPipe;

    fn new(pipe: DuplexPipe) -> Result<Self> {
        let (rx, tx) = pipe.split();
        let (rx, tx) = (OwnedFd::from(rx), OwnedFd::from(tx));
        Ok(Self { rx: Raw::reader(rx, NOWAIT)?, tx: Raw::writer(tx, NOWAIT)? })
    }

    #[inline]
    fn send(&mut self, msg: &[u8], wait: WaitMode) -> Result<()> {
        send_all(msg, |rest| Ok(self.tx.write(rest, wait)?))
    }

    #[inline]
    fn recv(&mut self, buf: &mut [u8], wait: WaitMode) -> Result<usize> {
        recv_all(buf, |rest| Ok(self.rx.read(rest, wait)?))
    }
}
