//! A peer: the same test binary again, in a role.

use std::io::{BufRead, BufReader, Write, stdin, stdout};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};

use rustix::process::Pid;

use crate::runner::this_binary;
use crate::{environment, verdict};

/// A process that plays a [role](crate::Harness::role) for this case.
///
/// The two talk in lines over the peer's standard input and output, which is how they meet without
/// sleeping: [`say`] and [`hear`] on the peer's side, [`tell`](Self::tell) and
/// [`expect`](Self::expect) on this one. What a peer prints to standard error appears in the case's
/// report.
///
/// It is killed when this value is dropped, and by the kernel when the thread that started it ends.
#[derive(Debug)]
pub struct Peer {
    role: String,
    child: Child,
    to: Option<ChildStdin>,
    from: BufReader<ChildStdout>,
}

/// A peer that is yet to be started.
#[derive(Debug)]
pub struct Casting {
    role: String,
    command: Command,
}

impl Casting {
    /// The command, to give it ends and variables.
    pub fn command(&mut self) -> &mut Command {
        &mut self.command
    }

    /// Starts the peer, and drops the parent's copies of what was given to it.
    ///
    /// # Panics
    ///
    /// If the process cannot be started.
    #[must_use]
    pub fn start(mut self) -> Peer {
        let child = self.command.spawn();
        let mut child = child.unwrap_or_else(|error| panic!("start {}: {error}", self.role));
        let to = child.stdin.take();
        let from = BufReader::new(child.stdout.take().expect("standard output is a pipe"));
        Peer { role: self.role, child, to, from }
    }
}

impl Peer {
    /// Prepares a peer in a role that is registered with the harness.
    #[must_use]
    pub fn cast(role: impl Into<String>) -> Casting {
        let role = role.into();
        let mut command = this_binary(environment::ROLE, &role);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        Casting { role, command }
    }

    /// Starts a peer that needs nothing given.
    #[must_use]
    pub fn start(role: impl Into<String>) -> Self {
        Self::cast(role).start()
    }

    /// The peer's process id.
    #[must_use]
    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Sends the peer a line, which it [`hear`]s.
    ///
    /// # Panics
    ///
    /// If the peer has ended.
    pub fn tell(&mut self, line: &str) {
        let to = self.to.as_mut().expect("standard input is a pipe");
        if let Err(error) = writeln!(to, "{line}").and_then(|()| to.flush()) {
            let status = self.child.wait();
            panic!("tell {line:?} to the peer {}: {error} ({status:?})", self.role);
        }
    }

    /// Waits for the next line that the peer [`say`]s.
    ///
    /// # Panics
    ///
    /// If the peer ends instead.
    pub fn listen(&mut self) -> String {
        let mut line = String::new();
        match self.from.read_line(&mut line) {
            Ok(1..) => line.trim_end_matches('\n').to_owned(),
            Ok(0) | Err(_) => {
                let status = self.child.wait().expect("wait for the peer");
                panic!("the peer {} ended early: {}", self.role, describe(status));
            }
        }
    }

    /// Waits for the peer to [`say`] exactly this.
    ///
    /// # Panics
    ///
    /// If it says something else, or ends.
    pub fn expect(&mut self, line: &str) {
        let said = self.listen();
        assert_eq!(said, line, "the peer {} said something else", self.role);
    }

    /// Returns once the peer's main thread is blocked in the kernel.
    ///
    /// The peer says that it is about to block before it does, so that there is only one thing it
    /// can be blocked in.
    ///
    /// # Panics
    ///
    /// If the peer ends instead.
    pub fn until_blocked(&self) {
        let blocked = crate::blocked::settle(self.pid(), self.pid(), || false);
        assert!(blocked, "the peer {} ended instead of blocking", self.role);
    }

    /// Kills the peer with `SIGKILL` and waits until it is dead.
    ///
    /// # Panics
    ///
    /// If the kernel refuses.
    pub fn kill(mut self) {
        self.child.kill().expect("kill the peer");
        self.child.wait().expect("wait for the peer");
    }

    /// Waits for the peer to end of itself.
    ///
    /// # Panics
    ///
    /// If it fails.
    pub fn join(mut self) {
        drop(self.to.take());
        let status = self.child.wait().expect("wait for the peer");
        assert!(status.success(), "the peer {} {}", self.role, describe(status));
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // Both fail harmlessly if it was reaped before.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn describe(status: ExitStatus) -> String {
    match status.signal() {
        Some(signal) => format!("was killed by {}", verdict::signal_name(signal)),
        None if status.success() => "ended without an error".into(),
        None => format!("failed ({status}); its report is in what was printed"),
    }
}

/// In a peer: says a line, for which the case [listens](Peer::listen).
///
/// # Panics
///
/// If the case has ended.
pub fn say(line: impl AsRef<str>) {
    let mut out = stdout().lock();
    writeln!(out, "{}", line.as_ref()).and_then(|()| out.flush()).expect("the case has ended");
}

/// In a peer: waits for a line that the case [tells](Peer::tell).
///
/// # Panics
///
/// If the case has ended, or will say nothing more.
#[must_use]
pub fn hear() -> String {
    let mut line = String::new();
    let n = stdin().lock().read_line(&mut line).expect("read standard input");
    assert_ne!(n, 0, "the case says nothing more");
    line.trim_end_matches('\n').to_owned()
}

/// In a peer: waits until it is killed, or the case ends.
pub fn wait_for_the_end() -> ! {
    let mut line = String::new();
    let _ = stdin().lock().read_line(&mut line);
    std::process::exit(0)
}
