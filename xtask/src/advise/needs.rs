//! What a mechanism must be able to do, whatever it costs.

use ipc_bench_schema::{MechanismInfo, Topology};

use crate::cli::AdviseOptions;
use crate::report::units;

/// The capability of this name, as `ipc_core::Caps::rows` writes it.
pub(crate) fn cap<'a>(it: &'a MechanismInfo, name: &str) -> &'a str {
    it.caps.iter().find(|(cap, _)| cap == name).map_or("no", |(_, value)| value)
}

/// Whether it has the capability.
pub(crate) fn has(it: &MechanismInfo, name: &str) -> bool {
    cap(it, name) == "yes"
}

/// Whether its messages have bytes.
pub(crate) fn carries_payload(it: &MechanismInfo) -> bool {
    it.max_message != Some(0)
}

/// Why it does not do, if it does not.
pub(super) fn lacks(options: &AdviseOptions, it: &MechanismInfo) -> Option<String> {
    if !it.topologies.is_empty() && it.topologies.iter().all(|it| *it == Topology::Setup) {
        return Some("it starts something, and carries no messages between what runs".to_owned());
    }
    if carries_payload(it) == options.notify {
        return Some(match options.notify {
            true => "its messages have bytes: more than a notification needs".to_owned(),
            false => "it carries no payload".to_owned(),
        });
    }
    let too_long = |max: &usize| !options.notify && options.size.is_some_and(|size| size > *max);
    if let Some(max) = it.max_message.filter(too_long) {
        return Some(format!("a message has at most {}", units::size(max)));
    }
    let byte_stream = cap(it, "shape") == "byte stream";
    let why_no_boundaries = match byte_stream {
        true => {
            "it is a byte stream: `ipc_core::Framed` around it keeps messages of one writer apart"
        }
        false => "it does not keep messages apart",
    };
    let needs = [
        (options.boundaries, "boundaries", why_no_boundaries),
        (
            options.unrelated,
            "named",
            "it has no name: only a process and those it started share it",
        ),
        (
            options.crash_safe,
            "reports peer death",
            "who waits does not learn that the other side died",
        ),
        (options.pollable, "pollable", "it has no descriptor to poll"),
        (options.priority, "priority", "its messages cannot overtake others"),
        (options.duplex, "duplex", "it goes one way: two are needed for an answer"),
        (options.fd_passing, "fd passing", "it passes no descriptors"),
    ];
    if let Some((_, _, why)) = needs.into_iter().find(|(needed, name, _)| *needed && !has(it, name))
    {
        return Some(why.to_owned());
    }
    if options.persistent && matches!(cap(it, "persistence"), "process" | "no") {
        return Some("what is in it is gone with the last process that has it open".to_owned());
    }
    let apart = |topology| it.apart.iter().find(|it| it.0 == topology).map(|it| it.1.clone());
    options.fan_in.filter(|many| *many > 1).and_then(|_| apart(Topology::FanIn))
}
