//! Who has the ends of a ring, as words in its memory, and whether they live.

use ipc_core::{ErrorKind, Result};
use ipc_process::{Pid, Process, ProcessId};

/// The identity of an end that was given to a child and that the child has not adopted: no process.
pub(crate) const GIVEN: u64 = u64::MAX;

/// How many bits of an identity are the start time, in clock ticks since the machine started.
const START_BITS: u32 = 42;

/// This process in one word; 0 is none.
pub(crate) fn this_process() -> Result<u64> {
    ProcessId::this().map(encode)
}

fn encode(id: ProcessId) -> u64 {
    u64::from(id.pid.get().cast_unsigned()) << START_BITS | id.start_time & ((1 << START_BITS) - 1)
}

fn decode(identity: u64) -> Option<ProcessId> {
    if identity == GIVEN {
        return None;
    }
    let pid = Pid::try_from(u32::try_from(identity >> START_BITS).ok()?).ok()?;
    Some(ProcessId { pid, start_time: identity & ((1 << START_BITS) - 1) })
}

/// The processes of other ends, as they were known by their identities.
#[derive(Debug, Default)]
pub(crate) struct Peers {
    known: Vec<(u64, Process)>,
}

impl Peers {
    /// More than a ring has ends.
    const MOST: usize = 256;

    /// Whether the kernel says that the process of this identity has ended. No process, and one that was
    /// given an end and has not adopted it, has not.
    pub(crate) fn is_dead(&mut self, identity: u64) -> bool {
        let Some(id) = decode(identity) else { return false };
        let known = self.known.iter().position(|(known, _)| *known == identity);
        let dead = match known {
            Some(i) => !self.known[i].1.is_alive().unwrap_or(true),
            None => match Process::open(id.pid) {
                Ok(process) => {
                    // Where `/proc` does not show it, it is not known to have ended as long as it lives.
                    let another = process.id().is_ok_and(|it| it != id);
                    let dead = another || !process.is_alive().unwrap_or(true);
                    // A peer that makes identities up is not to use all our descriptors up.
                    if self.known.len() == Self::MOST {
                        self.known.clear();
                    }
                    self.known.push((identity, process));
                    dead
                }
                // The last: its number is that of a thread by now.
                Err(error) => {
                    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::InvalidInput)
                }
            },
        };
        if dead {
            self.known.retain(|(known, _)| *known != identity);
        }
        dead
    }
}
