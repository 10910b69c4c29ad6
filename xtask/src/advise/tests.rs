//! Questions to the example's results.

use clap::Parser as _;
use ipc_bench_schema::{Topology, Variant};

use super::*;
use crate::cli::{Cli, Command};
use crate::report::example;

fn options(args: &str) -> AdviseOptions {
    let words = ["xtask", "advise"].into_iter().chain(args.split_whitespace());
    match Cli::try_parse_from(words).unwrap().command {
        Command::Advise(options) => options,
        _ => unreachable!("advice was asked for"),
    }
}

fn mechanism(id: &str, caps: &[(&str, &str)], max_message: Option<usize>) -> MechanismInfo {
    MechanismInfo {
        payloads: vec![ipc_bench_schema::Payload::Touch],
        id: id.to_owned(),
        krate: "ipc-pipe".to_owned(),
        summary: "Something".to_owned(),
        variants: vec![Variant::Ours],
        topologies: vec![Topology::PingPong, Topology::Stream],
        absent: Vec::new(),
        apart: Vec::new(),
        max_message,
        caps: caps.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
    }
}

fn results() -> Results {
    let mut results = example::results();
    let stream = ("shape", "byte stream");
    let mut fork = mechanism("process-fork", &[], None);
    fork.topologies = vec![Topology::Setup];
    results.mechanisms = vec![
        mechanism("fifo", &[stream, ("named", "yes"), ("pollable", "yes")], None),
        mechanism("pipe", &[stream, ("pollable", "yes"), ("reports peer death", "yes")], None),
        mechanism(
            "posix-mq",
            &[("shape", "message"), ("boundaries", "yes"), ("named", "yes")],
            Some(8192),
        ),
        mechanism("signal", &[("shape", "notification")], Some(0)),
        fork,
    ];
    results
}

fn asked(args: &str) -> Advice {
    advise(&options(args), &results()).unwrap()
}

fn names(of: &[Candidate]) -> Vec<&str> {
    of.iter().map(|it| it.mechanism.as_str()).collect()
}

fn reason<'a>(advice: &'a Advice, id: &str) -> &'a str {
    advice.excluded.iter().find(|it| it.mechanism == id).map_or("", |it| &it.reason)
}

#[test]
fn the_fastest_is_first_with_its_cell_and_ties_are_named() {
    let it = asked("--placement same-cpu");
    assert_eq!(names(&it.ranked), ["pipe", "fifo"]);
    assert!(!it.ranked[0].tied && it.ranked[1].tied);
    let evidence = &it.ranked[0].evidence[0];
    assert_eq!(evidence.text, "median round trip 5.10 µs [4.90–5.30]");
    assert_eq!(evidence.cell.as_deref(), Some("pipe/ping-pong/64B/same-cpu/block/touch"));
    assert_eq!(names(&it.not_measured), ["posix-mq"]);
    assert!(it.not_measured[0].evidence[0].text.starts_with("not measured"));
    assert_eq!(reason(&it, "signal"), "it carries no payload");
    assert!(reason(&it, "process-fork").starts_with("it starts something"));
}

#[test]
fn what_a_mechanism_cannot_do_excludes_it_with_the_reason() {
    let it = asked("--boundaries --size 64KiB");
    assert!(it.ranked.is_empty());
    assert!(reason(&it, "pipe").contains("Framed"));
    assert_eq!(reason(&it, "posix-mq"), "a message has at most 8 KiB");
    assert!(reason(&asked("--unrelated"), "pipe").contains("no name"));
    assert!(reason(&asked("--crash-safe"), "fifo").contains("does not learn"));
    for flag in ["--priority", "--duplex", "--fd-passing", "--persistent"] {
        assert_eq!(asked(flag).excluded.len(), 5, "{flag}");
    }
    assert!(reason(&asked("--notify"), "pipe").contains("more than a notification"));
}

#[test]
fn a_figure_that_is_not_met_excludes_and_cites() {
    let it = asked("--placement same-cpu --p99 7.7us");
    assert_eq!(names(&it.ranked), ["pipe"]);
    let why = reason(&it, "fifo");
    assert!(why.contains("not within 7.70 µs") && why.contains("fifo/ping-pong/64B"), "{why}");
    let it = asked("--placement same-cpu --p99 1us");
    assert!(it.ranked.is_empty());
    assert!(show::text(&it).contains("Nothing that was measured does all of this."));
}

#[test]
fn bulk_is_ranked_by_bytes_and_a_rate_must_be_carried() {
    let it = asked("--placement cross-cpu --wait spin --bulk");
    assert_eq!(names(&it.ranked), ["pipe", "fifo"], "twice as many messages");
    assert!(it.ranked[0].evidence[0].text.ends_with("at 64 B"), "{:?}", it.ranked[0].evidence);
    let it = asked("--placement cross-cpu --wait spin --bulk --rate 1.5M");
    assert_eq!(names(&it.ranked), ["pipe"]);
    assert!(reason(&it, "fifo").contains("not surely 1.50 M"));
}

#[test]
fn what_was_not_measured_is_said_and_not_ranked() {
    let it = asked("--placement same-cpu --rate 1000");
    assert!(it.ranked.is_empty());
    let text = show::text(&it);
    assert!(text.contains("Can do it, but not measured in all of this"), "{text}");
    assert!(text.contains("not measured: its rate"), "{text}");
    assert_eq!(names(&asked("--placement same-cpu --fan-in 4").not_measured).len(), 3);
}

#[test]
fn a_result_without_capabilities_is_refused() {
    assert!(advise(&options(""), &example::results()).unwrap_err().is::<Usage>());
}
