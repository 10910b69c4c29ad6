//! The rows of the matrix.

mod ends;
mod eventfd;
mod fifo;
mod kcp;
mod many;
mod mutex_condvar;
mod packet;
mod peers;
mod pipe;
mod pipes;
mod posix_mq;
mod posix_sem;
mod process;
mod rings;
mod rpc;
mod rt_signal;
mod semaphores;
mod signal;
mod signalfd;
mod signals;
mod sysv_mq;
mod sysv_sem;
mod tcp;
mod udp;
mod unix;

use crate::Subject;

/// A link that does what it should, for the faulty ones of [`planted`](crate::planted) to break.
pub(crate) use unix::SoundLink;

/// Every mechanism that this program was built with: [`ALL`], what the standard library has, and, with the
/// feature `peers`, other people's libraries.
pub fn all() -> impl Iterator<Item = &'static Subject> {
    ALL.iter().chain(peers::ALL)
}

/// Every mechanism, in the order of the report.
pub const ALL: &[Subject] = &[
    pipe::SUBJECT,
    packet::SUBJECT,
    fifo::SUBJECT,
    unix::STREAM,
    unix::SEQPACKET,
    unix::DATAGRAM,
    tcp::SUBJECT,
    udp::SUBJECT,
    kcp::SUBJECT,
    posix_mq::SUBJECT,
    sysv_mq::SUBJECT,
    rings::SPSC,
    rings::MPSC,
    rings::MPMC,
    rings::BROADCAST,
    rings::UNBOUNDED,
    rpc::SHM,
    rpc::UNIX,
    rpc::TCP,
    process::FORK,
    process::SPAWN,
    signal::SUBJECT,
    rt_signal::SUBJECT,
    signalfd::SUBJECT,
    posix_sem::SUBJECT,
    sysv_sem::SUBJECT,
    eventfd::SUBJECT,
    mutex_condvar::SUBJECT,
];
