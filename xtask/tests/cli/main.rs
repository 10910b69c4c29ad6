//! The real `xtask`, from its command line to its files, with a peer that is a shell script.

mod bench;
mod compare;
mod harness;
mod resume;
mod self_test;
mod tools;
mod usage;
