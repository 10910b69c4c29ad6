//! What sort of socket a descriptor is.

use std::os::fd::BorrowedFd;

use ipc_core::{Error, ErrorKind, Result};
use ipc_fd::kind::{file_type, os};
use rustix::fs::FileType;
use rustix::net::sockopt;
use rustix::net::{AddressFamily, SocketType, ipproto};

/// Which sort of socket a type stands for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Expected {
    /// The domains: one, or IPv4 and IPv6.
    pub(crate) domains: &'static [AddressFamily],
    pub(crate) kind: SocketType,
    pub(crate) listens: bool,
    /// In words, as in "it must be a Unix stream socket".
    pub(crate) name: &'static str,
}

/// Checks that a descriptor is the sort of socket that a type stands for.
pub(crate) fn check(fd: BorrowedFd<'_>, want: Expected) -> Result<()> {
    let wrong = |found| {
        let kind = ErrorKind::WrongType { expected: want.name, found };
        Err(Error::new(kind, "adopt descriptor"))
    };
    let stat = rustix::fs::fstat(fd).map_err(os("fstat"))?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::Socket {
        return wrong(file_type(&stat));
    }
    // An O_PATH descriptor of a socket's name is no socket: it answers EBADF.
    let domain = match sockopt::socket_domain(fd) {
        Err(rustix::io::Errno::BADF) => return wrong("a place in the file system (O_PATH)"),
        domain => domain.map_err(os("getsockopt SO_DOMAIN"))?,
    };
    let kind = sockopt::socket_type(fd).map_err(os("getsockopt SO_TYPE"))?;
    let listens = sockopt::socket_acceptconn(fd).map_err(os("getsockopt SO_ACCEPTCONN"))?;
    if domain != AddressFamily::UNIX && !is_tcp_or_udp(fd)? {
        return wrong("a socket of another domain or protocol");
    }
    if want.domains.contains(&domain) && kind == want.kind && listens == want.listens {
        return Ok(());
    }
    wrong(words(domain, kind, listens))
}

/// Whether a socket speaks one of these: ICMP, say, has sockets of the type of UDP.
fn is_tcp_or_udp(fd: BorrowedFd<'_>) -> Result<bool> {
    let protocol = sockopt::socket_protocol(fd).map_err(os("getsockopt SO_PROTOCOL"))?;
    Ok([ipproto::TCP, ipproto::MPTCP, ipproto::UDP].map(Some).contains(&protocol))
}

/// A socket in words.
fn words(domain: AddressFamily, kind: SocketType, listens: bool) -> &'static str {
    let unix = domain == AddressFamily::UNIX;
    let internet = domain == AddressFamily::INET || domain == AddressFamily::INET6;
    match (kind, listens) {
        (SocketType::STREAM, false) if unix => "a Unix stream socket",
        (SocketType::STREAM, true) if unix => "a listening Unix stream socket",
        (SocketType::SEQPACKET, false) if unix => "a Unix seqpacket socket",
        (SocketType::SEQPACKET, true) if unix => "a listening Unix seqpacket socket",
        (SocketType::DGRAM, _) if unix => "a Unix datagram socket",
        (SocketType::STREAM, false) if internet => "a TCP socket",
        (SocketType::STREAM, true) if internet => "a listening TCP socket",
        (SocketType::DGRAM, _) if internet => "a UDP socket",
        _ => "a socket of another domain or type",
    }
}
