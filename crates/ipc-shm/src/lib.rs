//! Shared memory.
//!
//! | you want | take |
//! |---|---|
//! | memory for processes that can pass a descriptor, also to peers that are not trusted | [`Memfd`] |
//! | memory that unrelated processes find by a name | [`PosixShm`] |
//! | memory that programs find by a System V key | [`SysvShm`] |
//! | memory that forked children share | [`Anonymous`] |
//! | messages without a system call for each | [`ring`] |
//! | a file as memory: read, shared, or copied as it is written | [`FileMap`] |
//!
//! All are [`ipc_core::Region`]s; [`RegionExt`] copies bytes in and out and makes atomics of them without
//! `unsafe`.
//!
//! # Examples
//!
//! ```
//! use std::process::Command;
//! use ipc_core::Handoff;
//! use ipc_shm::{MemfdOptions, RegionExt};
//!
//! let memory = MemfdOptions::new(1 << 20).create()?;
//! memory.write_at(0, b"for the worker")?;
//! let mut worker = Command::new("worker");
//! memory.give(&mut worker, "frame")?;
//! // The worker: let memory = Memfd::<ReadOnly>::adopt("frame")?;
//! # Ok::<(), ipc_core::Error>(())
//! ```
//!
//! # What the kernel promises, and what it does not
//!
//! - Two mappings of the same memory are the same bytes: a store by one is a load by the other, ordered
//!   by atomics as between threads.
//! - Memory that another process can write can change between two looks at it. Copy out, then check the
//!   copy. There is no `&[u8]` here but by `unsafe`.
//! - A touch of memory that was taken away (a file that was shortened) or that the machine does not have
//!   is a `SIGBUS`. [`Memfd`] cannot be shortened, and what is created is reserved at once.
//! - Memory has no end of file: a peer that dies leaves what it wrote, half done perhaps.

mod access;
mod anonymous;
mod bytes;
mod copy;
mod file;
mod mapping;
mod memfd;
mod options;
mod posix;
pub mod ring;
mod sys;
mod sysv;

pub use access::{Access, Private, ReadOnly, ReadWrite};
pub use anonymous::Anonymous;
pub use bytes::RegionExt;
pub use file::{Advice, FileMap, FileMapOptions};
pub use memfd::{Memfd, MemfdOptions, Seals};
pub use options::{Grant, Granted, MapOptions};
pub use posix::{PosixShm, PosixShmOptions};
pub use sysv::{Key, RemovalGuard, Status, SysvShm, SysvShmOptions};
