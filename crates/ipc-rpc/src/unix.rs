//! Unix sockets as links: descriptors and large arguments go beside the bytes.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use ipc_core::{Result, SendMsg, Wait};
use ipc_sock::unix::{SealedMemfd, Seals, Seqpacket};

use crate::fds::Beside;
use crate::{RecvFrame, SendFrame};

/// A seqpacket socket over which descriptors go with frames.
///
/// What is too long for a message goes as a sealed memfd: up to what the receiver's
/// [`HostOptions::max_large`](crate::HostOptions::max_large) or
/// [`ClientOptions::max_large`](crate::ClientOptions::max_large) allows. A bare [`Seqpacket`] is a link as well, and
/// a little quicker.
///
/// # Examples
///
/// ```
/// use ipc_rpc::{SendFrame, WithFds};
/// use ipc_sock::unix::SocketOptions;
///
/// let (client, _server) = SocketOptions::new().pair_seqpacket()?;
/// assert!(WithFds::new(client).passes_fds());
/// # Ok::<(), ipc_core::Error>(())
/// ```
#[derive(Debug)]
pub struct WithFds(Seqpacket);

impl WithFds {
    /// A link over this socket.
    #[must_use]
    pub const fn new(socket: Seqpacket) -> Self {
        Self(socket)
    }

    /// The socket, to look at it.
    #[must_use]
    pub const fn get_ref(&self) -> &Seqpacket {
        &self.0
    }

    /// A second value for the same end: one to send by and one to receive by, for
    /// [`Pool::serve`](crate::Pool::serve).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::ResourceLimit`](ipc_core::ErrorKind::ResourceLimit) when descriptors run out.
    pub fn try_clone(&self) -> Result<Self> {
        self.0.try_clone().map(Self)
    }
}

impl SendFrame for WithFds {
    fn max_frame(&self) -> usize {
        self.0.max_len()
    }

    fn passes_fds(&self) -> bool {
        true
    }

    fn send_frame(&mut self, frame: &[u8], fds: &[OwnedFd], wait: Wait) -> Result<()> {
        if fds.is_empty() {
            return self.0.send_with(frame, wait);
        }
        let fds: Vec<_> = fds.iter().map(AsFd::as_fd).collect();
        self.0.send_message(frame, &fds, wait)
    }
}

impl RecvFrame for WithFds {
    fn recv_frame(&mut self, buf: &mut [u8], fds: &mut Vec<OwnedFd>, wait: Wait) -> Result<usize> {
        let message = self.0.recv_message(buf, wait)?;
        fds.extend(message.fds);
        Ok(message.len)
    }
}

/// Puts bytes into a memfd that goes before these descriptors.
pub(crate) fn pack(bytes: &[u8], beside: Beside) -> Result<Beside> {
    let memfd = OwnedFd::from(SealedMemfd::new(bytes)?);
    let mut fds = vec![memfd];
    for fd in beside.iter().flat_map(|it| it.iter()) {
        let copy = fd
            .try_clone()
            .map_err(|error| ipc_core::Error::from_os("dup", error.raw_os_error().unwrap_or(0)))?;
        fds.push(copy);
    }
    Ok(Some(Arc::from(fds)))
}

/// Takes the bytes out of the memfd that came first; `None` if there is none that is sealed, or it is longer
/// than `max`.
pub(crate) fn unpack(fds: &mut Vec<OwnedFd>, max: usize) -> Option<Vec<u8>> {
    if fds.is_empty() {
        return None;
    }
    // The rest of the descriptors keep their order, and with it their numbers.
    SealedMemfd::check(fds.remove(0), Seals::CONTENTS).ok()?.read(max).ok()
}
