//! TCP and UDP.

mod batches;
mod endings;
mod kills;
mod programs;
mod suites;
mod tcp;
mod udp;

use std::fmt::Debug;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use ipc_core::{ErrorKind, Result};
use ipc_testkit::{Harness, skip};

pub(crate) fn cases(mut harness: Harness) -> Harness {
    for part in [
        suites::cases,
        batches::cases,
        endings::cases,
        kills::cases,
        programs::cases,
        tcp::cases,
        udp::cases,
    ] {
        harness = part(harness);
    }
    harness
}

/// The error of what must fail.
#[track_caller]
fn kind<T: Debug>(result: Result<T>) -> ErrorKind {
    result.expect_err("it must fail").kind()
}

/// An address on the loopback interface, of any port.
fn loopback() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

/// An address on the loopback interface of IPv6, or the case is skipped.
fn loopback6() -> SocketAddr {
    let any = (Ipv6Addr::LOCALHOST, 0).into();
    if let Err(error) = ipc_sock::udp::SocketOptions::new().bind(any) {
        skip(format!("no IPv6 here (see net.ipv6.conf.lo.disable_ipv6): {error}"));
    }
    any
}
