//! One mechanism as the matrix sees it.

use std::process::Command;

use anyhow::{Result, bail};
use ipc_bench_schema::{CellKey, MechanismInfo, Payload, Variant, WaitMode};
use ipc_core::Caps;

use crate::workload::{Runner, Workload};
use crate::{Link, Setup};

/// One mechanism: a row of the matrix.
#[derive(Debug)]
pub struct Subject {
    /// Its id on the command line and in reports.
    pub id: &'static str,
    /// The crate that implements it.
    pub krate: &'static str,
    /// One line for a person who chooses.
    pub summary: &'static str,
    /// What it can do.
    pub caps: Caps,
    /// Its variants, ours first.
    pub variants: &'static [VariantEntry],
}

/// One variant of a mechanism, with the type of its link hidden.
#[derive(Debug)]
pub struct VariantEntry {
    /// Whose code it is.
    pub variant: Variant,
    offer: fn(&Setup, &mut Command) -> Result<Connect>,
    join: fn(&Setup) -> Result<Box<dyn Workload>>,
}

/// What is left to do in the initiator once the responder runs.
pub type Connect = Box<dyn FnOnce() -> Result<Box<dyn Workload>>>;

impl VariantEntry {
    /// The variant whose link is `L`.
    #[must_use]
    pub const fn of<L: Link + 'static>(variant: Variant) -> Self {
        Self {
            variant,
            offer: |setup, command| {
                let offer = L::offer(setup, command)?;
                Ok(Box::new(move || Ok(Box::new(Runner(L::connect(offer)?)))))
            },
            join: |setup| Ok(Box::new(Runner(L::join(setup)?))),
        }
    }

    /// Makes the mechanism in the initiator.
    ///
    /// # Errors
    ///
    /// Whatever the mechanism says.
    pub fn offer(&self, setup: &Setup, command: &mut Command) -> Result<Connect> {
        (self.offer)(setup, command)
    }

    /// Joins in the responder.
    ///
    /// # Errors
    ///
    /// Whatever the mechanism says.
    pub fn join(&self, setup: &Setup) -> Result<Box<dyn Workload>> {
        (self.join)(setup)
    }
}

impl Subject {
    /// Finds a subject by its id.
    ///
    /// # Errors
    ///
    /// If there is none; the message lists those that exist.
    pub fn find(id: &str) -> Result<&'static Self> {
        match crate::subjects::ALL.iter().find(|subject| subject.id == id) {
            Some(subject) => Ok(subject),
            None => {
                let known: Vec<_> = crate::subjects::ALL.iter().map(|it| it.id).collect();
                bail!("unknown mechanism {id:?}: one of {}", known.join(", "))
            }
        }
    }

    /// Why this subject cannot do what the cell asks for, if it cannot.
    #[must_use]
    pub fn unsupported(&self, key: &CellKey) -> Option<String> {
        if let Some(max) = self.caps.max_message.filter(|max| key.size > *max) {
            return Some(format!("a message has at most {max} bytes"));
        }
        if key.size == 0 {
            return Some("a message without bytes has nothing to verify".to_owned());
        }
        if key.wait == WaitMode::Adaptive {
            return Some("the kernel's mechanisms either block or are polled".to_owned());
        }
        if key.payload == Payload::Handoff {
            return Some("the payload is copied by the kernel".to_owned());
        }
        None
    }

    /// What the orchestrator and the report need to know.
    #[must_use]
    pub fn info(&self) -> MechanismInfo {
        let caps = self.caps.rows().into_iter();
        MechanismInfo {
            id: self.id.to_owned(),
            krate: self.krate.to_owned(),
            summary: self.summary.to_owned(),
            variants: self.variants.iter().map(|it| it.variant).collect(),
            max_message: self.caps.max_message,
            caps: caps.map(|(name, value)| (name.to_owned(), value)).collect(),
        }
    }
}
