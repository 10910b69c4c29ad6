//! The process that `xtask` starts: it opens every variant of a cell and clocks them in turns.

mod lane;

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use ipc_bench_schema::{
    CellKey, LoadSample, Outcome, RunReport, RunRequest, Setting, Topology, Variant, VariantSample,
};

use crate::control::{Batch, Control, Go, OpenLoop, Reply, Tally};
use crate::process::monotonic_ns;
use crate::workload::{BatchSpec, Side};
use crate::{Setup, Subject, process, sys};
use lane::Lane;

/// How many batches each variant gets, in turns with the others. A batch of a stream has to be much
/// longer than what fits into the mechanism, and one of a setup takes long, so that there are fewer.
const fn turns(topology: Topology) -> u64 {
    match topology {
        Topology::PingPong => 6,
        _ => 2,
    }
}

/// The loads of an open loop, in per cent of the saturation.
const LOADS: [u32; 6] = [10, 25, 50, 75, 90, 95];

/// Which part of an open loop's time is for finding the saturation; the loads share the rest.
const SATURATION: u64 = 4;

/// How long an open loop waits for its responder before it begins, in nanoseconds.
const HEAD_START_NS: u64 = 300_000;

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
    let mut controls = Vec::new();
    let mut commands = Vec::new();
    for index in 0..request.key.setting.many() {
        let (ours, theirs) = UnixStream::pair().context("socketpair")?;
        let mut command = Command::new(std::env::current_exe().context("own path")?);
        command
            .arg("respond")
            .arg(std::process::id().to_string())
            .arg(serde_json::to_string(request)?)
            .arg(index.to_string())
            .stdin(Stdio::from(OwnedFd::from(theirs)));
        controls.push(Control::new(ours)?);
        commands.push(command);
    }

    let mut offers = Vec::new();
    for entry in subject.entries(request.key.topology) {
        let setup = setup(request, entry.variant);
        let offer = entry.offer(&setup, request.key.topology, &mut commands);
        offers.push((entry.variant, offer.context("in the initiator")?));
    }
    let mut responders = Responders(Vec::new());
    for mut command in commands {
        responders.0.push(command.spawn().context("cannot start the responder")?);
        // The command goes here: it holds copies of the ends that were given, and the responder's death
        // must be seen.
    }

    let mut session = Session { controls, told: false };
    let samples = session.run(request, offers);
    let samples = samples.map_err(|error| session.nearer_to_the_cause(error));
    if samples.is_err() {
        responders.kill();
    }
    drop(session);
    responders.wait()?;
    sys::no_alarm();
    samples
}

/// The processes that this one started.
struct Responders(Vec<Child>);

impl Responders {
    fn kill(&mut self) {
        for responder in &mut self.0 {
            let _ = responder.kill();
        }
    }

    fn wait(&mut self) -> Result<()> {
        for responder in &mut self.0 {
            responder.wait().context("wait for the responder")?;
        }
        Ok(())
    }
}

/// How one variant of a cell is set up, the same on both sides.
pub(crate) fn setup(request: &RunRequest, variant: Variant) -> Setup {
    let (dir, cpus) = (request.dir.clone(), request.cpus);
    Setup {
        key: variant.to_string(),
        dir,
        size: request.key.size,
        payload: request.key.payload,
        cpus,
    }
}

/// The conversation with the responders.
struct Session {
    controls: Vec<Control>,
    /// A responder has told of an error: there is no more to come.
    told: bool,
}

impl Session {
    fn run(
        &mut self,
        request: &RunRequest,
        offers: Vec<(Variant, crate::subject::Connect)>,
    ) -> Result<Vec<VariantSample>> {
        let mut lanes = Vec::new();
        for (variant, connect) in offers {
            lanes.push(Lane::new(variant, connect().context("in the initiator")?)?);
        }
        for index in 0..self.controls.len() {
            self.reply(index)?.ready()?;
        }
        let warm = warm(&request.key);
        let mut slowest = 1;
        for lane in &mut lanes {
            let pace = self.warm_up(lane, &warm)?;
            slowest = slowest.max(pace);
            lane.drag(&request.key, request.cpus, pace);
            lane.forget();
        }
        // One count for all variants: their batches are to differ in nothing else.
        let budget_ns = request.budget_ms * 1_000_000;
        if request.key.topology == Topology::OpenLoop {
            self.open_loop(&mut lanes, request, slowest)?;
        } else {
            let turns = turns(request.key.topology);
            let least = if request.key.topology == Topology::IdleGap { 2 } else { 8 };
            let count = (budget_ns / turns / (slowest + pause_ns(&request.key))).max(least);
            for turn in 0..turns {
                for i in order(lanes.len(), request.seed + turn) {
                    self.batch(&mut lanes[i], &request.key, count)?;
                }
            }
        }
        for lane in &mut lanes {
            self.settle(lane, &request.key)?;
        }
        Ok(lanes.into_iter().map(|lane| lane.sample(&request.key)).collect())
    }

    /// Finds the saturation, by a stream, and measures shares of it. All variants get the same loads, those
    /// that the slowest can bear.
    fn open_loop(&mut self, lanes: &mut [Lane], request: &RunRequest, slowest: u64) -> Result<()> {
        let budget_ns = request.budget_ms * 1_000_000;
        let stream = warm(&request.key);
        let count = (budget_ns / SATURATION / 2 / slowest).max(8);
        for turn in 0..2 {
            for i in order(lanes.len(), request.seed + turn) {
                self.batch(&mut lanes[i], &stream, count)?;
            }
        }
        let per_message = |lane: &Lane| lane.elapsed_ns as f64 / lane.messages.max(1) as f64;
        let slowest_ns = lanes.iter().map(per_message).fold(1.0, f64::max);
        let each_ns = (budget_ns - budget_ns / SATURATION) as f64 / LOADS.len() as f64;
        for (turn, percent) in (0..).zip(LOADS) {
            let interval_ns = slowest_ns * 100.0 / f64::from(percent);
            let count = ((each_ns / interval_ns) as u64).max(8);
            let open = OpenLoop { begin_ns: 0, interval_ns, seed: request.seed + turn };
            for i in order(lanes.len(), request.seed + turn) {
                let lane = &mut lanes[i];
                let mut batch = lane.batch(&request.key, count);
                batch.open = open;
                let Exchange { begin_ns, end_ns, mut there, .. } = self.exchange(lane, batch)?;
                let elapsed_ns = end_ns.saturating_sub(begin_ns).max(1);
                lane.loads.push(LoadSample {
                    percent,
                    offered_per_s: 1e9 / interval_ns,
                    achieved_per_s: count as f64 * 1e9 / elapsed_ns as f64,
                    latency_ns: there.pop().map_or_else(Vec::new, |it| it.latency_ns),
                });
            }
        }
        Ok(())
    }

    /// Runs longer and longer batches until one is long enough to tell the pace: nanoseconds for a
    /// message, one at least.
    fn warm_up(&mut self, lane: &mut Lane, key: &CellKey) -> Result<u64> {
        // Several receivers that wake up one after the other take long for the first few messages.
        let mut count = if key.topology.is_fan() { 64 } else { 16 };
        loop {
            let elapsed_ns = self.batch(lane, key, count)?;
            if elapsed_ns >= WARM_UP_NS || count > 1 << 40 {
                return Ok((elapsed_ns / count).max(1));
            }
            count *= 4;
        }
    }

    /// Runs one batch, adds it to what was measured and returns its time.
    fn batch(&mut self, lane: &mut Lane, key: &CellKey, count: u64) -> Result<u64> {
        let batch = lane.batch(key, count);
        let Exchange { begin_ns, end_ns, here, there } = self.exchange(lane, batch)?;
        let elapsed_ns = end_ns.saturating_sub(begin_ns);
        // In a fan-in each sender has so many.
        let many = if batch.topology == Topology::FanIn { there.len() as u64 } else { 1 };
        lane.elapsed_ns += elapsed_ns;
        lane.messages += count * many;
        lane.pace_ns.push(elapsed_ns as f64 / (count * many) as f64);
        for side in there.iter().chain([&here]) {
            lane.cpu_ns += side.cpu_ns;
            lane.ctx_switches += side.ctx_switches;
        }
        Ok(elapsed_ns)
    }

    /// One batch, with all its words. Its time is that of the initiator's round trips for `ping-pong`; where
    /// messages go one way, from the first that is sent until the last is received, so that filling the
    /// mechanism and emptying it is included and nothing is sent or received outside of it.
    fn exchange(&mut self, lane: &mut Lane, mut batch: Batch) -> Result<Exchange> {
        lane.next += batch.count;
        lane.workload.quiet()?;
        for control in &mut self.controls {
            control.send(&batch)?;
        }
        for index in 0..self.controls.len() {
            self.reply(index)?.ready()?;
        }
        if batch.begins_together() {
            let go = Go { begin_ns: monotonic_ns() + HEAD_START_NS };
            batch.open.begin_ns = go.begin_ns;
            for control in &mut self.controls {
                control.send(&go)?;
            }
        }
        let spec = BatchSpec::of(&batch, Side::Initiator);
        let here = lane.workload.initiate(&spec, &mut lane.rtts)?;
        let mut there = Vec::with_capacity(self.controls.len());
        for index in 0..self.controls.len() {
            there.push(self.reply(index)?.done()?);
        }
        lane.workload.agree(&spec, &there)?;
        let first = there.iter().map(|it| it.begin_ns).min().unwrap_or(here.begin_ns);
        let last = there.iter().map(|it| it.end_ns).max().unwrap_or(here.end_ns);
        let (begin_ns, end_ns) = match batch.topology {
            Topology::PingPong | Topology::IdleGap | Topology::Setup => {
                (here.begin_ns, here.end_ns)
            }
            Topology::Stream | Topology::FanOut => (here.begin_ns, last),
            Topology::FanIn => (first, here.end_ns),
            Topology::OpenLoop => (batch.open.begin_ns, last),
        };
        Ok(Exchange { begin_ns, end_ns, here, there })
    }

    /// A last batch of no messages, in which both sides look whether anything came too late.
    fn settle(&mut self, lane: &mut Lane, key: &CellKey) -> Result<()> {
        let batch = lane.batch(&warm(key), 0);
        if key.topology.is_fan() {
            return Ok(());
        }
        self.exchange_nothing(batch)?;
        lane.workload.quiet()
    }

    fn exchange_nothing(&mut self, batch: Batch) -> Result<()> {
        self.controls[0].send(&batch)?;
        self.reply(0)?.ready()?;
        self.reply(0)?.done()?;
        Ok(())
    }

    fn reply(&mut self, index: usize) -> Result<Reply> {
        let reply = self.controls[index].next()?.context("the responder ended without a word")?;
        self.told |= matches!(reply, Reply::Void(_) | Reply::Failed(_));
        Ok(reply)
    }

    /// What a responder says of an error is nearer to its cause than an end of stream here.
    fn nearer_to_the_cause(&mut self, error: anyhow::Error) -> anyhow::Error {
        for control in &mut self.controls {
            while !self.told
                && let Ok(Some(reply)) = control.next_within(GRACE)
            {
                if matches!(reply, Reply::Void(_) | Reply::Failed(_)) {
                    return reply.done().expect_err("an error was matched");
                }
            }
        }
        error
    }
}

/// What came of a batch.
struct Exchange {
    begin_ns: u64,
    end_ns: u64,
    here: Tally,
    there: Vec<Tally>,
}

/// The cell that finds out the pace of another: without pauses, and without a load that would have to be
/// known.
fn warm(key: &CellKey) -> CellKey {
    let topology = match key.topology {
        Topology::IdleGap => Topology::PingPong,
        Topology::OpenLoop => Topology::Stream,
        other => other,
    };
    CellKey { topology, ..key.clone() }
}

/// The pause before each message.
fn pause_ns(key: &CellKey) -> u64 {
    match key.setting {
        Setting::Pause(us) => u64::from(us) * 1000,
        _ => 0,
    }
}

/// The lanes, forwards or backwards.
fn order(lanes: usize, turn: u64) -> impl Iterator<Item = usize> {
    (0..lanes).map(move |i| if turn % 2 == 1 { lanes - 1 - i } else { i })
}
