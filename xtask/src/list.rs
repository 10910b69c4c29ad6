//! `cargo xtask list`: what can be measured.

use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::Result;
use ipc_bench_schema::PeerInfo;

use crate::cli::ListOptions;
use crate::interrupt::Interrupts;
use crate::peer::Peer;
use crate::report::{terminal, units};

/// Prints it, or JSON.
pub(crate) fn run(options: &ListOptions) -> Result<ExitCode> {
    let interrupts = Interrupts::new()?;
    let info = Peer::new(options.peer.as_deref(), &interrupts)?.list(&interrupts)?;
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
        for (topology, why) in &it.apart {
            let _ = writeln!(out, "    not in {topology}: {why}");
        }
    }
    out.trim_end().to_owned()
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
    #[test]
    fn only_what_a_mechanism_has_is_listed() {
        let caps = [("duplex", "no"), ("pollable", "yes"), ("shape", "message")];
        let caps = caps.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(super::capabilities(&caps), "pollable, shape: message");
    }
}
