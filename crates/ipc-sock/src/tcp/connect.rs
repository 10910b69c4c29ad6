//! Connecting to a listener.

use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::time::Duration;

use ipc_core::{Error, ErrorKind, Result, Wait};
use ipc_fd::kind::os;
use ipc_fd::wait::ready;
use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::net::{SocketType, sockopt};

use super::SocketOptions;
use crate::inet;
use crate::socket::Socket;

/// The operation in this file's errors.
const OP: &str = "connect";

/// Connects a new socket.
pub(super) fn connect(address: SocketAddr, options: &SocketOptions, wait: Wait) -> Result<Socket> {
    inet::refuse_port_0(address)?;
    let socket = inet::open(address, SocketType::STREAM)?;
    options.apply(&socket)?;
    if let Some(local) = options.local_address {
        if local.is_ipv4() != address.is_ipv4() {
            return Err(Error::new(ErrorKind::InvalidInput, OP)
                .with_note("the local address is of the other family"));
        }
        inet::bind(&socket, local, false)?;
    }
    // Nobody else has this socket yet.
    let blocks = wait == Wait::Forever;
    if !blocks {
        set_nonblocking(&socket, true)?;
    }
    match rustix::net::connect(&socket, &address) {
        Ok(()) => {}
        // A signal does not end the attempt, which goes on without us.
        Err(Errno::INPROGRESS | Errno::INTR) => {
            ready(OP, socket.as_fd(), PollFlags::OUT, wait)?;
            let came_about = sockopt::socket_error(&socket).map_err(os("getsockopt SO_ERROR"))?;
            came_about.map_err(|errno| inet::cannot_connect(errno, address))?;
        }
        Err(errno) => return Err(inet::cannot_connect(errno, address)),
    }
    if !blocks {
        set_nonblocking(&socket, false)?;
    }
    refuse_self(&socket)?;
    Ok(socket)
}

/// A socket that asks for a port in the range of local ports, where nobody listens, may be given that
/// very port as its own; then it meets itself, and the kernel calls that a connection.
fn refuse_self(socket: &Socket) -> Result<()> {
    // A peer that has gone by now has no address.
    if inet::peer(socket) != inet::local(socket) {
        return Ok(());
    }
    // Reset, so that the port is free for who should listen there, and not kept for a minute.
    sockopt::set_socket_linger(socket, Some(Duration::ZERO)).map_err(os("setsockopt SO_LINGER"))?;
    Err(Error::new(ErrorKind::ConnectionRefused, OP)
        .with_note("the socket was connected to itself, since nobody listens there"))
}

fn set_nonblocking(socket: &Socket, yes: bool) -> Result<()> {
    rustix::io::ioctl_fionbio(socket, yes).map_err(os("ioctl FIONBIO"))
}
