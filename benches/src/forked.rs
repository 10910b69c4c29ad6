//! A link that is created anew, and whose other side is a process that is forked for it: topology `setup` of
//! everything that connects two processes.
//!
//! A fork and not a program, which takes most of a millisecond to start: what differs between the rows would be
//! lost in that. The row `process-fork` is what the process alone costs.
#![expect(
    unsafe_code,
    reason = "a fork is unsafe, and its child takes over what a program would be given"
)]

use std::marker::PhantomData;
use std::os::fd::BorrowedFd;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use ipc_bench_schema::WaitMode;
use ipc_core::handoff::Ticket;
use ipc_process::{Child, ForkOptions};
use rustix::io::FdFlags;

use crate::create::{Create, answer, other_cpu};
use crate::process::pin;
use crate::{Link, Setup};

/// Creates links of the type `L`.
#[derive(Debug)]
pub(crate) struct Forked<L> {
    setup: Setup,
    /// Where the other process is to run, if that is not where it is forked.
    cpu: Option<usize>,
    count: u64,
    link: PhantomData<L>,
}

impl<L: Link> Create for Forked<L> {
    type Created = (Child, L);

    fn new(setup: &Setup) -> Result<Self> {
        let cpu = other_cpu(setup);
        Ok(Self { setup: setup.clone(), cpu, count: 0, link: PhantomData })
    }

    fn create(&mut self) -> Result<Self::Created> {
        self.count += 1;
        let key = format!("{}_{}", self.setup.key, self.count);
        let setup = Setup { key, ..self.setup.clone() };
        // It is never started: it holds what a child is given.
        let mut command = Command::new("ipc-peer");
        let offer = L::offer(&setup, &mut command)?;
        let options = ForkOptions::new().parent_death_signal(libc::SIGKILL);
        let child = || {
            let done = self.cpu.map_or(Ok(()), pin).and_then(|()| respond::<L>(&setup, &command));
            u8::from(done.is_err())
        };
        // SAFETY: a measuring process has one thread (mechanisms that have more take no part), and what it owns the
        // child does not touch.
        let child = unsafe { options.fork(child) }?;
        drop(command);
        Ok((child, L::connect(offer)?))
    }

    fn ask(&mut self, (_, link): &mut Self::Created, buf: &mut [u8]) -> Result<usize> {
        link.send(buf, WaitMode::Block)?;
        link.recv(buf, WaitMode::Block)
    }

    fn end(&mut self, (mut child, link): Self::Created) -> Result<()> {
        drop(link);
        let status = child.wait()?;
        ensure!(status.success(), "the new process has failed: {status}");
        Ok(())
    }
}

/// In the new process: joins, and answers one message.
fn respond<L: Link>(setup: &Setup, command: &Command) -> Result<()> {
    take_over(command)?;
    let mut link = L::join(setup)?;
    let mut buf = vec![0; setup.size];
    let len = link.recv(&mut buf, WaitMode::Block)?;
    answer(&mut buf, len)?;
    link.send(&buf, WaitMode::Block)
}

/// Makes of the forked process what `command` would have made of a program: its environment, and the descriptors
/// that it was given.
fn take_over(command: &Command) -> Result<()> {
    for (name, value) in command.get_envs() {
        let Some(value) = value else { continue };
        // SAFETY: the process was just forked, and has one thread.
        unsafe { std::env::set_var(name, value) };
        if let Some(Ok(ticket)) = value.to_str().map(str::parse::<Ticket>) {
            // SAFETY: the command, which outlives this, holds the descriptor open.
            let fd = unsafe { BorrowedFd::borrow_raw(ticket.fd) };
            rustix::io::fcntl_setfd(fd, FdFlags::empty()).context("a descriptor that was given")?;
        }
    }
    Ok(())
}
