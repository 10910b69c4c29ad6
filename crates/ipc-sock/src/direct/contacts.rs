//! The processes that a port has dealt with.

use std::sync::Arc;

use super::Peer;
use super::process::Process;

/// Which process a pid stands for, for a bounded number of pids.
#[derive(Debug)]
pub(super) struct Contacts {
    /// The one that was not dealt with for longest comes first.
    list: Vec<Contact>,
    max: usize,
}

#[derive(Debug)]
struct Contact {
    process: Arc<Process>,
    /// Once something was sent to it.
    peer: Option<Peer>,
}

impl Contacts {
    pub(super) const fn new(max: usize) -> Self {
        Self { list: Vec::new(), max }
    }

    /// The process that this pid stands for, if it is known.
    pub(super) fn find(&mut self, pid: u32) -> Option<(Arc<Process>, Option<Peer>)> {
        let at = self.list.iter().rposition(|it| it.process.pid == pid)?;
        // To the end, where it is found at once the next time.
        self.list[at..].rotate_left(1);
        self.list.last().map(|it| (Arc::clone(&it.process), it.peer.clone()))
    }

    /// Notes what a pid stands for, instead of what it stood for before.
    pub(super) fn note(&mut self, process: Arc<Process>, peer: Option<Peer>) {
        self.list.retain(|it| it.process.pid != process.pid);
        self.list.push(Contact { process, peer });
        if self.list.len() > self.max {
            self.list.remove(0);
        }
    }

    /// Forgets a process, and not another one that has its pid.
    pub(super) fn forget(&mut self, process: &Arc<Process>) {
        self.list.retain(|it| !Arc::ptr_eq(&it.process, process));
    }
}
