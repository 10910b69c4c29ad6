//! `cargo xtask completions`: a script for the shell.
//!
//! What is completed is an argument of `cargo`, and not a command of its own, so that each shell needs a way in:
//! fish adds to what it knows of `cargo`, zsh's `_cargo` asks for a function `_cargo-xtask`, and in bash what
//! completed `cargo` before is called for everything else.

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Command, CommandFactory as _};
use clap_complete::{Shell, generate};

use crate::cli::{Cli, CompletionsOptions};
use crate::error::Usage;

/// Passes the words after `cargo` on, if the first of them is `xtask`.
const BASH: &str = r#"
_cargo_or_xtask() {
    if [[ $COMP_CWORD -gt 1 && ${COMP_WORDS[1]} == xtask ]]; then
        COMP_WORDS=("${COMP_WORDS[@]:1}")
        COMP_CWORD=$((COMP_CWORD - 1))
        _xtask xtask "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"
    elif [[ -n $_cargo_before_xtask ]]; then
        "$_cargo_before_xtask" "$@"
    fi
}
if ! complete -p cargo 2>/dev/null | grep -q _cargo_or_xtask; then
    _cargo_before_xtask=$(complete -p cargo 2>/dev/null | sed -n 's/.*-F \([^ ]*\).*/\1/p')
fi
complete -F _cargo_or_xtask -o bashdefault -o default cargo
"#;

/// The name that cargo's own completion looks for.
const ZSH: &str = "\n_cargo-xtask() { _xtask \"$@\" }\n";

/// Prints the script.
pub(crate) fn run(options: &CompletionsOptions) -> Result<ExitCode> {
    let mut out = Vec::new();
    let mut alone = Cli::command().bin_name("xtask").name("xtask");
    match options.shell {
        Shell::Bash => {
            generate(Shell::Bash, &mut alone, "xtask", &mut out);
            out.extend_from_slice(BASH.as_bytes());
        }
        Shell::Zsh => {
            generate(Shell::Zsh, &mut alone, "xtask", &mut out);
            out.extend_from_slice(ZSH.as_bytes());
        }
        Shell::Fish => {
            let mut cargo = Command::new("cargo")
                .subcommand(alone)
                .disable_help_flag(true)
                .disable_help_subcommand(true);
            generate(Shell::Fish, &mut cargo, "cargo", &mut out);
        }
        other => {
            return Err(Usage::error(format!("no completions for {other}: bash, zsh or fish")));
        }
    }
    // Nobody is left to tell when standard output is closed.
    let _ = std::io::stdout().write_all(&out);
    Ok(ExitCode::SUCCESS)
}
