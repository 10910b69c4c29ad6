//! The process that the initiator starts: the other side of every variant.

use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

use anyhow::{Context, Result};
use ipc_bench_schema::RunRequest;

use crate::control::{Batch, Control, Reply};
use crate::initiator::setup;
use crate::{Subject, process};

/// Takes part in batches until the initiator, which has the pid `parent`, closes the control socket.
///
/// # Errors
///
/// Only what cannot be told to the initiator.
pub fn run(parent: u32, request: &RunRequest) -> Result<()> {
    process::die_with(parent)?;
    let socket = std::io::stdin().as_fd().try_clone_to_owned().context("standard input")?;
    let mut control = Control::new(UnixStream::from(socket))?;
    match serve(&mut control, request) {
        Ok(()) => Ok(()),
        Err(error) => control.send(&Reply::of(&error)),
    }
}

fn serve(control: &mut Control, request: &RunRequest) -> Result<()> {
    if let Some([_, cpu]) = request.cpus {
        process::pin(cpu)?;
    }
    let subject = Subject::find(&request.key.mechanism)?;
    let mut lanes = Vec::new();
    for entry in subject.variants {
        lanes.push((entry.variant, entry.join(&setup(request, entry.variant))?));
    }
    control.send(&Reply::Ready)?;
    while let Some(batch) = control.next::<Batch>()? {
        let lane = lanes.iter_mut().find(|(variant, _)| *variant == batch.variant);
        let (_, workload) = lane.context("a batch for a variant that there is not")?;
        control.send(&Reply::Ready)?;
        let tally = workload.respond(&(&batch).into())?;
        control.send(&Reply::Done(tally))?;
    }
    Ok(())
}
