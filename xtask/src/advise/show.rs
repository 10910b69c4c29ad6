//! The answer for a person.

use std::fmt::Write as _;

use super::{Advice, Candidate};
use crate::report::setting;

/// The text.
pub(super) fn text(it: &Advice) -> String {
    let mut out = format!(
        "By {}, {}.\nFigures of {}\non {}.\n",
        it.by,
        setting(it.placement, it.wait),
        it.result,
        it.host
    );
    if it.ranked.is_empty() {
        out.push_str("\nNothing that was measured does all of this.\n");
    }
    for (rank, candidate) in it.ranked.iter().enumerate() {
        let tied = if candidate.tied { "; cannot be told from the first" } else { "" };
        one(&mut out, &format!("{}.", rank + 1), candidate, tied);
    }
    if !it.not_measured.is_empty() {
        out.push_str("\nCan do it, but not measured in all of this:\n");
    }
    for candidate in &it.not_measured {
        one(&mut out, "-", candidate, "");
    }
    if !it.excluded.is_empty() {
        out.push_str("\nRuled out:\n");
    }
    for it in &it.excluded {
        let _ = writeln!(out, "- {}: {}", it.mechanism, it.reason);
    }
    out.trim_end().to_owned()
}

fn one(out: &mut String, mark: &str, it: &Candidate, more: &str) {
    let _ = writeln!(out, "\n{mark} {} (crate {}{more}): {}", it.mechanism, it.krate, it.summary);
    for evidence in &it.evidence {
        let cell = evidence.cell.as_ref().map_or(String::new(), |cell| format!("  [{cell}]"));
        let _ = writeln!(out, "   {}{cell}", evidence.text);
    }
}
