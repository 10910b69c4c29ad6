//! Connections at a Unix socket.

use std::os::fd::{AsFd, OwnedFd};

use ipc_core::{Caps, Listen, Result, Shape, Wait};
use ipc_testkit::Listeners;
use rustix::event::PollFlags;
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, accept_with, bind, connect, listen,
    socket_with,
};

use super::wait::{error, retry};

/// A listening socket with an abstract name, which vanishes with it.
#[derive(Debug)]
pub struct Door {
    pub fd: OwnedFd,
    pub address: SocketAddrUnix,
}

fn socket(flags: SocketFlags) -> Result<OwnedFd> {
    let flags = flags | SocketFlags::CLOEXEC;
    socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None).map_err(error("socket"))
}

pub fn open_door() -> Result<Door> {
    let name = ipc_testkit::unique_name();
    let address = SocketAddrUnix::new_abstract_name(name.as_bytes()).map_err(error("name"))?;
    let fd = socket(SocketFlags::NONBLOCK)?;
    bind(&fd, &address).map_err(error("bind"))?;
    listen(&fd, 16).map_err(error("listen"))?;
    Ok(Door { fd, address })
}

impl Listen for Door {
    type Conn = OwnedFd;

    fn accept_with(&self, wait: Wait) -> Result<OwnedFd> {
        retry(self.fd.as_fd(), PollFlags::IN, "accept4", wait, || {
            accept_with(&self.fd, SocketFlags::CLOEXEC)
        })
    }
}

/// The fixture.
pub struct Doors;

impl Listeners for Doors {
    const NAME: &'static str = "unix-socket";
    const CAPS: Caps = Caps::new(Shape::ByteStream).named().pollable();
    type Listener = Door;
    type Conn = OwnedFd;
    type Client = OwnedFd;

    fn listen() -> Result<Door> {
        open_door()
    }

    fn arrive(door: &Door) -> Result<OwnedFd> {
        let fd = socket(SocketFlags::empty())?;
        connect(&fd, &door.address).map_err(error("connect"))?;
        Ok(fd)
    }
}
