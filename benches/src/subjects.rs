//! The rows of the matrix.

mod ends;
mod fifo;
mod kcp;
mod packet;
mod pipe;
mod pipes;
mod posix_mq;
mod process;
mod rt_signal;
mod shm_spsc;
mod signal;
mod signalfd;
mod signals;
mod sysv_mq;
mod tcp;
mod udp;
mod unix;

use crate::Subject;

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
    shm_spsc::SUBJECT,
    process::FORK,
    process::SPAWN,
    signal::SUBJECT,
    rt_signal::SUBJECT,
    signalfd::SUBJECT,
];
