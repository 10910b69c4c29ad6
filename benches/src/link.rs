//! A connection between the two processes of a cell, in one variant.

use std::os::fd::BorrowedFd;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;
use ipc_bench_schema::{Payload, WaitMode};
use ipc_core::{ErrorKind, Handoff, Wait};

use crate::patience::Patience;

/// Where a link finds what it needs to come into being.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Different for each link of a run: the key of a handoff, a part of a name.
    pub key: String,
    /// A private directory for names in the file system.
    pub dir: PathBuf,
    /// The length of the messages in bytes.
    pub size: usize,
    /// What is done with them. With [`Payload::Handoff`], `send` and `recv` get the bytes that are
    /// [touched](Payload::touched): the beginning of the message.
    pub payload: Payload,
    /// The CPU of the initiator and that of the responder, where they are pinned.
    pub cpus: Option<[usize; 2]>,
}

/// A connection between the initiator and the responder, both ways.
///
/// Setting it up is not measured; [`send`](Self::send) and [`recv`](Self::recv) are, and must do
/// nothing that a user of the mechanism would not do for each message.
///
/// A mechanism of notifications implements this too: its cells have size 0, so that `send` notifies,
/// `recv` waits for one notification and returns 0, and [`quiet`](Self::quiet) is its own to write.
/// What there is to check of a notification, its count or its value, `recv` checks itself.
pub trait Link: Sized {
    /// What the initiator holds between making the mechanism and meeting the responder.
    type Offer;

    /// In the initiator, before the responder starts: makes the mechanism, and gives the responder's
    /// side to its `command` where it has no name.
    ///
    /// # Errors
    ///
    /// Whatever the mechanism says.
    fn offer(setup: &Setup, command: &mut Command) -> Result<Self::Offer>;

    /// In the initiator, once the responder runs.
    ///
    /// # Errors
    ///
    /// Whatever the mechanism says.
    fn connect(offer: Self::Offer) -> Result<Self>;

    /// In the responder.
    ///
    /// # Errors
    ///
    /// Whatever the mechanism says.
    fn join(setup: &Setup) -> Result<Self>;

    /// Sends one message of the cell's size.
    ///
    /// # Errors
    ///
    /// Whatever the mechanism says.
    fn send(&mut self, msg: &[u8], wait: WaitMode) -> Result<()>;

    /// Receives one message of the cell's size and returns its length.
    ///
    /// # Errors
    ///
    /// Whatever the mechanism says.
    fn recv(&mut self, buf: &mut [u8], wait: WaitMode) -> Result<usize>;

    /// Fails if something is there to receive, while nothing is under way: before and after every
    /// batch, on both sides.
    ///
    /// What carries bytes need not do this, since a message too many is found out by its bytes. A
    /// notification has none.
    ///
    /// # Errors
    ///
    /// One that voids the cell.
    fn quiet(&mut self) -> Result<()> {
        Ok(())
    }
}

/// Runs an operation of one of our crates as the cell says: it sleeps, or it is tried until it works, or
/// tried for a while before it sleeps.
///
/// # Errors
///
/// Those of the operation.
#[inline]
pub fn run<T>(wait: WaitMode, mut op: impl FnMut(Wait) -> ipc_core::Result<T>) -> Result<T> {
    if wait == WaitMode::Block {
        return Ok(op(Wait::Forever)?);
    }
    let mut patience = Patience::of(wait);
    loop {
        match op(Wait::Never) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                if patience.is_over() {
                    return Ok(op(Wait::Forever)?);
                }
                std::hint::spin_loop();
            }
            result => return Ok(result?),
        }
    }
}

/// A link whose receiving end is a descriptor that becomes readable when there is something to receive, so
/// that a server can wait for several by `poll`.
pub trait Readable: Link {
    /// The descriptor.
    fn readable(&self) -> BorrowedFd<'_>;
}

/// Gives the responder its two ends, where the mechanism hands each over by itself.
pub(crate) fn give_ends(
    setup: &Setup,
    command: &mut Command,
    rx: impl Handoff,
    tx: impl Handoff,
) -> Result<()> {
    tx.give(command, &format!("{}_tx", setup.key)).map_err(|rejected| rejected.error)?;
    rx.give(command, &format!("{}_rx", setup.key)).map_err(|rejected| rejected.error)?;
    Ok(())
}

/// Takes, in the responder, what [`give_ends`] gave.
pub(crate) fn adopt_ends<R: Handoff, T: Handoff>(setup: &Setup) -> Result<(R, T)> {
    let rx = R::adopt(&format!("{}_rx", setup.key))?;
    let tx = T::adopt(&format!("{}_tx", setup.key))?;
    Ok((rx, tx))
}
