//! The process that `xtask` starts: it opens every variant of a cell and clocks them in turns.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use ipc_bench_schema::{Outcome, RunReport, RunRequest, Topology, Variant, VariantSample};

use crate::control::{Batch, Control, Reply, Tally};
use crate::workload::{self, Rtts, Workload};
use crate::{Setup, Subject, process};

/// How many batches each variant gets, in turns with the others.
const TURNS: u64 = 6;

/// How long a warm-up lasts at least before its pace is believed, in nanoseconds.
const WARM_UP_NS: u64 = 1_000_000;

/// How long the initiator may take to notice an error that the responder has told of. After that it
/// is taken to hang in an operation that the responder should have answered.
const GRACE: Duration = Duration::from_secs(1);

/// Measures one cell once.
///
/// `report` is called exactly once and must end the process: it may be called from another thread,
/// while this one is blocked in an operation that nobody will ever answer.
pub fn run(request: &RunRequest, report: fn(&RunReport) -> !) -> ! {
    let of = |outcome| RunReport { key: request.key.clone(), outcome };
    let outcome = match Subject::find(&request.key.mechanism) {
        Err(error) => Outcome::Failed { reason: error.to_string() },
        Ok(subject) => match subject.unsupported(&request.key) {
            Some(reason) => Outcome::Unsupported { reason },
            None => match measure(subject, request, report) {
                Ok(samples) => Outcome::Ok { samples },
                Err(error) => outcome(&Reply::of(&error)),
            },
        },
    };
    report(&of(outcome))
}

fn outcome(reply: &Reply) -> Outcome {
    match reply {
        Reply::Void(reason) => Outcome::Void { reason: reason.clone() },
        Reply::Failed(reason) => Outcome::Failed { reason: reason.clone() },
        Reply::Ready | Reply::Done(_) => Outcome::Failed { reason: "no figures".to_owned() },
    }
}

fn measure(
    subject: &Subject,
    request: &RunRequest,
    report: fn(&RunReport) -> !,
) -> Result<Vec<VariantSample>> {
    let (ours, theirs) = UnixStream::pair().context("socketpair")?;
    let mut command = Command::new(std::env::current_exe().context("own path")?);
    command
        .arg("respond")
        .arg(std::process::id().to_string())
        .arg(serde_json::to_string(request)?)
        .stdin(Stdio::from(OwnedFd::from(theirs)));

    let mut offers = Vec::new();
    for entry in subject.variants {
        let setup = setup(request, entry.variant);
        let offer = entry.offer(&setup, &mut command).context("in the initiator")?;
        offers.push((entry.variant, offer));
    }
    let mut responder = command.spawn().context("cannot start the responder")?;
    // It holds copies of the ends that were given: the responder's death must be seen.
    drop(command);

    if let Some([cpu, _]) = request.cpus {
        process::pin(cpu)?;
    }
    let mut control = Control::new(ours)?;
    let mut sender = Control::new(control.try_clone()?)?;
    let (tell, replies) = channel();
    let request_for_report = request.clone();
    std::thread::spawn(move || {
        while let Ok(Some(reply)) = control.next::<Reply>() {
            let error = !matches!(reply, Reply::Ready | Reply::Done(_));
            let report_of_error =
                RunReport { key: request_for_report.key.clone(), outcome: outcome(&reply) };
            if tell.send(reply).is_err() {
                return;
            }
            if error {
                std::thread::sleep(GRACE);
                report(&report_of_error);
            }
        }
    });

    let session = Session { sender: &mut sender, replies: &replies };
    let samples = session.run(request, offers).map_err(|error| {
        // What the responder says of it is nearer to the cause than an end of stream here.
        match replies.recv_timeout(GRACE) {
            Ok(reply @ (Reply::Void(_) | Reply::Failed(_))) => {
                reply.done().expect_err("an error was matched")
            }
            _ => error,
        }
    });
    if samples.is_err() {
        let _ = responder.kill();
    } else {
        sender.finish()?;
    }
    responder.wait().context("wait for the responder")?;
    samples
}

/// How one variant of a cell is set up, the same on both sides.
pub(crate) fn setup(request: &RunRequest, variant: Variant) -> Setup {
    Setup { key: variant.to_string(), dir: request.dir.clone(), size: request.key.size }
}

/// The conversation with the responder.
struct Session<'a> {
    sender: &'a mut Control,
    replies: &'a Receiver<Reply>,
}

/// A variant and what was measured of it.
struct Lane {
    variant: Variant,
    workload: Box<dyn Workload>,
    /// The number of the next message.
    next: u64,
    rtts: Rtts,
    /// What both sides used, and the time by the clock of the side that the topology names.
    total: Tally,
}

impl Session<'_> {
    fn run(
        mut self,
        request: &RunRequest,
        offers: Vec<(Variant, crate::subject::Connect)>,
    ) -> Result<Vec<VariantSample>> {
        let mut lanes = Vec::new();
        for (variant, connect) in offers {
            let workload = connect().context("in the initiator")?;
            let rtts = workload::histogram()?;
            lanes.push(Lane { variant, workload, next: 1, rtts, total: Tally::default() });
        }
        self.reply()?.ready()?;

        let mut pace = HashMap::new();
        for lane in &mut lanes {
            pace.insert(lane.variant, self.warm_up(lane, request)?);
            lane.rtts.clear();
            lane.total = Tally::default();
        }
        // One count for all variants: their batches are to differ in nothing else.
        let slowest = pace.values().copied().max().unwrap_or(1);
        let count = (request.budget_ms * 1_000_000 / TURNS / slowest).max(8);
        for turn in 0..TURNS {
            let backwards = (request.seed + turn) % 2 == 1;
            for i in 0..lanes.len() {
                let i = if backwards { lanes.len() - 1 - i } else { i };
                self.batch(&mut lanes[i], request, count)?;
            }
        }
        Ok(lanes.into_iter().map(|lane| lane.sample(request.key.topology)).collect())
    }

    /// Runs longer and longer batches until one is long enough to tell the pace: nanoseconds for a
    /// message, one at least.
    fn warm_up(&mut self, lane: &mut Lane, request: &RunRequest) -> Result<u64> {
        let mut count = 16;
        loop {
            let tally = self.batch(lane, request, count)?;
            if tally.elapsed_ns >= WARM_UP_NS || count > 1 << 40 {
                return Ok((tally.elapsed_ns / tally.messages.max(1)).max(1));
            }
            count *= 4;
        }
    }

    /// Runs one batch and returns its tally by the clock that the topology names.
    fn batch(&mut self, lane: &mut Lane, request: &RunRequest, count: u64) -> Result<Tally> {
        let key = &request.key;
        let (topology, wait, size) = (key.topology, key.wait, key.size);
        let batch = Batch { variant: lane.variant, topology, wait, size, count, first: lane.next };
        lane.next += count;
        self.sender.send(&batch)?;
        self.reply()?.ready()?;
        let here = lane.workload.initiate(&(&batch).into(), &mut lane.rtts)?;
        let there = self.reply()?.done()?;
        let clock = match topology {
            Topology::PingPong => here,
            Topology::Stream => there,
        };
        lane.total.elapsed_ns += clock.elapsed_ns;
        lane.total.messages += clock.messages;
        lane.total.cpu_ns += here.cpu_ns + there.cpu_ns;
        lane.total.ctx_switches += here.ctx_switches + there.ctx_switches;
        Ok(clock)
    }

    fn reply(&mut self) -> Result<Reply> {
        self.replies.recv().map_err(|_| anyhow!("the responder ended without a word"))
    }
}

impl Lane {
    fn sample(self, topology: Topology) -> VariantSample {
        let rtts = self.rtts.iter_recorded();
        let pairs = rtts.map(|it| (it.value_iterated_to(), it.count_at_value())).collect();
        VariantSample {
            variant: self.variant,
            rtt_ns: (topology == Topology::PingPong).then_some(pairs),
            messages: self.total.messages,
            elapsed_ns: self.total.elapsed_ns,
            cpu_ns: self.total.cpu_ns,
            ctx_switches: self.total.ctx_switches,
        }
    }
}
