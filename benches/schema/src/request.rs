//! What xtask asks of a measuring process.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::CellKey;

/// Measures one cell once: one round of one cell, in two fresh processes.
///
/// The process that gets it is the initiator; it starts the responder itself, because only a parent
/// can hand an anonymous pipe to a child.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunRequest {
    /// The cell to measure.
    pub key: CellKey,
    /// The CPU of the initiator and that of the responder; `None` leaves both to the scheduler.
    pub cpus: Option<[usize; 2]>,
    /// Where more than two processes take part: the CPUs of the many, one each. The first is that of
    /// the responder above. Empty where they are left to the scheduler, and where there is one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub spread: Vec<usize>,
    /// About how long each variant is to be measured, in milliseconds of wall-clock time, set-up
    /// and warm-up excluded.
    pub budget_ms: u64,
    /// An existing private directory for names in the file system (a FIFO's); the caller removes
    /// it.
    pub dir: PathBuf,
    /// Decides which variant goes first; different in every round.
    pub seed: u64,
}

/// Measures what the machine itself costs, in two fresh processes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FloorRequest {
    /// Two CPUs; the same number twice on a machine with one.
    pub cpus: [usize; 2],
    /// About how long each floor is to be measured, in milliseconds of wall-clock time.
    pub budget_ms: u64,
}
