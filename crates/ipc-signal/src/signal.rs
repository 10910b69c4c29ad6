//! A signal's number, checked.

use std::fmt;
use std::str::FromStr;

use ipc_core::{Error, ErrorKind, Result};

use crate::kind::invalid;

/// The operation in this file's errors.
const OP: &str = "signal";

/// The highest number of a signal, `_NSIG - 1`.
pub(crate) const MOST: i32 = 64;

/// A signal: a number from 1 to 64 that this program may use.
///
/// Numbers that the C library keeps for its threads cannot be made: with glibc those are 32 and 33,
/// by which it cancels threads and changes user ids in all of them, with musl 34 too. So the first
/// realtime signal that a program may use is not a constant: [`realtime_min`](Self::realtime_min)
/// asks the library.
///
/// # Examples
///
/// ```
/// use ipc_core::ErrorKind;
/// use ipc_signal::Signal;
///
/// assert_eq!(Signal::new(10)?, Signal::USR1);
/// assert_eq!(Signal::new(0).unwrap_err().kind(), ErrorKind::InvalidInput);
/// assert_eq!(Signal::new(33).unwrap_err().kind(), ErrorKind::Unsupported);
/// assert_eq!("SIGTERM".parse(), Ok(Signal::TERM));
/// assert_eq!(Signal::realtime(2)?.to_string(), "SIGRTMIN+2");
/// # Ok::<(), ipc_core::Error>(())
/// ```
///
/// # Platform
///
/// The constants are the numbers of x86, Arm and RISC-V, taken from `libc`.
///
/// # References
///
/// `signal`(7), `nptl`(7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Signal(i32);

/// Declares the constants, and the table of their names.
macro_rules! standard {
    ($($(#[$doc:meta])* $name:ident = $number:ident,)+) => {
        impl Signal {
            $(
                $(#[$doc])*
                pub const $name: Self = Self(libc::$number);
            )+
        }

        /// Every signal that has a name of its own.
        const NAMES: &[(i32, &str)] = &[$((libc::$number, stringify!($number)),)+];
    };
}

standard! {
    /// The terminal was closed, or read your configuration again. Ends the process.
    HUP = SIGHUP,
    /// Ctrl-C. Ends the process.
    INT = SIGINT,
    /// Ctrl-\. Ends the process with a core dump.
    QUIT = SIGQUIT,
    /// A bad instruction. Ends the process with a core dump.
    ILL = SIGILL,
    /// A breakpoint. Ends the process with a core dump.
    TRAP = SIGTRAP,
    /// `abort`. Ends the process with a core dump.
    ABRT = SIGABRT,
    /// Memory that is mapped and not there. Ends the process with a core dump.
    BUS = SIGBUS,
    /// An arithmetic error. Ends the process with a core dump.
    FPE = SIGFPE,
    /// Ends the process at once; it cannot be caught, blocked or ignored.
    KILL = SIGKILL,
    /// For the program's own use. Ends the process.
    USR1 = SIGUSR1,
    /// Memory that is not mapped. Ends the process with a core dump.
    SEGV = SIGSEGV,
    /// For the program's own use. Ends the process.
    USR2 = SIGUSR2,
    /// A pipe without readers. Ends the process; Rust's `main` ignores it.
    PIPE = SIGPIPE,
    /// [`alarm`](crate::alarm) and [`IntervalTimer`](crate::IntervalTimer). Ends the process.
    ALRM = SIGALRM,
    /// Please end. Ends the process.
    TERM = SIGTERM,
    /// A child has ended, stopped or gone on. Ignored.
    CHLD = SIGCHLD,
    /// Go on after a stop.
    CONT = SIGCONT,
    /// Stops the process; it cannot be caught, blocked or ignored.
    STOP = SIGSTOP,
    /// Ctrl-Z. Stops the process.
    TSTP = SIGTSTP,
    /// A read from the terminal in the background. Stops the process.
    TTIN = SIGTTIN,
    /// A write to the terminal in the background. Stops the process.
    TTOU = SIGTTOU,
    /// Urgent data on a socket. Ignored.
    URG = SIGURG,
    /// The limit of CPU time. Ends the process with a core dump.
    XCPU = SIGXCPU,
    /// The limit of a file's length. Ends the process with a core dump.
    XFSZ = SIGXFSZ,
    /// A timer of the process's own CPU time. Ends the process.
    VTALRM = SIGVTALRM,
    /// A timer of CPU time. Ends the process.
    PROF = SIGPROF,
    /// The terminal's window has another size. Ignored.
    WINCH = SIGWINCH,
    /// A descriptor is ready: [`SigIo`](crate::SigIo). Ends the process.
    IO = SIGIO,
    /// The power fails. Ends the process.
    PWR = SIGPWR,
    /// A bad system call. Ends the process with a core dump.
    SYS = SIGSYS,
}

impl Signal {
    /// The signal of a number.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::InvalidInput`] for a number that is not one of 1 to 64;
    /// - [`ErrorKind::Unsupported`] for one that the C library keeps for its threads.
    ///
    /// # Examples
    ///
    /// See [`Signal`].
    pub fn new(number: i32) -> Result<Self> {
        if !(1..=MOST).contains(&number) {
            return Err(invalid(OP, "signals have the numbers 1 to 64"));
        }
        if is_reserved(number) {
            return Err(Error::new(ErrorKind::Unsupported, OP).with_note(
                "the C library keeps the signals from 32 to SIGRTMIN - 1 for its threads",
            ));
        }
        Ok(Self(number))
    }

    /// `SIGRTMIN` + `n`: a realtime signal, of which there are 31 with glibc (`n` from 0 to 30).
    ///
    /// Realtime signals queue, each with its value, and those of a lower number come first.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`] beyond `SIGRTMAX`.
    ///
    /// # Examples
    ///
    /// ```
    /// use ipc_signal::Signal;
    /// assert_eq!(Signal::realtime(0)?, Signal::realtime_min());
    /// assert!(Signal::realtime(40).is_err());
    /// # Ok::<(), ipc_core::Error>(())
    /// ```
    #[doc(alias = "SIGRTMIN")]
    pub fn realtime(n: u32) -> Result<Self> {
        let number = i32::try_from(n).ok().and_then(|n| libc::SIGRTMIN().checked_add(n));
        match number {
            Some(number) if number <= libc::SIGRTMAX() => Ok(Self(number)),
            _ => Err(invalid(OP, "there is no realtime signal beyond SIGRTMAX")),
        }
    }

    /// The first realtime signal that a program may use: the function `SIGRTMIN()`.
    ///
    /// # Examples
    ///
    /// ```
    /// assert!(ipc_signal::Signal::realtime_min().number() >= 34);
    /// ```
    #[doc(alias = "SIGRTMIN")]
    #[must_use]
    pub fn realtime_min() -> Self {
        Self(libc::SIGRTMIN())
    }

    /// The last realtime signal: the function `SIGRTMAX()`.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(ipc_signal::Signal::realtime_max().number(), 64);
    /// ```
    #[doc(alias = "SIGRTMAX")]
    #[must_use]
    pub fn realtime_max() -> Self {
        Self(libc::SIGRTMAX())
    }

    /// Its number.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(ipc_signal::Signal::KILL.number(), 9);
    /// ```
    #[must_use]
    pub const fn number(self) -> i32 {
        self.0
    }

    /// Whether it is a realtime signal: one that queues.
    ///
    /// # Examples
    ///
    /// ```
    /// use ipc_signal::Signal;
    /// assert!(!Signal::USR1.is_realtime() && Signal::realtime_max().is_realtime());
    /// ```
    #[must_use]
    pub fn is_realtime(self) -> bool {
        self.0 >= 32
    }

    /// Whether it can be blocked, waited for and handled: all can but `SIGKILL` and `SIGSTOP`.
    ///
    /// # Examples
    ///
    /// ```
    /// use ipc_signal::Signal;
    /// assert!(Signal::TERM.can_be_caught() && !Signal::STOP.can_be_caught());
    /// ```
    #[must_use]
    pub fn can_be_caught(self) -> bool {
        self != Self::KILL && self != Self::STOP
    }

    /// A number that the kernel has told, which may be one of the C library's.
    pub(crate) fn of_kernel(number: i32) -> Self {
        Self(number)
    }

    /// Refuses what cannot be caught.
    pub(crate) fn caught(self, op: &'static str) -> Result<Self> {
        if self.can_be_caught() { Ok(self) } else { Err(uncatchable(op)) }
    }
}

/// The error for `SIGKILL` and `SIGSTOP`.
#[cold]
pub(crate) fn uncatchable(op: &'static str) -> Error {
    Error::new(ErrorKind::Unsupported, op)
        .with_note("SIGKILL and SIGSTOP can be neither caught, blocked, ignored nor waited for")
}

/// Whether the C library keeps a signal for its threads.
pub(crate) fn is_reserved(number: i32) -> bool {
    (32..libc::SIGRTMIN()).contains(&number) || number > libc::SIGRTMAX()
}

/// The name as `signal`(7) has it, `SIGUSR1` or `SIGRTMIN+2`.
impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match NAMES.iter().find(|(number, _)| *number == self.0) {
            Some((_, name)) => f.pad(name),
            None if is_reserved(self.0) || self.0 < 1 => f.pad(&format!("signal {}", self.0)),
            None => match self.0 - libc::SIGRTMIN() {
                0 => f.pad("SIGRTMIN"),
                n => f.pad(&format!("SIGRTMIN+{n}")),
            },
        }
    }
}

/// A name or a number, as `kill`(1) takes it: `SIGUSR1`, `USR1`, `10`, `SIGRTMIN+2`, `RTMAX-1`.
///
/// # Errors
///
/// As [`Signal::new`]; [`ErrorKind::InvalidInput`] for a name that no signal has.
impl FromStr for Signal {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if let Ok(number) = text.parse() {
            return Self::new(number);
        }
        let upper = text.to_ascii_uppercase();
        let name = upper.strip_prefix("SIG").unwrap_or(&upper);
        let known = NAMES.iter().find(|(_, it)| it.strip_prefix("SIG") == Some(name));
        if let Some((number, _)) = known {
            return Ok(Self(*number));
        }
        let unknown = || invalid(OP, "no signal has this name");
        let offset = |text: &str, sign| match text {
            "" => Some(0),
            text => text.strip_prefix(sign)?.parse::<u8>().ok().map(i32::from),
        };
        let number = match (name.strip_prefix("RTMIN"), name.strip_prefix("RTMAX")) {
            (Some(n), _) => libc::SIGRTMIN() + offset(n, '+').ok_or_else(unknown)?,
            (_, Some(n)) => libc::SIGRTMAX() - offset(n, '-').ok_or_else(unknown)?,
            _ => return Err(unknown()),
        };
        match Self::new(number) {
            Ok(signal) if signal.is_realtime() => Ok(signal),
            _ => Err(unknown()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_a_signal_or_refused_for_its_own_reason() {
        for number in [i32::MIN, -1, 0, 65, i32::MAX] {
            let error = Signal::new(number).expect_err("out of range");
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{number}");
        }
        for number in [32, 33] {
            let error = Signal::new(number).expect_err("reserved");
            assert_eq!(error.kind(), ErrorKind::Unsupported, "{number}");
        }
        let allowed = (1..=64).filter(|it| Signal::new(*it).is_ok()).count();
        let reserved = libc::SIGRTMIN() - 32;
        assert_eq!(allowed, 64 - reserved as usize);
    }

    #[test]
    fn names_and_numbers_are_read_back() {
        for number in (1..=64).filter(|it| !is_reserved(*it) && *it != 16) {
            let signal = Signal::new(number).expect("a signal");
            assert_eq!(signal.to_string().parse(), Ok(signal));
            assert_eq!(number.to_string().parse(), Ok(signal));
        }
        assert_eq!("rtmax-1".parse(), Signal::new(63));
        for text in ["", "SIG", "SIGFOO", "RTMIN-1", "RTMIN+31", "RTMAX+1", "RTMAX-40", "1e3"] {
            assert!(text.parse::<Signal>().is_err(), "{text:?}");
        }
    }
}
