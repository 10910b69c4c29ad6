#![doc = include_str!("../README.md")]

mod across;
mod blocked;
mod bytes;
mod descriptors;
mod environment;
mod harness;
mod listeners;
mod messages;
mod named;
mod notifications;
mod payload;
mod peer;
mod privileges;
mod proc;
mod programs;
mod regions;
mod resources;
mod runner;
mod semaphores;
mod strace;
mod stream;
mod sys;
mod verdict;
mod waits;

pub use across::{Across, ByHandoff, InProcess, adopt_descriptor, give_descriptor};
pub use blocked::{Blocked, block};
pub use bytes::Bytes;
pub use descriptors::{Descriptor, Descriptors, with_free_descriptors};
pub use environment::{DEADLINE, dir, names_in, names_in_dir, unique_name};
pub use harness::{Harness, Verdict};
pub use listeners::Listeners;
pub use messages::Messages;
pub use named::NamedObjects;
pub use notifications::Notifications;
pub use peer::{Casting, Peer, hear, say, wait_for_the_end};
pub use privileges::{
    NOBODY, become_nobody, become_user, in_namespaces, is_root, need_capability, need_root,
};
pub use programs::{CProgram, Talker, example, need, need_python, run, run_examples};
pub use regions::Regions;
pub use rustix::thread::CapabilitySet;
pub use semaphores::Semaphores;
pub use strace::Strace;
pub use sys::default_sigpipe;
pub use verdict::{note, skip};
