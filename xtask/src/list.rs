//! `cargo xtask list`: what can be measured.

use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::Result;
use ipc_bench_schema::{PeerInfo, Topology};

use crate::cli::ListOptions;
use crate::interrupt::Interrupts;
use crate::peer::Peer;
use crate::report::{terminal, units};

/// Prints it, or JSON.
pub(crate) fn run(options: &ListOptions) -> Result<ExitCode> {
    let interrupts = Interrupts::new()?;
    let peer = match options.peers {
        true => Peer::with_peers(&interrupts)?,
        false => Peer::new(options.peer.as_deref(), &interrupts)?,
    };
    let info = peer.list(&interrupts)?;
    if options.json {
        terminal::print(&serde_json::to_string_pretty(&info)?);
    } else {
        terminal::print(&text(&info));
    }
    Ok(ExitCode::SUCCESS)
}

/// A paragraph for each mechanism: a table of all this would be wider than any terminal.
fn text(info: &PeerInfo) -> String {
    let mut out = String::new();
    for it in &info.mechanisms {
        let variants: Vec<_> = it.variants.iter().map(|variant| variant.as_str()).collect();
        let longest = match it.max_message {
            None => "messages of any length".to_owned(),
            Some(0) => "no payload".to_owned(),
            Some(max) => format!("messages of up to {}", units::size(max)),
        };
        let topologies: Vec<_> = it.topologies.iter().map(|it| it.as_str()).collect();
        let _ = writeln!(out, "{} (crate {}; {})", it.id, it.krate, variants.join(", "));
        let _ = writeln!(out, "    {}", it.summary);
        let can = capabilities(&it.caps);
        let _ = writeln!(out, "    can: {longest}{}{can}", if can.is_empty() { "" } else { ", " });
        let _ = writeln!(out, "    takes part in: {}", topologies.join(", "));
        for (topologies, why) in by_reason(it.apart.iter().map(|(it, why)| (*it, why))) {
            let _ = writeln!(out, "    not in {}: {why}", topologies.join(", "));
        }
        for variant in &it.variants {
            let absent = it.absent.iter().filter(|it| it.variant == *variant);
            for (topologies, why) in by_reason(absent.map(|it| (it.topology, &it.reason))) {
                let _ = writeln!(out, "    {variant} not in {}: {why}", topologies.join(", "));
            }
        }
    }
    out.trim_end().to_owned()
}

/// The topologies that a mechanism takes no part in, those with the same reason together.
fn by_reason<'a>(
    apart: impl Iterator<Item = (Topology, &'a String)>,
) -> Vec<(Vec<&'static str>, &'a str)> {
    let mut reasons: Vec<(Vec<_>, &str)> = Vec::new();
    for (topology, why) in apart {
        match reasons.iter_mut().find(|it| it.1 == why) {
            Some((topologies, _)) => topologies.push(topology.as_str()),
            None => reasons.push((vec![topology.as_str()], why)),
        }
    }
    reasons
}

/// What a mechanism has, by name; what it has not is left out.
fn capabilities(caps: &[(String, String)]) -> String {
    // The longest message is told apart.
    let caps = caps.iter().filter(|(name, _)| name != "max message");
    let has = caps.filter_map(|(name, value)| match value.as_str() {
        "no" | "none" => None,
        "yes" => Some(name.clone()),
        value => Some(format!("{name}: {value}")),
    });
    has.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use ipc_bench_schema::Topology::{FanIn, FanOut, Stream};

    #[test]
    fn topologies_with_the_same_reason_are_listed_together() {
        let apart =
            [(Stream, "a"), (FanIn, "b"), (FanOut, "a")].map(|(it, why)| (it, String::from(why)));
        let expected = [(vec!["stream", "fan-out"], "a"), (vec!["fan-in"], "b")];
        assert_eq!(super::by_reason(apart.iter().map(|(it, why)| (*it, why))), expected);
    }

    #[test]
    fn only_what_a_mechanism_has_is_listed() {
        let caps = [("duplex", "no"), ("pollable", "yes"), ("shape", "message")];
        let caps = caps.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(super::capabilities(&caps), "pollable, shape: message");
    }
}
