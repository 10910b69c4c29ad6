//! What TCP and UDP share: sockets with an Internet address, and what their errors mean.

use std::net::SocketAddr;

use ipc_core::{Error, ErrorKind, Result};
use ipc_fd::kind::os;
use rustix::io::Errno;
use rustix::net::sockopt;
use rustix::net::{AddressFamily, SocketAddrAny, SocketType};

use crate::socket::Socket;

/// IPv4 and IPv6.
pub(crate) const DOMAINS: &[AddressFamily] = &[AddressFamily::INET, AddressFamily::INET6];

/// A new socket for addresses of this family, close-on-exec.
pub(crate) fn open(address: SocketAddr, kind: SocketType) -> Result<Socket> {
    let domain = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    Socket::open(domain, kind).map_err(|error| match error.kind() {
        ErrorKind::Unsupported => error.with_note("this kernel has no such address family"),
        _ => error,
    })
}

/// Binds to an address; to one of IPv6 with or without those of IPv4.
pub(crate) fn bind(socket: &Socket, address: SocketAddr, dual_stack: bool) -> Result<()> {
    const OP: &str = "bind";
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(socket, !dual_stack).map_err(os("setsockopt IPV6_V6ONLY"))?;
    }
    rustix::net::bind(socket, &address).map_err(|errno| {
        let error = os(OP)(errno);
        match errno {
            Errno::ACCESS => error.with_note(
                "a port below /proc/sys/net/ipv4/ip_unprivileged_port_start needs \
                 CAP_NET_BIND_SERVICE",
            ),
            Errno::ADDRINUSE if address.port() == 0 => out_of_ports(error),
            Errno::ADDRINUSE => error.with_note("another socket has this address and port"),
            Errno::ADDRNOTAVAIL => error.with_note("no interface of this machine has the address"),
            Errno::INVAL => error.with_note(SCOPE),
            _ => error,
        }
    })
}

/// The error for an address that nobody can have, to which the kernel connects a socket of UDP.
pub(crate) fn refuse_port_0(address: SocketAddr) -> Result<()> {
    if address.port() == 0 {
        let error = Error::new(ErrorKind::InvalidInput, "connect");
        return Err(error.with_note("nobody can have port 0"));
    }
    Ok(())
}

/// What it means that a socket cannot be connected to an address.
#[cold]
pub(crate) fn cannot_connect(errno: Errno, address: SocketAddr) -> Error {
    let error = os("connect")(errno);
    match errno {
        Errno::TIMEDOUT => error.with_note("nobody answers at this address"),
        // Over IPv6 it may be either this or the want of an address.
        Errno::ADDRNOTAVAIL if address.is_ipv4() => out_of_ports(error),
        _ => cannot_reach(error),
    }
}

/// What it means that the kernel cannot send to an address.
#[cold]
pub(crate) fn cannot_reach(error: Error) -> Error {
    match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::NETUNREACH | Errno::HOSTUNREACH) => error
            .with_kind(ErrorKind::NotFound)
            .with_note("no route leads to this address, or no machine has it"),
        Some(Errno::ADDRNOTAVAIL) => {
            error.with_note("no interface has an IPv6 address to send from, or no port is free")
        }
        Some(Errno::AFNOSUPPORT) => error
            .with_kind(ErrorKind::InvalidInput)
            .with_note("an IPv4 socket cannot send to an IPv6 address"),
        Some(Errno::ACCESS) => {
            error.with_note("it is a broadcast address, or a route prohibits it")
        }
        Some(Errno::PERM) => error.with_note("a firewall does not let it out"),
        Some(Errno::INVAL) => error.with_note(SCOPE),
        _ => error,
    }
}

/// Why the kernel does not take an address.
const SCOPE: &str = "port 0 cannot be reached, and a link-local IPv6 address needs a scope id";

fn out_of_ports(error: Error) -> Error {
    error.with_kind(ErrorKind::ResourceLimit {
        limit: "local ports",
        knob: "/proc/sys/net/ipv4/ip_local_port_range",
    })
}

/// `getsockname`
pub(crate) fn local(socket: &Socket) -> Result<SocketAddr> {
    rustix::net::getsockname(socket).and_then(SocketAddr::try_from).map_err(os("getsockname"))
}

/// `getpeername`
pub(crate) fn peer(socket: &Socket) -> Result<SocketAddr> {
    let peer = rustix::net::getpeername(socket)
        .and_then(|peer: Option<SocketAddrAny>| SocketAddr::try_from(peer.ok_or(Errno::NOTCONN)?));
    peer.map_err(os("getpeername"))
}

/// Lets several sockets of this user share an address, or not.
pub(crate) fn set_reuse_port(socket: &Socket, yes: bool) -> Result<()> {
    if yes {
        sockopt::set_socket_reuseport(socket, true).map_err(os("setsockopt SO_REUSEPORT"))?;
    }
    Ok(())
}
