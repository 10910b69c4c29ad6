//! The process that measures: `xtask` starts it, people do not.

use std::io::Write;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use ipc_bench_schema::PeerInfo;
use ipc_benches::{Subject, floors, initiator, planted, process, responder, subjects};
use serde::Serialize;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ipc-peer: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &[&str]) -> Result<()> {
    match args {
        ["list"] => list(subjects::all()),
        ["list", "--planted"] => list(planted::ALL.iter()),
        ["floors", request] => {
            process::die_with(process::parent())?;
            let request = serde_json::from_str(request).context("request")?;
            answer(&floors::measure(&request)?)
        }
        ["run", request] => {
            process::die_with(process::parent())?;
            let request = serde_json::from_str(request).context("request")?;
            answer(&initiator::run(&request))
        }
        ["respond", parent, request, index] => {
            let request = serde_json::from_str(request).context("request")?;
            let parent = parent.parse().context("parent")?;
            let index = index.parse().context("index")?;
            if let Some(report) = responder::run(parent, &request, index)? {
                answer(&report)?;
                responder::end_initiator(parent)?;
            }
            Ok(())
        }
        ["answer", size, cpu] => ipc_benches::create::answer_once(
            std::io::stdin(),
            size.parse().context("size")?,
            cpu.parse().ok(),
        ),
        ["floor-respond", parent, floor, cpu] => floors::respond(
            parent.parse().context("parent")?,
            floor.parse()?,
            cpu.parse().context("CPU")?,
        ),
        _ => bail!("this is a part of `cargo xtask bench`; see its --help"),
    }
}

/// Prints what can be measured.
fn list(subjects: impl Iterator<Item = &'static Subject>) -> Result<()> {
    answer(&PeerInfo {
        debug_assertions: cfg!(debug_assertions),
        mechanisms: subjects.map(Subject::info).collect(),
    })
}

/// Prints one line of JSON.
fn answer(it: &impl Serialize) -> Result<()> {
    let mut line = serde_json::to_vec(it)?;
    line.push(b'\n');
    std::io::stdout().lock().write_all(&line).context("standard output")
}
