//! `cargo xtask bench | report | compare | advise | list`: runs the cross-mechanism benchmark, writes its reports
//! and answers questions from them.
//!
//! xtask decides what is measured, when, and what the figures mean; the `ipc-peer` binary of the
//! package `ipc-benches` links the mechanisms and measures. They talk in the JSON of
//! `ipc-bench-schema`, and xtask links no mechanism: what runs here cannot disturb what is timed.
//!
//! Exit status: 0 when all is well, 1 when something failed, a cell is void or something got slower, 2 when the command
//! line asks for something that cannot be (one line on standard error says what to change), 130 and
//! 143 after SIGINT and SIGTERM.

mod advise;
mod bench;
mod child;
mod choosing;
mod cli;
mod compare;
mod completions;
mod cpus;
mod error;
mod floors;
mod host;
mod html;
mod interrupt;
mod limits;
mod list;
mod pace;
mod peer;
mod plan;
mod progress;
mod provenance;
mod report;
mod self_test;
mod stats;
mod store;
mod tally;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    let cli = match cli::Cli::try_parse() {
        Ok(cli) => cli,
        Err(err) => return error::exit_of_clap(&err),
    };
    let done = match cli.command {
        cli::Command::Bench(options) => bench::run(&options),
        cli::Command::Report(options) => report::run(&options),
        cli::Command::Compare(options) => compare::run(&options),
        cli::Command::Advise(options) => advise::run(&options),
        cli::Command::List(options) => list::run(&options),
        cli::Command::Choosing(options) => choosing::run(&options),
        cli::Command::SelfTest(options) => self_test::run(&options),
        cli::Command::Schema => schema(),
        cli::Command::Completions(options) => completions::run(&options),
    };
    done.unwrap_or_else(|err| error::exit_of(&err))
}

/// Prints the JSON Schema of results.json, as benches/schema/results.schema.json has it.
fn schema() -> anyhow::Result<ExitCode> {
    let schema = schemars::schema_for!(ipc_bench_schema::Results);
    report::terminal::print(&serde_json::to_string_pretty(&schema)?);
    Ok(ExitCode::SUCCESS)
}
