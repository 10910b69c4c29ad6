//! The words that `cargo xtask bench` and its measuring processes share.
//!
//! Two programs take part in a benchmark. `xtask` decides what is measured, when, and what the
//! figures mean; `ipc-peer` links the mechanisms and measures. They talk in JSON, and this crate is
//! that JSON: what xtask asks ([`request`]), what a peer answers ([`sample`]), and what ends up in
//! `results.json` ([`results`]). It links no mechanism and makes no system call, so that both sides
//! can depend on it.
//!
//! | command | answer on standard output |
//! |---|---|
//! | `ipc-peer list` | one [`PeerInfo`] |
//! | `ipc-peer floors REQUEST` | one [`FloorReport`] |
//! | `ipc-peer run REQUEST` | one [`RunReport`] |
//!
//! `REQUEST` is one JSON argument. The process exits 0 once it has printed its line, also when the
//! line says that the cell failed; any other exit status means that it died.

mod cell;
pub mod request;
pub mod results;
pub mod sample;

pub use cell::{CellKey, Payload, Placement, Setting, Topology, Variant, WaitMode};
pub use request::{FloorRequest, RunRequest};
pub use results::Results;
pub use sample::{
    Absent, FloorReport, FloorSample, LoadSample, MechanismInfo, Outcome, PeerInfo, RunReport,
    VariantSample,
};

/// The name and version of the `results.json` layout, its `"schema"` field.
///
/// The number after the slash rises when a field changes its meaning or goes away; a reader accepts
/// unknown fields.
pub const SCHEMA: &str = "ipc-bench/1";
