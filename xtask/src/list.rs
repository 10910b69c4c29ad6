//! `cargo xtask list`: what can be measured.

use std::process::ExitCode;

use anyhow::Result;
use comfy_table::{ContentArrangement, Table, presets};
use ipc_bench_schema::PeerInfo;

use crate::cli::ListOptions;
use crate::interrupt::Interrupts;
use crate::peer::Peer;
use crate::report::units;

/// Prints the table, or JSON.
pub(crate) fn run(options: &ListOptions) -> Result<ExitCode> {
    let interrupts = Interrupts::new()?;
    let info = Peer::new(options.peer.as_deref(), &interrupts)?.list(&interrupts)?;
    if options.json {
        println!("{}", serde_json::to_string_pretty(&info)?);
    } else {
        println!("{}", table(&info));
    }
    Ok(ExitCode::SUCCESS)
}

fn table(info: &PeerInfo) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::UTF8_FULL_CONDENSED)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header([
            "mechanism",
            "crate",
            "longest message",
            "variants",
            "what it is",
            "capabilities",
        ]);
    for it in &info.mechanisms {
        let variants: Vec<_> = it.variants.iter().map(|variant| variant.as_str()).collect();
        table.add_row([
            it.id.clone(),
            it.krate.clone(),
            it.max_message.map_or_else(|| "any".to_owned(), units::size),
            variants.join(", "),
            it.summary.clone(),
            capabilities(&it.caps),
        ]);
    }
    table
}

/// What a mechanism has, by name; what it has not is left out.
fn capabilities(caps: &[(String, String)]) -> String {
    let has = caps.iter().filter_map(|(name, value)| match value.as_str() {
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
