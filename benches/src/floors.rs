//! What the machine itself charges, before any mechanism does.
//!
//! Each floor is measured by two fresh processes, as the cells are. The initiator decides when it
//! is over and stores a last value; the responder follows.

use std::hint::spin_loop;
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Command, Stdio};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use hdrhistogram::Histogram;
use ipc_bench_schema::{FloorReport, FloorRequest, FloorSample, Placement};

use crate::process;
use crate::shared::{Shared, Word, futex_wait, store_and_wake};
use crate::sys;
use crate::workload;

/// The value that ends a floor.
const STOP: u32 = u32::MAX;

/// How many operations share one reading of the clock, for those of a few nanoseconds.
const BLOCK: u32 = 1000;

/// The copy floor moves chunks of this many bytes through this many slots: together well within a
/// private cache, as a ring would be.
const CHUNK: usize = 64 << 10;
const SLOTS: usize = 8;

/// What two processes do to measure a floor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Floor {
    /// One cache line there and back.
    CacheLine,
    /// Two cache lines, one for each direction.
    TwoLines,
    /// A futex there and back.
    Futex,
    /// One CPU handed over there and back.
    Yield,
    /// Memory copied in by one and out by the other.
    Copy,
}

impl Floor {
    const NAMES: [(Self, &'static str); 5] = [
        (Self::CacheLine, FloorSample::CACHE_LINE_RTT),
        (Self::TwoLines, FloorSample::TWO_LINE_RTT),
        (Self::Futex, FloorSample::FUTEX_RTT),
        (Self::Yield, FloorSample::YIELD_RTT),
        (Self::Copy, FloorSample::COPY_BANDWIDTH),
    ];

    fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(floor, _)| *floor == self).map_or("", |(_, name)| name)
    }
}

impl std::str::FromStr for Floor {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> Result<Self> {
        let found = Self::NAMES.iter().find(|(_, known)| *known == name);
        found.map(|(floor, _)| *floor).with_context(|| format!("unknown floor {name:?}"))
    }
}

/// Measures every floor.
///
/// # Errors
///
/// If a process cannot be started or pinned.
pub fn measure(request: &FloorRequest) -> Result<FloorReport> {
    let [a, b] = request.cpus;
    let budget = Duration::from_millis(request.budget_ms);
    process::pin(a)?;
    let mut report = FloorReport {
        floors: vec![null_syscall(budget)?, probe(budget)?],
        ..FloorReport::default()
    };
    report.sentinel_ns = sentinel([a, b])?;
    process::pin(a)?;
    // On one CPU it does not matter which; `b` is the one that the cells use.
    for floor in [Floor::Futex, Floor::Yield] {
        report.floors.push(pair(floor, [b, b], budget, Placement::SameCpu)?);
    }
    process::pin(a)?;
    for floor in [Floor::Futex, Floor::CacheLine, Floor::TwoLines, Floor::Copy] {
        if a == b {
            report.missing.push((floor.name().to_owned(), "it needs two CPUs".to_owned()));
        } else {
            report.floors.push(pair(floor, [a, b], budget, Placement::CrossCpu)?);
        }
    }
    Ok(report)
}

/// The cheapest system call.
fn null_syscall(budget: Duration) -> Result<FloorSample> {
    let mut values = Histogram::new_with_bounds(1, 1 << 40, 3)?;
    let begin = Instant::now();
    while begin.elapsed() < budget {
        let start = Instant::now();
        for _ in 0..BLOCK {
            sys::null_syscall();
        }
        values.saturating_record(per(start, BLOCK));
    }
    Ok(sample(FloorSample::NULL_SYSCALL, None, &values))
}

/// What a message costs more because it is clocked: one reading of the clock, and taking down the time.
fn probe(budget: Duration) -> Result<FloorSample> {
    let mut values = Histogram::new_with_bounds(1, 1 << 40, 3)?;
    let mut rtts = workload::histogram()?;
    let begin = Instant::now();
    while begin.elapsed() < budget {
        let start = Instant::now();
        let mut last = start;
        for _ in 0..BLOCK {
            // As the loop of round trips does it.
            let now = Instant::now();
            rtts.saturating_record(u64::try_from((now - last).as_nanos()).unwrap_or(u64::MAX));
            last = now;
        }
        values.saturating_record(per(start, BLOCK));
    }
    Ok(sample(FloorSample::PROBE, None, &values))
}

/// How many steps the sentinel's work has: about a millisecond.
const WORK: u32 = 1 << 18;

/// How long the same piece of work takes on each CPU. It needs nothing but the CPU: what makes it slower
/// makes everything slower.
fn sentinel(cpus: [usize; 2]) -> Result<Vec<(usize, u64)>> {
    let mut cpus = cpus.to_vec();
    cpus.dedup();
    let mut times = Vec::new();
    for cpu in cpus {
        process::pin(cpu)?;
        // The first time is for the caches, and for a CPU that has slept.
        work();
        let begin = Instant::now();
        work();
        times.push((cpu, u64::try_from(begin.elapsed().as_nanos()).unwrap_or(u64::MAX)));
    }
    Ok(times)
}

fn work() {
    let mut state = 1_u64;
    for step in 0..WORK {
        // Each step waits for the one before, so that it takes its cycles whatever the CPU has besides.
        state = std::hint::black_box(state).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ u64::from(step);
    }
    std::hint::black_box(state);
}

/// Measures a floor that takes two processes.
fn pair(
    floor: Floor,
    [here, there]: [usize; 2],
    budget: Duration,
    place: Placement,
) -> Result<FloorSample> {
    process::pin(here)?;
    let fd = Shared::create(CHUNK * SLOTS)?;
    let shared = Shared::map(&fd)?;
    let mut responder = Command::new(std::env::current_exe().context("own path")?)
        .arg("floor-respond")
        .args([std::process::id().to_string(), floor.name().to_owned(), there.to_string()])
        .stdin(Stdio::from(fd))
        .spawn()
        .context("cannot start the responder")?;
    let values = initiate(floor, &shared, budget)?;
    let status = responder.wait().context("wait for the responder")?;
    if !status.success() {
        bail!("the responder of {} ended with {status}", floor.name());
    }
    Ok(sample(floor.name(), Some(place), &values))
}

/// The responder's side; its standard input is the memory.
///
/// # Errors
///
/// If the process cannot be pinned or the memory not mapped.
pub fn respond(parent: u32, floor: Floor, cpu: usize) -> Result<()> {
    process::die_with(parent)?;
    process::pin(cpu)?;
    let fd: OwnedFd = std::io::stdin().as_fd().try_clone_to_owned().context("standard input")?;
    let shared = Shared::map(&fd)?;
    let (ping, pong) = (shared.word(Word::Ping), shared.word(Word::Pong));
    let mut seen = 0;
    let mut buf = vec![0; CHUNK];
    loop {
        let now = ping.load(Ordering::Acquire);
        if now == STOP {
            return Ok(());
        }
        match floor {
            // Odd values are pings; on the one line the answer is the next even one.
            Floor::CacheLine if now % 2 == 1 => ping.store(now + 1, Ordering::Release),
            Floor::TwoLines | Floor::Yield if now != seen => pong.store(now, Ordering::Release),
            Floor::Futex if now != seen => store_and_wake(pong, now),
            Floor::Futex => futex_wait(ping, now),
            Floor::Yield => std::thread::yield_now(),
            Floor::Copy if now != seen => {
                shared.read(slot(seen), &mut buf);
                std::hint::black_box(&buf);
                seen += 1;
                pong.store(seen, Ordering::Release);
                continue;
            }
            _ => spin_loop(),
        }
        seen = now;
    }
}

/// The initiator's side.
fn initiate(floor: Floor, shared: &Shared, budget: Duration) -> Result<Histogram<u64>> {
    let (ping, pong) = (shared.word(Word::Ping), shared.word(Word::Pong));
    let values = match floor {
        Floor::CacheLine => clock(budget, |n| {
            ping.store(2 * n - 1, Ordering::Release);
            while ping.load(Ordering::Acquire) != 2 * n {
                spin_loop();
            }
        }),
        Floor::TwoLines => clock(budget, |n| {
            ping.store(n, Ordering::Release);
            while pong.load(Ordering::Acquire) != n {
                spin_loop();
            }
        }),
        Floor::Futex => clock(budget, |n| {
            store_and_wake(ping, n);
            while pong.load(Ordering::Acquire) != n {
                futex_wait(pong, n - 1);
            }
        }),
        Floor::Yield => clock(budget, |n| {
            ping.store(n, Ordering::Release);
            while pong.load(Ordering::Acquire) != n {
                std::thread::yield_now();
            }
        }),
        Floor::Copy => return copy(shared, budget),
    }?;
    store_and_wake(ping, STOP);
    Ok(values)
}

/// Clocks each round trip, exactly as the `ping-pong` of a mechanism is clocked: one reading of the clock and one
/// time taken down for each, which are part of it. Without them, the floor would be some 25 ns lower than
/// anything that the cells can show, and that is much where two processes spin on one cache line.
fn clock(budget: Duration, round_trip: impl Fn(u32)) -> Result<Histogram<u64>> {
    let mut values = workload::histogram()?;
    // The first one waits for the responder to start.
    round_trip(1);
    let begin = Instant::now();
    let mut last = begin;
    for n in 2..STOP / 4 {
        round_trip(n);
        let now = Instant::now();
        values.saturating_record(u64::try_from((now - last).as_nanos()).unwrap_or(u64::MAX));
        last = now;
        if now - begin >= budget {
            break;
        }
    }
    Ok(values)
}

/// Copies chunks into the slots as the responder empties them, and clocks every [`SLOTS`] of them.
fn copy(shared: &Shared, budget: Duration) -> Result<Histogram<u64>> {
    let (ping, pong) = (shared.word(Word::Ping), shared.word(Word::Pong));
    let mut values = Histogram::new_with_bounds(1, 1 << 40, 3)?;
    let from = vec![7; CHUNK];
    let begin = Instant::now();
    let (mut sent, mut start) = (0, begin);
    let slots = u32::try_from(SLOTS)?;
    while begin.elapsed() < budget && sent < STOP / 2 {
        while sent - pong.load(Ordering::Acquire) == slots {
            spin_loop();
        }
        shared.write(slot(sent), &from);
        sent += 1;
        ping.store(sent, Ordering::Release);
        if sent.is_multiple_of(slots) {
            let now = Instant::now();
            // The first blocks include the start of the responder.
            if sent > 4 * slots {
                let seconds = (now - start).as_secs_f64().max(1e-9);
                values.saturating_record(((CHUNK * SLOTS) as f64 / seconds) as u64);
            }
            start = now;
        }
    }
    while pong.load(Ordering::Acquire) != sent {
        spin_loop();
    }
    ping.store(STOP, Ordering::Release);
    Ok(values)
}

/// Where the chunk with this number lies in the data area.
fn slot(number: u32) -> usize {
    number as usize % SLOTS * CHUNK
}

/// Nanoseconds since `start` for each of `operations`.
fn per(start: Instant, operations: u32) -> u64 {
    u64::try_from((start.elapsed() / operations).as_nanos()).unwrap_or(u64::MAX)
}

fn sample(name: &str, placement: Option<Placement>, values: &Histogram<u64>) -> FloorSample {
    let pairs = values.iter_recorded().map(|it| (it.value_iterated_to(), it.count_at_value()));
    FloorSample { name: name.to_owned(), placement, values: pairs.collect() }
}
