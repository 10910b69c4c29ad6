//! How a case says to the process that watches it what came of it.

use std::io::Write;
use std::process;

/// The exit status of a case that was skipped.
pub(crate) const SKIPPED: i32 = 77;
/// The exit status of a Rust process that panicked.
pub(crate) const PANICKED: i32 = 101;

/// What stands before the reason in the output.
const SKIP_MARK: &str = "ipc-testkit skips this case: ";

/// Ends this case: it cannot be decided here, and `reason` says why.
///
/// The run does not fail, but it says so loudly, in a line of its own and in its last line.
///
/// In a peer's process it ends the peer only, and the case notices that.
pub fn skip(reason: impl AsRef<str>) -> ! {
    eprintln!("{SKIP_MARK}{}", reason.as_ref());
    process::exit(SKIPPED)
}

/// Says what the case is about to do; shown only if the case fails or hangs.
///
/// Before a step that would hang on a certain defect, name the defect.
pub fn note(text: impl AsRef<str>) {
    // Not `eprintln`, which panics when nobody can read it.
    let _ = writeln!(std::io::stderr(), "note: {}", text.as_ref());
}

pub(crate) fn skip_reason(printed: &str) -> String {
    let reason = printed.lines().rev().find_map(|line| line.strip_prefix(SKIP_MARK));
    reason.unwrap_or("it ended with the status of a skipped case and no reason").to_owned()
}

/// A report of a failure: the finding, then what was printed.
pub(crate) fn with_output(what: &str, printed: &str) -> String {
    match printed.trim() {
        "" => what.to_owned(),
        printed => format!("{}\n---- it printed ----\n{printed}\n", what.trim_end()),
    }
}

/// A signal's name, such as `SIGPIPE (13)`.
pub(crate) fn signal_name(signal: i32) -> String {
    let name = match signal {
        libc::SIGABRT => "SIGABRT",
        libc::SIGALRM => "SIGALRM",
        libc::SIGBUS => "SIGBUS",
        libc::SIGFPE => "SIGFPE",
        libc::SIGHUP => "SIGHUP",
        libc::SIGILL => "SIGILL",
        libc::SIGINT => "SIGINT",
        libc::SIGIO => "SIGIO",
        libc::SIGKILL => "SIGKILL",
        libc::SIGPIPE => "SIGPIPE",
        libc::SIGSEGV => "SIGSEGV",
        libc::SIGSYS => "SIGSYS",
        libc::SIGTERM => "SIGTERM",
        libc::SIGTRAP => "SIGTRAP",
        libc::SIGUSR1 => "SIGUSR1",
        libc::SIGUSR2 => "SIGUSR2",
        _ => return format!("signal {signal}"),
    };
    format!("{name} ({signal})")
}
