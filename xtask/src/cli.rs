//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use ipc_bench_schema::{Payload, Placement, Setting, Topology, WaitMode};

/// The workspace's own tools.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", disable_help_subcommand = true)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Measure the mechanisms, one against the other, and write a report
    Bench(Box<BenchOptions>),
    /// Write the reports of an earlier run again, or check its results
    Report(ReportOptions),
    /// Say what got slower between two results, or between a revision and what is here now
    Compare(Box<CompareOptions>),
    /// Rank the mechanisms that do what you need, by the newest result
    Advise(AdviseOptions),
    /// Show the mechanisms that can be measured and what each can do
    List(ListOptions),
    /// Write docs/CHOOSING.md from the sample result, or check that it is up to date
    Choosing(ChoosingOptions),
    /// Measure mechanisms that are faulty on purpose, and say whether each fault is found
    SelfTest(SelfTestOptions),
    /// Print the JSON Schema of results.json
    Schema,
    /// Print a script that completes this command line in a shell
    Completions(CompletionsOptions),
}

/// Options of `bench`.
#[derive(Debug, Default, Args)]
pub(crate) struct BenchOptions {
    /// The mechanisms to measure, by id; all of ours when none is named
    #[arg(value_name = "MECHANISM")]
    pub(crate) mechanisms: Vec<String>,
    /// End in less than 45 seconds after the build, with the cells that matter most
    #[arg(long, conflicts_with = "full")]
    pub(crate) quick: bool,
    /// All sizes, placements and ways to wait; several minutes for each mechanism
    #[arg(long)]
    pub(crate) full: bool,
    /// Message sizes, such as 64,4KiB,1MiB
    #[arg(long, value_name = "SIZE", value_delimiter = ',', value_parser = parse_size)]
    pub(crate) size: Vec<usize>,
    /// Where the processes run: same-cpu, cross-cpu, unpinned, smt-sibling, shared-l3, cross-l3, cross-numa
    #[arg(long, value_name = "WORD", value_delimiter = ',')]
    pub(crate) placement: Vec<Placement>,
    /// How they wait: block, spin, adaptive
    #[arg(long, value_name = "WORD", value_delimiter = ',')]
    pub(crate) wait: Vec<WaitMode>,
    /// Who sends to whom: ping-pong, idle-gap, stream, fan-in, fan-out, open-loop, setup
    #[arg(long, value_name = "WORD", value_delimiter = ',')]
    pub(crate) topology: Vec<Topology>,
    /// What a topology is set to: a pause (50us, 1ms), a number of processes, fixed, poisson
    #[arg(long, value_name = "WORD", value_delimiter = ',')]
    pub(crate) setting: Vec<Setting>,
    /// What they do with the bytes: touch, handoff
    #[arg(long, value_name = "WORD", value_delimiter = ',')]
    pub(crate) payload: Vec<Payload>,
    /// How many times each cell is measured; the intervals are taken over the rounds
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub(crate) rounds: Option<u64>,
    /// Milliseconds for each variant in each round; otherwise chosen to fit the preset's time
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=600_000))]
    pub(crate) budget_ms: Option<u64>,
    /// The seed of the order in which cells are measured, and of the bootstrap
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    /// The CPUs of the two processes; same-cpu uses the second
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    pub(crate) cpus: Vec<usize>,
    /// Keep the runs in this directory instead of target/ipc-bench
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Measure with this ipc-peer binary instead of building one
    #[arg(long, value_name = "PATH")]
    pub(crate) peer: Option<PathBuf>,
    /// Measure other people's libraries as well, and the standard library's pipes and sockets
    #[arg(long, conflicts_with = "peer")]
    pub(crate) peers: bool,
    /// Measure the mechanisms that are faulty on purpose, and no others
    #[arg(long, hide = true)]
    pub(crate) planted: bool,
    /// Go on with a run that was stopped: the latest, or the one in this directory
    #[arg(
        long, value_name = "DIR", num_args = 0..=1,
        conflicts_with_all = [
            "mechanisms", "quick", "full", "size", "placement", "wait", "topology", "setting", "payload", "rounds",
            "budget_ms", "seed", "cpus", "peers",
        ]
    )]
    pub(crate) resume: Option<Option<PathBuf>>,
    /// Tell a program how it goes: an object of JSON a line on standard output, and no tables
    #[arg(long)]
    pub(crate) json: bool,
}

/// Options of `self-test`.
#[derive(Debug, Args)]
pub(crate) struct SelfTestOptions {
    /// Test with this ipc-peer binary instead of building one; it may have debug assertions
    #[arg(long, value_name = "PATH")]
    pub(crate) peer: Option<PathBuf>,
}

/// Options of `compare`.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit status: 0 nothing got slower, 1 something did (or too few cells agree), 2 this cannot be \
                  compared."
)]
pub(crate) struct CompareOptions {
    /// The earlier results: a results.json, or the directory that holds one
    #[arg(value_name = "BEFORE", conflicts_with_all = ["against", "peers"])]
    pub(crate) before: Option<PathBuf>,
    /// The later results; the latest run when not given
    #[arg(value_name = "AFTER")]
    pub(crate) after: Option<PathBuf>,
    /// Build this git revision and measure it in turns with what is here now
    #[arg(long, value_name = "REVISION")]
    pub(crate) against: Option<String>,
    /// Measure this revision, and not what is here now, against the other
    #[arg(long, value_name = "REVISION", requires = "against")]
    pub(crate) candidate: Option<String>,
    /// Measure these two ipc-peer binaries in turns
    #[arg(long, value_name = "BEFORE,AFTER", value_delimiter = ',', conflicts_with = "against")]
    pub(crate) peers: Vec<PathBuf>,
    /// Make a mechanism slower on the side of AFTER, on purpose, to see that it is noticed: pipe:5, by 5 %
    #[arg(long, value_name = "ID:PER CENT", value_parser = parse_drag, conflicts_with = "before")]
    pub(crate) drag: Option<String>,
    /// Only ask whether two runs agree: for 95 % of the cells the intervals overlap
    #[arg(long, requires = "before")]
    pub(crate) agree: bool,
    /// Mechanisms, by id; all when none is named
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    pub(crate) mechanism: Vec<String>,
    /// Message sizes, such as 64,4KiB,1MiB
    #[arg(long, value_name = "SIZE", value_delimiter = ',', value_parser = parse_size)]
    pub(crate) size: Vec<usize>,
    /// Where the processes run: same-cpu, cross-cpu, unpinned
    #[arg(long, value_name = "WORD", value_delimiter = ',')]
    pub(crate) placement: Vec<Placement>,
    /// How they wait: block, spin, adaptive
    #[arg(long, value_name = "WORD", value_delimiter = ',')]
    pub(crate) wait: Vec<WaitMode>,
    /// Who sends to whom; ping-pong, stream and setup where none is named
    #[arg(long, value_name = "WORD", value_delimiter = ',')]
    pub(crate) topology: Vec<Topology>,
    /// Rounds of the first pass; what looks slower is then measured again, in more
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(3..=1000))]
    pub(crate) rounds: Option<u64>,
    /// Milliseconds for each variant in each run
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=600_000))]
    pub(crate) budget_ms: Option<u64>,
    /// The seed of the order in which cells are measured, and of the statistics
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    /// The CPUs of the two processes; same-cpu uses the second
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    pub(crate) cpus: Vec<usize>,
    /// Differences of less than this many per cent are noise; 1 in turns, 3 between saved results
    #[arg(long, value_name = "PER CENT", value_parser = parse_percent)]
    pub(crate) noise: Option<f64>,
    /// Print the comparison as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Options of `advise`: what you need. What is not named does not matter.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "What you need")]
pub(crate) struct AdviseOptions {
    /// Messages of this size, such as 64 or 4KiB
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub(crate) size: Option<usize>,
    /// This many messages a second, such as 50000 or 2M
    #[arg(long, value_name = "RATE", value_parser = parse_rate)]
    pub(crate) rate: Option<f64>,
    /// 99 of 100 round trips within this time, such as 20us
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub(crate) p99: Option<f64>,
    /// Much data: rank by bytes a second
    #[arg(long)]
    pub(crate) bulk: bool,
    /// This many senders to one receiver
    #[arg(long, value_name = "N")]
    pub(crate) fan_in: Option<usize>,
    /// Messages that arrive as they were sent, neither joined nor cut
    #[arg(long)]
    pub(crate) boundaries: bool,
    /// Processes that have no common ancestor to hand them an end: they meet by a name
    #[arg(long)]
    pub(crate) unrelated: bool,
    /// Learn that the other side died, however it died
    #[arg(long)]
    pub(crate) crash_safe: bool,
    /// A descriptor for poll, epoll or io_uring
    #[arg(long)]
    pub(crate) pollable: bool,
    /// Messages that overtake others
    #[arg(long)]
    pub(crate) priority: bool,
    /// Both directions over one object
    #[arg(long)]
    pub(crate) duplex: bool,
    /// Open files sent along
    #[arg(long)]
    pub(crate) fd_passing: bool,
    /// Messages that outlive the processes, until they are received or removed
    #[arg(long)]
    pub(crate) persistent: bool,
    /// No payload: only that something happened
    #[arg(long, conflicts_with_all = ["size", "bulk", "boundaries"])]
    pub(crate) notify: bool,
    /// Count only what was measured in this placement; across CPUs where not given
    #[arg(long, value_name = "WORD", help_heading = "Which figures")]
    pub(crate) placement: Option<Placement>,
    /// Count only what was measured with this way to wait; block where not given
    #[arg(long, value_name = "WORD", help_heading = "Which figures")]
    pub(crate) wait: Option<WaitMode>,
    /// A results.json, or the directory that holds one; the latest run when not given
    #[arg(long, value_name = "DIR|results.json", help_heading = "Which figures")]
    pub(crate) results: Option<PathBuf>,
    /// Print the answer as JSON
    #[arg(long, help_heading = "Which figures")]
    pub(crate) json: bool,
}

/// Options of `choosing`.
#[derive(Debug, Args)]
pub(crate) struct ChoosingOptions {
    /// First make this result the sample: a results.json, the directory that holds one, or `latest`
    #[arg(long, value_name = "DIR|results.json|latest")]
    pub(crate) sample: Option<PathBuf>,
    /// First run `cargo xtask bench`, and make its result the sample
    #[arg(long, conflicts_with = "sample")]
    pub(crate) measure: bool,
    /// Write nothing; exit 1 if the page is not what the sample gives
    #[arg(long, conflicts_with_all = ["sample", "measure"])]
    pub(crate) check: bool,
}

/// Options of `completions`.
#[derive(Debug, Args)]
pub(crate) struct CompletionsOptions {
    /// The shell
    pub(crate) shell: clap_complete::Shell,
}

/// Options of `report`.
#[derive(Debug, Args)]
pub(crate) struct ReportOptions {
    /// A results.json, or the directory that holds one; the latest run when not given
    #[arg(value_name = "DIR|results.json")]
    pub(crate) path: Option<PathBuf>,
    /// Write nothing; exit 1 and name what is wrong if the results are not sound and complete
    #[arg(long)]
    pub(crate) check: bool,
}

/// Options of `list`.
#[derive(Debug, Args)]
pub(crate) struct ListOptions {
    /// Print what ipc-peer says, as JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// Ask this ipc-peer binary instead of building one
    #[arg(long, value_name = "PATH")]
    pub(crate) peer: Option<PathBuf>,
    /// With other people's libraries
    #[arg(long, conflicts_with = "peer")]
    pub(crate) peers: bool,
}

/// Reads `64`, `64B`, `4KiB` or `1MiB`. Zero is refused: there is nothing to send.
fn parse_size(word: &str) -> Result<usize, String> {
    let word = word.trim();
    let digits = word.trim_end_matches(|c: char| !c.is_ascii_digit());
    let count: usize =
        digits.parse().map_err(|_| "not a size: give bytes, such as 64 or 4KiB".to_owned())?;
    let unit = match word[digits.len()..].trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kib" => 1024,
        "m" | "mib" => 1024 * 1024,
        other => return Err(format!("unknown unit {other:?}: use B, KiB or MiB")),
    };
    let size = count.checked_mul(unit).ok_or("that many bytes do not fit in memory")?;
    if size == 0 {
        return Err("a message of 0 bytes carries nothing to verify: give 1 or more".to_owned());
    }
    if size > MOST {
        return Err("a message of more than 1 GiB is not measured: give 1048576KiB or less".into());
    }
    Ok(size)
}

/// Reads `2`, `2%` or `0.5`: per cent, as a fraction.
fn parse_percent(word: &str) -> Result<f64, String> {
    let number = word.trim().trim_end_matches('%').trim_end().parse::<f64>();
    let percent = number.map_err(|_| "not a number of per cent, such as 2".to_owned())?;
    if (0.0..=100.0).contains(&percent) { Ok(percent / 100.0) } else { Err("give 0 to 100".into()) }
}

/// Checks `pipe:5`, which is for the peer to read.
fn parse_drag(word: &str) -> Result<String, String> {
    let (id, percent) =
        word.split_once(':').ok_or("give a mechanism and per cent, such as pipe:5")?;
    parse_percent(percent)?;
    if id.is_empty() {
        Err("name a mechanism before the colon".to_owned())
    } else {
        Ok(word.to_owned())
    }
}

/// Reads `50000`, `50k` or `2M`: messages a second.
fn parse_rate(word: &str) -> Result<f64, String> {
    let word = word.trim().trim_end_matches("/s");
    let digits = word.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &word[digits.len()..] {
        "" => 1.0,
        "k" | "K" => 1e3,
        "m" | "M" => 1e6,
        "g" | "G" => 1e9,
        other => return Err(format!("unknown unit {other:?}: use k, M or G")),
    };
    positive(digits, "not a rate: give messages a second, such as 50000 or 2M").map(|it| it * unit)
}

/// Reads `20us`, `1.5ms` or `800ns`, as nanoseconds.
fn parse_time(word: &str) -> Result<f64, String> {
    let digits = word.trim_end_matches(|c: char| c.is_alphabetic());
    let unit = match &word[digits.len()..] {
        "ns" => 1.0,
        "us" | "µs" => 1e3,
        "ms" => 1e6,
        "s" => 1e9,
        other => return Err(format!("unit {other:?} is unknown: use ns, us, ms or s")),
    };
    positive(digits, "not a time, such as 20us").map(|it| it * unit)
}

fn positive(digits: &str, otherwise: &str) -> Result<f64, String> {
    let number = digits.trim().parse::<f64>().ok().filter(|it| it.is_finite() && *it > 0.0);
    number.ok_or_else(|| otherwise.to_owned())
}

/// The longest message: both processes hold it in memory.
const MOST: usize = 1 << 30;

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn sizes_take_binary_units() {
        assert_eq!(parse_size("64"), Ok(64));
        assert_eq!(parse_size("64 B"), Ok(64));
        assert_eq!(parse_size("4KiB"), Ok(4096));
        assert_eq!(parse_size("1m"), Ok(1 << 20));
    }

    #[test]
    fn rates_times_and_per_cents_have_units() {
        assert_eq!(
            (parse_rate("50k"), parse_rate("2M/s"), parse_rate("7")),
            (Ok(5e4), Ok(2e6), Ok(7.0))
        );
        assert_eq!((parse_time("20us"), parse_time("1.5ms")), (Ok(20e3), Ok(1.5e6)));
        assert_eq!((parse_percent("2%"), parse_percent("0.5")), (Ok(0.02), Ok(0.005)));
        for word in ["", "x", "-1", "0", "5 apples", "inf", "NaN"] {
            assert!(parse_rate(word).is_err() && parse_time(word).is_err(), "{word:?}");
        }
        assert_eq!(parse_drag("pipe:5").as_deref(), Ok("pipe:5"));
        assert!(["pipe", ":5", "pipe:x"].into_iter().all(|it| parse_drag(it).is_err()));
        assert!(parse_percent("-1").is_err() && parse_percent("many").is_err());
        assert!(parse_time("20").is_err(), "of what?");
    }

    #[test]
    fn sizes_that_mean_nothing_are_refused() {
        for word in ["0", "0KiB", "", "KiB", "-1", "1GB", "18446744073709551615KiB", "1.5k"] {
            assert!(parse_size(word).is_err(), "{word:?}");
        }
    }
}
