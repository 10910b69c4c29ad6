//! The process that `xtask` starts: it opens every variant of a cell and clocks them in turns.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use ipc_bench_schema::{Outcome, RunReport, RunRequest, Topology, Variant, VariantSample};

use crate::control::{Batch, Control, Reply};
use crate::workload::{self, Rtts, Workload};
use crate::{Setup, Subject, process, sys};

/// How many batches each variant gets, in turns with the others. A batch of a stream has to be much
/// longer than what fits into the mechanism, and one of a setup takes long, so that there are fewer.
const fn turns(topology: Topology) -> u64 {
    match topology {
        Topology::PingPong => 6,
        _ => 2,
    }
}

/// How long a warm-up lasts at least before its pace is believed, in nanoseconds.
const WARM_UP_NS: u64 = 1_000_000;

/// How long one side waits for the other's word after an error. An initiator that does not close the
/// conversation in this time is taken to hang in an operation that will never be answered.
pub(crate) const GRACE: Duration = Duration::from_secs(1);

/// Measures one cell once.
///
/// The process has one thread, as the responder has: a second one would make the kernel and the C
/// library take more care with every system call. So it is the responder that ends this process,
/// should this one hang after an error there: see [`responder`](crate::responder).
#[must_use]
pub fn run(request: &RunRequest) -> RunReport {
    let outcome = match Subject::find(&request.key.mechanism) {
        Err(error) => Outcome::Failed { reason: error.to_string() },
        Ok(subject) => match subject.unsupported(&request.key) {
            Some(reason) => Outcome::Unsupported { reason },
            None => match measure(subject, request) {
                Ok(samples) => Outcome::Ok { samples },
                Err(error) => Reply::of(&error).outcome(),
            },
        },
    };
    RunReport { key: request.key.clone(), outcome }
}

/// Answers in this process's place if a notification never comes: nothing else would tell, since the
/// next one would be taken for it. Without a payload there is nothing else to wait for so long.
fn tell_of_a_lost_notification(request: &RunRequest) -> Result<()> {
    // Sooner than xtask loses its patience.
    let seconds = 4 + 10 * request.budget_ms / 1000;
    let reason = format!("no answer for {seconds} s: a notification was lost, or a process hangs");
    let report = RunReport { key: request.key.clone(), outcome: Outcome::Void { reason } };
    let mut line = serde_json::to_vec(&report)?;
    line.push(b'\n');
    Ok(sys::answer_by_alarm(line, u32::try_from(seconds).unwrap_or(u32::MAX))?)
}

fn measure(subject: &Subject, request: &RunRequest) -> Result<Vec<VariantSample>> {
    sys::end_on_signal()?;
    if request.key.size == 0 {
        tell_of_a_lost_notification(request)?;
    }
    if let Some([cpu, _]) = request.cpus {
        process::pin(cpu)?;
    }
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

    let mut session = Session { control: Control::new(ours)?, told: false };
    let samples = session.run(request, offers);
    let samples = samples.map_err(|error| session.nearer_to_the_cause(error));
    if samples.is_err() {
        let _ = responder.kill();
    }
    drop(session);
    responder.wait().context("wait for the responder")?;
    sys::no_alarm();
    samples
}

/// How one variant of a cell is set up, the same on both sides.
pub(crate) fn setup(request: &RunRequest, variant: Variant) -> Setup {
    let (dir, cpus) = (request.dir.clone(), request.cpus);
    Setup { key: variant.to_string(), dir, size: request.key.size, cpus }
}

/// The conversation with the responder.
struct Session {
    control: Control,
    /// The responder has told of an error: there is no more to come.
    told: bool,
}

/// A variant and what was measured of it.
struct Lane {
    variant: Variant,
    workload: Box<dyn Workload>,
    /// The number of the next message.
    next: u64,
    rtts: Rtts,
    messages: u64,
    elapsed_ns: u64,
    /// What both sides used.
    cpu_ns: u64,
    ctx_switches: u64,
}

impl Session {
    fn run(
        &mut self,
        request: &RunRequest,
        offers: Vec<(Variant, crate::subject::Connect)>,
    ) -> Result<Vec<VariantSample>> {
        let mut lanes = Vec::new();
        for (variant, connect) in offers {
            let workload = connect().context("in the initiator")?;
            let rtts = workload::histogram()?;
            lanes.push(Lane {
                variant,
                workload,
                next: 1,
                rtts,
                messages: 0,
                elapsed_ns: 0,
                cpu_ns: 0,
                ctx_switches: 0,
            });
        }
        self.reply()?.ready()?;

        let mut pace = HashMap::new();
        for lane in &mut lanes {
            pace.insert(lane.variant, self.warm_up(lane, request)?);
            lane.forget();
        }
        // One count for all variants: their batches are to differ in nothing else.
        let slowest = pace.values().copied().max().unwrap_or(1);
        let turns = turns(request.key.topology);
        let count = (request.budget_ms * 1_000_000 / turns / slowest).max(8);
        for turn in 0..turns {
            let backwards = (request.seed + turn) % 2 == 1;
            for i in 0..lanes.len() {
                let i = if backwards { lanes.len() - 1 - i } else { i };
                self.batch(&mut lanes[i], request, count)?;
            }
        }
        for lane in &mut lanes {
            self.settle(lane, request)?;
        }
        Ok(lanes.into_iter().map(|lane| lane.sample(request.key.topology)).collect())
    }

    /// Runs longer and longer batches until one is long enough to tell the pace: nanoseconds for a
    /// message, one at least.
    fn warm_up(&mut self, lane: &mut Lane, request: &RunRequest) -> Result<u64> {
        let mut count = 16;
        loop {
            let elapsed_ns = self.batch(lane, request, count)?;
            if elapsed_ns >= WARM_UP_NS || count > 1 << 40 {
                return Ok((elapsed_ns / count).max(1));
            }
            count *= 4;
        }
    }

    /// Runs one batch and returns its time: of the initiator's round trips for `ping-pong`, from the
    /// initiator's first message until the responder has the last for `stream`. So a stream's time
    /// includes filling the mechanism and emptying it, and nothing is sent or received outside of it.
    fn batch(&mut self, lane: &mut Lane, request: &RunRequest, count: u64) -> Result<u64> {
        let key = &request.key;
        let (topology, wait, size) = (key.topology, key.wait, key.size);
        let batch = Batch { variant: lane.variant, topology, wait, size, count, first: lane.next };
        lane.next += count;
        lane.workload.quiet()?;
        self.control.send(&batch)?;
        self.reply()?.ready()?;
        let here = lane.workload.initiate(&(&batch).into(), &mut lane.rtts)?;
        let there = self.reply()?.done()?;
        let end_ns = match topology {
            Topology::Stream => there.end_ns,
            _ => here.end_ns,
        };
        let elapsed_ns = end_ns.saturating_sub(here.begin_ns);
        lane.elapsed_ns += elapsed_ns;
        lane.messages += count;
        lane.cpu_ns += here.cpu_ns + there.cpu_ns;
        lane.ctx_switches += here.ctx_switches + there.ctx_switches;
        Ok(elapsed_ns)
    }

    /// A last batch of no messages, in which both sides look whether anything came too late.
    fn settle(&mut self, lane: &mut Lane, request: &RunRequest) -> Result<()> {
        let key = &request.key;
        let (topology, wait, size) = (key.topology, key.wait, key.size);
        let (variant, first) = (lane.variant, lane.next);
        self.control.send(&Batch { variant, topology, wait, size, count: 0, first })?;
        self.reply()?.ready()?;
        self.reply()?.done()?;
        lane.workload.quiet()
    }

    fn reply(&mut self) -> Result<Reply> {
        let reply = self.control.next()?.context("the responder ended without a word")?;
        self.told |= matches!(reply, Reply::Void(_) | Reply::Failed(_));
        Ok(reply)
    }

    /// What the responder says of an error is nearer to its cause than an end of stream here.
    fn nearer_to_the_cause(&mut self, error: anyhow::Error) -> anyhow::Error {
        while !self.told
            && let Ok(Some(reply)) = self.control.next_within(GRACE)
        {
            if matches!(reply, Reply::Void(_) | Reply::Failed(_)) {
                return reply.done().expect_err("an error was matched");
            }
        }
        error
    }
}

impl Lane {
    /// Throws away what was measured until now.
    fn forget(&mut self) {
        self.rtts.clear();
        (self.messages, self.elapsed_ns, self.cpu_ns, self.ctx_switches) = (0, 0, 0, 0);
    }

    fn sample(self, topology: Topology) -> VariantSample {
        let rtts = self.rtts.iter_recorded();
        let pairs = rtts.map(|it| (it.value_iterated_to(), it.count_at_value())).collect();
        VariantSample {
            variant: self.variant,
            rtt_ns: topology.is_clocked_each().then_some(pairs),
            messages: self.messages,
            elapsed_ns: self.elapsed_ns,
            cpu_ns: self.cpu_ns,
            ctx_switches: self.ctx_switches,
            halves_ns: None,
            loads: Vec::new(),
        }
    }
}
