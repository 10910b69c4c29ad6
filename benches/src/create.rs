//! What comes into being for one message: topology `setup`.

use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::Instant;

use anyhow::{Context, Result};

use crate::Setup;
use crate::control::Tally;
use crate::payload::fill;
use crate::process::{Usage, pin};
use crate::workload::{BatchSpec, Rtts, Workload, check, measured};

/// Something that is created, asked once, and ended.
///
/// Creating it and asking it are clocked. Ending it is not, and is part of what a second has room for.
pub trait Create: Sized {
    /// What was created.
    type Created;

    /// Gets ready to create; not clocked.
    ///
    /// # Errors
    ///
    /// Whatever the mechanism says.
    fn new(setup: &Setup) -> Result<Self>;

    /// Creates it. It is to receive one message of the cell's size and to answer it.
    ///
    /// # Errors
    ///
    /// Whatever the mechanism says.
    fn create(&mut self) -> Result<Self::Created>;

    /// Sends it a message, and gets the answer into the same buffer.
    ///
    /// # Errors
    ///
    /// Whatever the mechanism says.
    fn ask(&mut self, created: &mut Self::Created, buf: &mut [u8]) -> Result<usize>;

    /// Ends it, and leaves nothing of it.
    ///
    /// # Errors
    ///
    /// Whatever the mechanism says.
    fn end(&mut self, created: Self::Created) -> Result<()>;
}

/// Creates one thing after the other, and clocks each until it has answered.
#[derive(Debug)]
pub(crate) struct Creator<C>(pub(crate) C);

impl<C: Create> Workload for Creator<C> {
    fn initiate(&mut self, batch: &BatchSpec, rtts: &mut Rtts) -> Result<Tally> {
        let mut buf = vec![0; batch.size];
        let children = Usage::of_children()?;
        let mut tally = measured(batch, || {
            for seq in batch.first..batch.first + batch.count {
                let begin = Instant::now();
                let mut created = self.0.create()?;
                fill(&mut buf, seq);
                let len = self.0.ask(&mut created, &mut buf)?;
                check(&buf, len, !seq)?;
                batch.drag.pull();
                let took = u64::try_from(begin.elapsed().as_nanos()).unwrap_or(u64::MAX);
                rtts.saturating_record(took);
                self.0.end(created)?;
            }
            Ok(())
        })?;
        // What was created may have been a process, and has been waited for.
        let Usage { cpu_ns, ctx_switches } = Usage::of_children()?.since(children);
        tally.cpu_ns += cpu_ns;
        tally.ctx_switches += ctx_switches;
        Ok(tally)
    }

    fn respond(&mut self, _: &BatchSpec, _: &mut Rtts) -> Result<Tally> {
        anyhow::bail!("the responder has nothing to do with it")
    }
}

/// The responder's side of what needs none.
#[derive(Debug)]
pub(crate) struct Bystander;

impl Workload for Bystander {
    fn initiate(&mut self, _: &BatchSpec, _: &mut Rtts) -> Result<Tally> {
        anyhow::bail!("the initiator creates")
    }

    fn respond(&mut self, _: &BatchSpec, _: &mut Rtts) -> Result<Tally> {
        Ok(Tally::default())
    }
}

/// In the process that was created: answers one message on a socket, as the responder does in
/// `ping-pong`.
///
/// # Errors
///
/// If there is no message, or a wrong one, or nobody takes the answer.
pub fn answer_once(socket: impl AsFd, size: usize, cpu: Option<usize>) -> Result<()> {
    if let Some(cpu) = cpu {
        pin(cpu)?;
    }
    let socket = socket.as_fd().try_clone_to_owned().context("the socket")?;
    let mut socket = UnixStream::from(socket);
    let mut buf = vec![0; size];
    socket.read_exact(&mut buf).context("the first message")?;
    answer(&mut buf, size)?;
    socket.write_all(&buf).context("the answer")
}

/// Checks a message and makes of it the answer to it.
pub(crate) fn answer(buf: &mut [u8], len: usize) -> Result<()> {
    // A message begins with its number, or as much of it as there is room for.
    let mut number = [0; 8];
    let known = buf.len().min(number.len());
    number[..known].copy_from_slice(&buf[..known]);
    let seq = u64::from_le_bytes(number);
    check(buf, len, seq)?;
    fill(buf, !seq);
    Ok(())
}

/// Where what is created is to run, if that is not where it is created.
pub(crate) fn other_cpu(setup: &Setup) -> Option<usize> {
    setup.cpus.filter(|[ours, theirs]| ours != theirs).map(|[_, theirs]| theirs)
}
