//! The rows of the matrix.

mod bytes;
mod fifo;
mod packet;
mod pipe;
mod posix_mq;
mod sysv_mq;

use crate::Subject;

/// Every mechanism, in the order of the report.
pub const ALL: &[Subject] =
    &[pipe::SUBJECT, packet::SUBJECT, fifo::SUBJECT, posix_mq::SUBJECT, sysv_mq::SUBJECT];
