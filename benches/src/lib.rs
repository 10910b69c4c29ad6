//! Every mechanism as the benchmark matrix sees it.
//!
//! A [`Subject`] is one row: a mechanism with its variants, each of them a [`Link`] between two
//! processes. The workloads are generic over links, so that our crate's code and the bare system
//! calls run through the same loop, each compiled for itself.
//!
//! `ipc-peer` is the program around it. One run of it is one round of one cell: the process that
//! `xtask` starts is the *initiator*, it opens every variant, starts the *responder*, and the two
//! measure the variants in turns, so that whatever disturbs the machine disturbs them alike and
//! their ratio is paired.
//!
//! What is created anew for each message, such as a process, is a [`Create`] in place of a [`Link`], and
//! takes part in the topology `setup`.
//!
//! Where one process meets several, in the topologies `fan-in` and `fan-out`, there are several responders
//! and a [`Fan`] between them and the initiator.
//!
//! To add a mechanism, write a file in `subjects/` and a line in [`subjects::ALL`];
//! `docs/ARCHITECTURE.md` has the steps.

mod control;
pub mod create;
pub mod drag;
pub mod fan;
pub mod floors;
mod forked;
pub mod initiator;
pub mod link;
mod paced;
mod patience;
pub mod payload;
pub mod planted;
mod polled;
pub mod process;
pub mod responder;
mod shared;
pub mod subject;
pub mod subjects;
mod sys;
pub mod workload;

pub use create::Create;
pub use fan::Fan;
pub use link::{Link, Setup};
pub use subject::{Subject, VariantEntry};
