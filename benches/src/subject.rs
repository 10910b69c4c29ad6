//! One mechanism as the matrix sees it.

use std::process::Command;

use anyhow::{Result, bail};
use ipc_bench_schema::{CellKey, MechanismInfo, Payload, Topology, Variant, WaitMode};
use ipc_core::{Caps, Shape};

use crate::create::{Bystander, Create, Creator};
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
    /// Whether it can wait adaptively.
    adaptive: bool,
    /// What it takes part in.
    topologies: &'static [Topology],
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
            adaptive: false,
            topologies: &[Topology::PingPong, Topology::Stream],
            offer: |setup, command| {
                let offer = L::offer(setup, command)?;
                Ok(Box::new(move || Ok(Box::new(Runner(L::connect(offer)?)))))
            },
            join: |setup| Ok(Box::new(Runner(L::join(setup)?))),
        }
    }

    /// The variant that creates a `C` for each message.
    #[must_use]
    pub const fn creating<C: Create + 'static>(variant: Variant) -> Self {
        Self {
            variant,
            adaptive: false,
            topologies: &[Topology::Setup],
            offer: |setup, _| {
                let creator = C::new(setup)?;
                Ok(Box::new(move || Ok(Box::new(Creator(creator)))))
            },
            join: |_| Ok(Box::new(Bystander)),
        }
    }

    /// The same, of a mechanism that loses messages when the receiver is slower than the sender.
    #[must_use]
    pub const fn lossy(mut self) -> Self {
        self.topologies = &[Topology::PingPong];
        self
    }

    /// The same, of a mechanism that can spin for a while and then sleep.
    #[must_use]
    pub const fn adaptive(mut self) -> Self {
        self.adaptive = true;
        self
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
        match (self.carries_payload(), key.size) {
            (true, 0) => return Some("a message without bytes has nothing to verify".to_owned()),
            (false, 1..) => return Some("it carries no payload: its cells have size 0".to_owned()),
            (false, 0) if key.topology == Topology::Stream => {
                return Some(
                    "notifications that nobody answers become one, or fill a queue: only ping-pong \
                     matches each with an answer"
                        .to_owned(),
                );
            }
            _ => {}
        }
        if !self.topologies().contains(&key.topology) {
            let takes: Vec<_> = self.topologies().iter().map(|it| it.as_str()).collect();
            return Some(format!("it takes part in {} only", takes.join(" and ")));
        }
        if key.topology == Topology::Setup && key.wait != WaitMode::Block {
            return Some("what is being created is waited for in the kernel".to_owned());
        }
        if let Some(max) = self.caps.max_message.filter(|max| key.size > *max) {
            return Some(format!("a message has at most {max} bytes"));
        }
        if key.wait == WaitMode::Adaptive && !self.variants.iter().any(|entry| entry.adaptive) {
            return Some("the kernel's mechanisms either block or are polled".to_owned());
        }
        if key.payload == Payload::Handoff {
            return Some("the payload is copied by the kernel".to_owned());
        }
        None
    }

    /// What all its variants take part in.
    fn topologies(&self) -> &'static [Topology] {
        if !self.carries_payload() {
            return &[Topology::PingPong];
        }
        self.variants.first().map_or(&[], |entry| entry.topologies)
    }

    /// Whether its messages have bytes. A notification and a semaphore's permit have none.
    fn carries_payload(&self) -> bool {
        !matches!(self.caps.shape, Shape::Notification | Shape::Semaphore)
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
            topologies: self.topologies().to_vec(),
            apart: Vec::new(),
            max_message: if self.carries_payload() { self.caps.max_message } else { Some(0) },
            caps: caps.map(|(name, value)| (name.to_owned(), value)).collect(),
        }
    }
}
