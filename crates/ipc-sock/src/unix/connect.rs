//! Connecting to a listener.

use ipc_core::{Error, ErrorKind, Result, Wait};
use ipc_fd::kind::{file_type, os};
use rustix::fs::FileType;
use rustix::io::Errno;
use rustix::net::SocketType;

use super::peer::credentials;
use super::{Address, SocketOptions};
use crate::socket::Socket;

/// The operation in this file's errors.
const OP: &str = "connect";

/// Connects a new socket, and checks who listens.
pub(super) fn connect(
    kind: SocketType,
    address: &Address,
    options: &SocketOptions,
    wait: Wait,
) -> Result<Socket> {
    let sockaddr = address.to_sockaddr()?;
    let socket = options.open(kind)?;
    loop {
        // A backlog that is full does not become ready: `poll` says nothing, but `connect` waits as
        // long as `SO_SNDTIMEO`. Nobody else has this socket yet.
        match wait.remaining() {
            None => {}
            Some(left) if left.is_zero() => set_nonblocking(&socket, true)?,
            left => socket.set_send_timeout(left)?,
        }
        match rustix::net::connect(&socket, &sockaddr) {
            Ok(()) => break,
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) if wait == Wait::Forever => {}
            Err(Errno::AGAIN) if wait.remaining().is_some_and(|left| left.is_zero()) => {
                return Err(Error::new(wait.exhausted(), OP).with_note("the backlog is full"));
            }
            Err(Errno::AGAIN) => {}
            Err(errno) => return Err(explain(OP, errno, address)),
        }
    }
    if wait != Wait::Forever {
        set_nonblocking(&socket, false)?;
        socket.set_send_timeout(None)?;
    }
    options.trust.check(&credentials(&socket)?, OP)?;
    Ok(socket)
}

fn set_nonblocking(socket: &Socket, yes: bool) -> Result<()> {
    rustix::io::ioctl_fionbio(socket, yes).map_err(os("ioctl FIONBIO"))
}

/// What it means that a name was not reached.
pub(super) fn explain(op: &'static str, errno: Errno, address: &Address) -> Error {
    let error = os(op)(errno);
    match errno {
        Errno::PROTOTYPE => error.with_kind(ErrorKind::WrongType {
            expected: "a socket of the type that connects",
            found: "a socket of another type",
        }),
        // The same errno for a socket without a process, and for a file that is no socket.
        Errno::CONNREFUSED => match address.as_path().map(rustix::fs::stat) {
            Some(Ok(stat)) if FileType::from_raw_mode(stat.st_mode) != FileType::Socket => {
                let found = file_type(&stat);
                error.with_kind(ErrorKind::WrongType { expected: "a socket", found })
            }
            _ => error,
        },
        _ => error,
    }
}
