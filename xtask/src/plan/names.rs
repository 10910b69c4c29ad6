//! Which mechanisms are meant.

use anyhow::Result;
use ipc_bench_schema::{MechanismInfo, PeerInfo, Variant};

use crate::cli::BenchOptions;
use crate::error::Usage;

/// Those that are named; where none is, all of ours, and with `--peers` other people's too.
pub(super) fn mechanisms<'a>(
    options: &BenchOptions,
    info: &'a PeerInfo,
) -> Result<Vec<&'a MechanismInfo>> {
    let named = &options.mechanisms;
    if let Some(unknown) = named.iter().find(|id| !info.mechanisms.iter().any(|it| it.id == **id)) {
        let known: Vec<_> = info.mechanisms.iter().map(|it| it.id.as_str()).collect();
        let hint =
            nearest(unknown, &known).map_or(String::new(), |id| format!(" did you mean {id:?}?"));
        let more =
            if options.peers { "" } else { "; with --peers there are other people's libraries" };
        return Err(Usage::error(format!(
            "unknown mechanism {unknown:?}:{hint} choose from {}{more}",
            known.join(", ")
        )));
    }
    Ok(info.mechanisms.iter().filter(|it| is_meant(options, it)).collect())
}

/// Whether the command line means this mechanism. What other people have made of a mechanism says nothing of which
/// one to take: it is measured where it is asked for.
pub(crate) fn is_meant(options: &BenchOptions, it: &MechanismInfo) -> bool {
    if options.mechanisms.is_empty() {
        options.peers || !is_others(it)
    } else {
        options.mechanisms.contains(&it.id)
    }
}

/// Whether it is other people's code, the standard library's included.
pub(crate) fn is_others(it: &MechanismInfo) -> bool {
    !it.variants.is_empty() && it.variants.iter().all(|variant| *variant == Variant::Peer)
}

/// The known word that differs least, if any is near.
fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let (distance, id) = known.iter().map(|id| (edits(word, id), *id)).min()?;
    (distance <= 1 + word.len() / 4).then_some(id)
}

/// The Levenshtein distance.
pub(super) fn edits(a: &str, b: &str) -> usize {
    let b: Vec<_> = b.chars().collect();
    let mut row: Vec<_> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut corner = i;
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let change = corner + usize::from(x != *y);
            corner = row[j + 1];
            row[j + 1] = change.min(corner + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}
