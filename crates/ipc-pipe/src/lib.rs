//! Pipes and FIFOs.
//!
//! | you want | take |
//! |---|---|
//! | bytes one way, between a process and its children or threads | [`PipeOptions::open`] |
//! | bytes both ways | [`PipeOptions::open_duplex`] |
//! | messages of at most [`PIPE_BUF`] bytes, kept apart by the kernel | [`PipeOptions::open_packet`] |
//! | messages of any length | [`ipc_core::Framed`] around either end |
//! | a pipe that unrelated processes find by a path | [`Fifo`] |
//! | to move data between a pipe and a file or socket without copying it | [`PipeReader::splice_to`], [`PipeWriter::splice_from`], [`PipeReader::tee`], [`PipeWriter::vmsplice`] |
//!
//! # Examples
//!
//! ```
//! use std::io::{BufRead, BufReader, Write};
//!
//! let (rx, mut tx) = ipc_pipe::pipe()?;
//! writeln!(tx, "first")?;
//! writeln!(tx, "second")?;
//! drop(tx);
//!
//! let lines: Vec<_> = BufReader::new(rx).lines().collect::<Result<_, _>>()?;
//! assert_eq!(lines, ["first", "second"]);
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! # What the kernel promises, and what it does not
//!
//! - A write of at most [`PIPE_BUF`] (4096) bytes is atomic: bytes of two writers do not mix in it.
//!   A longer one may be torn, and several writers then need a lock or a pipe each.
//! - A reader sees the end of the stream when **every** copy of the writing end is closed, those in
//!   forked children included. All ends here are close-on-exec, so that only a child to which an end
//!   was [given](ipc_core::Handoff) has a copy.
//! - A write after the last reader has gone is [`ErrorKind::Disconnected`](ipc_core::ErrorKind), and
//!   never kills the process: where `SIGPIPE` is not ignored (a C `main`), the ends see to it.
//! - A pipe holds 64 KiB unless told otherwise ([`PipeWriter::set_capacity`]), in pages: sixteen
//!   1-byte packets fill it, and so do sixteen pages.
//!
//! # Waiting
//!
//! Every operation takes a [`Wait`](ipc_core::Wait). `Forever` is one blocking system call, `Never`
//! one non-blocking one. `O_NONBLOCK` is never switched on for an end, since a process that has a
//! copy of it would be surprised: pipes are read and written with `RWF_NOWAIT` (Linux 6.5 for pipes
//! made by `pipe2`), and where the kernel refuses that (older kernels, and FIFOs up to Linux 6.18 at
//! least) through a second, non-blocking open file description of the same pipe, which is opened once
//! by way of `/proc/self/fd`.
//!
//! # Limitations
//!
//! - `/proc` must be mounted for FIFOs, and for non-blocking operations on older kernels.
//! - An end of a FIFO that another user passed to this process can only block if that user's file
//!   mode does not let this process open the FIFO itself.
//! - Whether `SIGPIPE` is ignored is read when an end is made. A process that afterwards sets it back
//!   to its default will be killed by a write to a closed pipe, as that default says.

mod duplex;
mod end;
mod fifo;
mod handoff;
mod kind;
mod node;
mod open;
mod packet;
mod pipe;
mod reclaim;
mod splice;
mod sys;

pub use duplex::DuplexPipe;
pub use fifo::{Fifo, FifoOptions};
pub use packet::{PacketReader, PacketWriter};
pub use pipe::{PipeOptions, PipeReader, PipeWriter, pipe};

/// The most bytes of one write that other writers' bytes never mix with, and the longest packet.
///
/// POSIX asks for 512 at least; it is 4096 on every Linux.
///
/// # References
///
/// `pipe`(7), section *PIPE_BUF*.
pub const PIPE_BUF: usize = 4096;

/// Compiles the examples of the workspace's README.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
