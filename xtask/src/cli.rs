//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use ipc_bench_schema::{Placement, Topology, WaitMode};

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
    /// Show the mechanisms that can be measured and what each can do
    List(ListOptions),
}

/// Options of `bench`.
#[derive(Debug, Args)]
pub(crate) struct BenchOptions {
    /// The mechanisms to measure, by id; all when none is named
    #[arg(value_name = "MECHANISM")]
    pub(crate) mechanisms: Vec<String>,
    /// End in less than 45 seconds after the build
    #[arg(long, conflicts_with = "full")]
    pub(crate) quick: bool,
    /// All sizes, placements and ways to wait; several minutes for each mechanism
    #[arg(long)]
    pub(crate) full: bool,
    /// Message sizes, such as 64,4KiB,1MiB
    #[arg(long, value_name = "SIZE", value_delimiter = ',', value_parser = parse_size)]
    pub(crate) size: Vec<usize>,
    /// Where the processes run: same-cpu, cross-cpu, unpinned
    #[arg(long, value_name = "WORD", value_delimiter = ',')]
    pub(crate) placement: Vec<Placement>,
    /// How they wait: block, spin, adaptive
    #[arg(long, value_name = "WORD", value_delimiter = ',')]
    pub(crate) wait: Vec<WaitMode>,
    /// Who sends to whom: ping-pong, stream, setup
    #[arg(long, value_name = "WORD", value_delimiter = ',')]
    pub(crate) topology: Vec<Topology>,
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
    fn sizes_that_mean_nothing_are_refused() {
        for word in ["0", "0KiB", "", "KiB", "-1", "1GB", "18446744073709551615KiB", "1.5k"] {
            assert!(parse_size(word).is_err(), "{word:?}");
        }
    }
}
