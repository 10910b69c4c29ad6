//! How a command ends that cannot do its work: one line on standard error, and an exit status.

use std::fmt;
use std::process::ExitCode;

use clap::error::ErrorKind;

/// What the user asked for cannot be done; the message says what to ask for instead. Exit status 2.
#[derive(Debug)]
pub(crate) struct Usage(String);

impl Usage {
    /// A usage error, ready to be returned.
    pub(crate) fn error(message: impl Into<String>) -> anyhow::Error {
        anyhow::Error::new(Self(message.into()))
    }
}

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// A signal asked us to stop before there was anything to report.
#[derive(Debug)]
pub(crate) struct Stopped(pub(crate) i32);

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "stopped by signal {} before anything was measured", self.0)
    }
}

impl std::error::Error for Stopped {}

/// The exit status of a shell command that the signal ended.
pub(crate) fn status_of_signal(signal: i32) -> u8 {
    u8::try_from(128 + signal).unwrap_or(1)
}

/// Prints the error on one line and chooses the exit status.
pub(crate) fn exit_of(err: &anyhow::Error) -> ExitCode {
    eprintln!("error: {}", one_line(&format!("{err:#}")));
    if let Some(&Stopped(signal)) = err.downcast_ref() {
        return ExitCode::from(status_of_signal(signal));
    }
    ExitCode::from(if err.is::<Usage>() { 2 } else { 1 })
}

/// Prints help where help was asked for, and anything else that clap says on one line.
pub(crate) fn exit_of_clap(err: &clap::Error) -> ExitCode {
    if matches!(err.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        // Nobody is left to tell when standard output is closed.
        let _ = err.print();
        return ExitCode::SUCCESS;
    }
    if err.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        eprintln!(
            "error: say what to do: `cargo xtask bench`, `report`, `compare`, `advise` or `list`; see --help"
        );
        return ExitCode::from(2);
    }
    let text = err.to_string();
    let body = text.split("\nUsage:").next().unwrap_or_default();
    let body = body.split("\nFor more information").next().unwrap_or_default();
    eprintln!("{}; see --help", one_line(body));
    ExitCode::from(2)
}

/// Joins the lines of a message, so that a log shows it as one entry.
pub(crate) fn one_line(text: &str) -> String {
    let lines: Vec<_> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines.join("; ").replace(":; ", ": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_of_many_lines_becomes_one() {
        assert_eq!(
            one_line("cannot open:\n  no such file\n\n  tip: look\n"),
            "cannot open: no such file; tip: look"
        );
    }
}
