//! Plain and correct mechanisms, for the suites to pass on and for the broken ones to spoil.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses its own part of it")]

pub mod eventfd;
pub mod file;
pub mod listener;
pub mod memory;
pub mod seqpacket;
pub mod stream;
pub mod wait;
