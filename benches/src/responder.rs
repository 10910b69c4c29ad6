//! The process that the initiator starts: the other side of every variant.

use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

use anyhow::{Context, Result};
use ipc_bench_schema::{RunReport, RunRequest};
use rustix::process::{Pid, Signal};

use crate::control::{Batch, Control, Go, Reply};
use crate::initiator::{GRACE, setup};
use crate::workload::{self, BatchSpec, Side};
use crate::{Subject, process};

/// Takes part in batches until the initiator, which has the pid `parent`, closes the control socket. Where
/// there are several responders, this is the one with the number `index`.
///
/// An error is told to the initiator. One that does not close the socket then hangs in an operation
/// that this process should have answered; its report comes back from here, to be printed in its
/// place, and [`end_initiator`] ends it.
///
/// # Errors
///
/// Only what cannot be told to the initiator.
pub fn run(parent: u32, request: &RunRequest, index: usize) -> Result<Option<RunReport>> {
    process::die_with(parent)?;
    let socket = std::io::stdin().as_fd().try_clone_to_owned().context("standard input")?;
    let mut control = Control::new(UnixStream::from(socket))?;
    let Err(error) = serve(&mut control, request, index) else { return Ok(None) };
    let reply = Reply::of(&error);
    control.send(&reply)?;
    if control.ended_within(GRACE) {
        return Ok(None);
    }
    Ok(Some(RunReport { key: request.key.clone(), outcome: reply.outcome() }))
}

/// Ends the initiator, as a success: its report was printed in its place.
///
/// # Errors
///
/// If it has ended.
pub fn end_initiator(parent: u32) -> Result<()> {
    let pid = i32::try_from(parent).ok().and_then(Pid::from_raw).context("the initiator's pid")?;
    rustix::process::kill_process(pid, Signal::USR1).context("the initiator has ended")
}

fn serve(control: &mut Control, request: &RunRequest, index: usize) -> Result<()> {
    if let Some([_, cpu]) = request.cpus {
        process::pin(request.spread.get(index).copied().unwrap_or(cpu))?;
    }
    let subject = Subject::find(&request.key.mechanism)?;
    let mut lanes = Vec::new();
    for entry in subject.entries(request.key.topology) {
        let setup = setup(request, entry.variant);
        lanes.push((entry.variant, entry.join(&setup, request.key.topology, index)?));
    }
    let mut latencies = workload::histogram()?;
    control.send(&Reply::Ready)?;
    while let Some(mut batch) = control.next::<Batch>()? {
        let lane = lanes.iter_mut().find(|(variant, _)| *variant == batch.variant);
        let (_, workload) = lane.context("a batch for a variant that there is not")?;
        workload.quiet()?;
        control.send(&Reply::Ready)?;
        if batch.begins_together() {
            batch.open.begin_ns =
                control.next::<Go>()?.context("the initiator has ended")?.begin_ns;
        }
        latencies.clear();
        let mut tally =
            workload.respond(&BatchSpec::of(&batch, Side::Responder), &mut latencies)?;
        tally.latency_ns = workload::pairs(&latencies);
        control.send(&Reply::Done(tally))?;
    }
    Ok(())
}
