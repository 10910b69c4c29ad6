//! The system calls of a peer, as `strace` sees them.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use crate::{Peer, dir, skip};

/// An `strace` that watches a peer until that ends.
#[derive(Debug)]
pub struct Strace {
    child: Child,
    log: PathBuf,
}

impl Strace {
    /// Watches a peer from now on, with `options` for `strace` itself, such as `-f`. Skips the case where
    /// it may not; whether there is one at all, [`need`](crate::need) tells.
    ///
    /// # Panics
    ///
    /// If it cannot be started.
    #[must_use]
    pub fn attach(peer: &Peer, options: &[&str]) -> Self {
        let log = dir().join("strace");
        let mut strace = Command::new("strace");
        strace.args(options).args(["-p", &peer.pid().as_raw_nonzero().to_string(), "-o"]).arg(&log);
        let mut child = strace.stderr(Stdio::piped()).spawn().expect("strace");
        let mut attached = String::new();
        let said = child.stderr.as_mut().expect("it is a pipe");
        BufReader::new(said).read_line(&mut attached).expect("read");
        if !attached.contains("attached") {
            skip(format!("strace may not trace a process here: {attached}"));
        }
        Self { child, log }
    }

    /// What it has seen, a line for each call, once the peer has ended.
    ///
    /// # Panics
    ///
    /// If it fails.
    #[must_use]
    pub fn log(mut self) -> String {
        assert!(self.child.wait().expect("wait").success());
        let text = std::fs::read_to_string(&self.log).expect("read the log");
        std::fs::remove_file(&self.log).expect("remove");
        text
    }
}
