//! A connection to each sender, and `poll` to know which has something: what a server does.

use std::process::Command;

use anyhow::Result;
use ipc_bench_schema::{Topology, WaitMode};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::Setup;
use crate::fan::{Fan, setup_of};
use crate::link::Readable;
use crate::patience::Patience;

/// A link from each responder; the initiator polls them and receives from those that are ready.
pub(crate) struct Polled<L> {
    links: Vec<L>,
    /// Those that were ready when they were polled last, the next one last.
    ready: Vec<usize>,
}

impl<L: Readable> Polled<L> {
    /// Fills `ready`: with `block`, sleeps until there is one.
    fn poll(&mut self, block: bool) -> Result<bool> {
        let mut fds: Vec<_> = self
            .links
            .iter()
            .map(|link| PollFd::from_borrowed_fd(link.readable(), PollFlags::IN))
            .collect();
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        match poll(&mut fds, if block { None } else { Some(&at_once) }) {
            Ok(0) | Err(rustix::io::Errno::INTR) => return Ok(false),
            Ok(_) => {}
            Err(error) => return Err(error.into()),
        }
        let ready = fds.iter().enumerate().filter(|(_, fd)| !fd.revents().is_empty());
        let ready: Vec<_> = ready.map(|(i, _)| i).rev().collect();
        self.ready = ready;
        Ok(true)
    }
}

impl<L: Readable> Fan for Polled<L> {
    type Offer = Vec<L::Offer>;

    fn offer(setup: &Setup, _: Topology, commands: &mut [Command]) -> Result<Self::Offer> {
        let commands = commands.iter_mut().enumerate();
        commands.map(|(i, command)| L::offer(&setup_of(setup, i), command)).collect()
    }

    fn connect(offers: Self::Offer) -> Result<Self> {
        let links = offers.into_iter().map(L::connect).collect::<Result<_>>()?;
        Ok(Self { links, ready: Vec::new() })
    }

    fn join(setup: &Setup, _: Topology, index: usize) -> Result<Self> {
        Ok(Self { links: vec![L::join(&setup_of(setup, index))?], ready: Vec::new() })
    }

    #[inline]
    fn send(&mut self, msg: &[u8], wait: WaitMode) -> Result<()> {
        self.links[0].send(msg, wait)
    }

    #[inline]
    fn recv(&mut self, buf: &mut [u8], wait: WaitMode) -> Result<usize> {
        if self.ready.is_empty() {
            let mut patience = Patience::of(wait);
            while !self.poll(patience.is_over())? {}
        }
        // What was ready has a message, or the beginning of one.
        let at = self.ready.pop().unwrap_or(0);
        self.links[at].recv(buf, wait)
    }
}
