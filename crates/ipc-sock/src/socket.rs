//! A socket: sending and receiving with every [`Wait`].

use std::io::{IoSlice, IoSliceMut};
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use ipc_core::{Error, ErrorKind, Result, Wait};
use ipc_fd::kind::os;
use ipc_fd::wait;
use rustix::buffer::spare_capacity;
use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::net::sockopt::{self, Timeout};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvFlags, SendAncillaryBuffer, SendFlags, Shutdown,
    SocketFlags, SocketType,
};

use crate::sys;

/// No write ever raises `SIGPIPE`.
pub(crate) const SEND: SendFlags = SendFlags::NOSIGNAL;

/// A socket of the domain and type that the wrapping type stands for.
///
/// `Forever` is one blocking call, `Never` one with `MSG_DONTWAIT`, and with a deadline calls with
/// `MSG_DONTWAIT` alternate with `ppoll`: nothing is ever set on the socket itself, which may be shared.
#[derive(Debug)]
pub(crate) struct Socket(OwnedFd);

impl Socket {
    /// Trusts that `fd` is a socket of the right domain and type.
    pub(crate) const fn new(fd: OwnedFd) -> Self {
        Self(fd)
    }

    /// A new socket, close-on-exec.
    pub(crate) fn open(domain: AddressFamily, kind: SocketType) -> Result<Self> {
        let fd = rustix::net::socket_with(domain, kind, SocketFlags::CLOEXEC, None);
        fd.map(Self).map_err(os("socket"))
    }

    pub(crate) fn into_fd(self) -> OwnedFd {
        self.0
    }

    /// Receives once: `recv`.
    ///
    /// With [`RecvFlags::TRUNC`] it returns the length of the datagram, which may be more than fits.
    /// This and [`send`](Self::send) are what a caller's time goes into: the common case is a call
    /// that works, and everything else is elsewhere.
    #[inline]
    pub(crate) fn recv(&self, buf: &mut [u8], flags: RecvFlags, wait: Wait) -> Result<usize> {
        self.recv_by(flags, wait, |flags| rustix::net::recv(&self.0, &mut *buf, flags))
    }

    /// Receives once, as [`recv`](Self::recv), into the memory that `buf` has, of which not a byte need have
    /// been written before. What was in it is gone.
    #[inline]
    pub(crate) fn recv_anew(
        &self,
        buf: &mut Vec<u8>,
        flags: RecvFlags,
        wait: Wait,
    ) -> Result<usize> {
        self.recv_by(flags, wait, |flags| {
            buf.clear();
            rustix::net::recv(&self.0, spare_capacity(buf), flags)
        })
    }

    #[inline]
    fn recv_by<T>(
        &self,
        flags: RecvFlags,
        wait: Wait,
        mut recv: impl FnMut(RecvFlags) -> Result<(T, usize), Errno>,
    ) -> Result<usize> {
        if !matches!(wait, Wait::Forever) {
            let now = || recv(flags | RecvFlags::DONTWAIT);
            return self.when_readable("recv", wait, now).map(|(_, n)| n);
        }
        match recv(flags) {
            Ok((_, n)) => Ok(n),
            Err(errno) => wait::go_on("recv", self.as_fd(), PollFlags::IN, errno, || {
                recv(flags).map(|(_, n)| n)
            })
            .map_err(given_up),
        }
    }

    /// Sends once: `send(MSG_NOSIGNAL)`.
    #[inline]
    pub(crate) fn send(&self, buf: &[u8], wait: Wait) -> Result<usize> {
        if !matches!(wait, Wait::Forever) {
            let now = || rustix::net::send(&self.0, buf, SEND | SendFlags::DONTWAIT);
            return self.when_writable("send", wait, now);
        }
        match rustix::net::send(&self.0, buf, SEND) {
            Ok(n) => Ok(n),
            Err(errno) => wait::go_on("send", self.as_fd(), PollFlags::OUT, errno, || {
                rustix::net::send(&self.0, buf, SEND)
            })
            .map_err(given_up),
        }
    }

    /// Receives once into several buffers: `recvmsg`.
    pub(crate) fn recv_vectored(
        &self,
        bufs: &mut [IoSliceMut<'_>],
        flags: RecvFlags,
        wait: Wait,
    ) -> Result<usize> {
        self.recv_vectored_from(bufs, flags, wait).map(|(n, _)| n)
    }

    /// Receives once into several buffers, and tells who sent it if that came over the Internet: `recvmsg`.
    pub(crate) fn recv_vectored_from(
        &self,
        bufs: &mut [IoSliceMut<'_>],
        flags: RecvFlags,
        wait: Wait,
    ) -> Result<(usize, Option<SocketAddr>)> {
        let flags = flags | dontwait_recv(wait);
        let got = self.when_readable("recvmsg", wait, || {
            rustix::net::recvmsg(&self.0, bufs, &mut RecvAncillaryBuffer::default(), flags)
        })?;
        Ok((got.bytes, got.address.and_then(|from| from.try_into().ok())))
    }

    /// Sends once from several buffers: `sendmsg(MSG_NOSIGNAL)`.
    pub(crate) fn send_vectored(&self, bufs: &[IoSlice<'_>], wait: Wait) -> Result<usize> {
        let flags = SEND | dontwait_send(wait);
        self.when_writable("sendmsg", wait, || {
            rustix::net::sendmsg(&self.0, bufs, &mut SendAncillaryBuffer::default(), flags)
        })
    }

    /// Makes a call until it does not fail for want of something to read, or until `wait` is
    /// exhausted. The call must not block unless `wait` is [`Wait::Forever`].
    pub(crate) fn when_readable<T>(
        &self,
        op: &'static str,
        wait: Wait,
        now: impl FnMut() -> Result<T, Errno>,
    ) -> Result<T> {
        wait::again(op, wait, now, || wait::ready(op, self.as_fd(), PollFlags::IN, wait))
            .map_err(given_up)
    }

    /// Makes a call until it does not fail for want of room, or until `wait` is exhausted. The call
    /// must not block unless `wait` is [`Wait::Forever`].
    pub(crate) fn when_writable<T>(
        &self,
        op: &'static str,
        wait: Wait,
        mut now: impl FnMut() -> Result<T, Errno>,
    ) -> Result<T> {
        let until_ready = || wait::ready(op, self.as_fd(), PollFlags::OUT, wait);
        match wait::again(op, wait, &mut now, until_ready) {
            // `poll` calls a Unix socket writable once three quarters of its buffer are free, so that
            // there may be room although it said nothing.
            Err(error) if error.kind() == ErrorKind::TimedOut && error.raw_os_error().is_none() => {
                match now() {
                    Err(Errno::AGAIN | Errno::INTR) => Err(error),
                    done => done.map_err(os(op)),
                }
            }
            done => done,
        }
        .map_err(given_up)
    }

    /// How many bytes can be received without waiting; of a datagram socket, in the next datagram.
    /// `FIONREAD`.
    pub(crate) fn available(&self) -> Result<usize> {
        let bytes = rustix::io::ioctl_fionread(&self.0).map_err(os("ioctl FIONREAD"))?;
        Ok(usize::try_from(bytes).unwrap_or(usize::MAX))
    }

    /// How much of the send buffer is taken: what was sent and not received, in the kernel's bytes.
    pub(crate) fn unsent(&self) -> Result<usize> {
        let bytes = sys::unsent(self.as_fd()).map_err(os("ioctl TIOCOUTQ"))?;
        Ok(usize::try_from(bytes).unwrap_or(0))
    }

    pub(crate) fn shutdown(&self, how: Shutdown) -> Result<()> {
        rustix::net::shutdown(&self.0, how).map_err(os("shutdown"))
    }

    pub(crate) fn try_clone(&self) -> Result<Self> {
        rustix::io::fcntl_dupfd_cloexec(&self.0, 0).map(Self).map_err(os("fcntl F_DUPFD_CLOEXEC"))
    }

    pub(crate) fn send_buffer(&self) -> Result<usize> {
        sockopt::socket_send_buffer_size(&self.0).map_err(os("getsockopt SO_SNDBUF"))
    }

    pub(crate) fn recv_buffer(&self) -> Result<usize> {
        sockopt::socket_recv_buffer_size(&self.0).map_err(os("getsockopt SO_RCVBUF"))
    }

    /// Asks for buffers of these sizes, where one was asked for.
    pub(crate) fn set_buffers(&self, send: Option<usize>, recv: Option<usize>) -> Result<()> {
        if let Some(bytes) = send {
            sockopt::set_socket_send_buffer_size(&self.0, bytes)
                .map_err(os("setsockopt SO_SNDBUF"))?;
        }
        if let Some(bytes) = recv {
            sockopt::set_socket_recv_buffer_size(&self.0, bytes)
                .map_err(os("setsockopt SO_RCVBUF"))?;
        }
        Ok(())
    }

    /// How long a call that blocks on this socket does so at most: for a socket that nobody else has
    /// yet. `None` is for ever.
    pub(crate) fn set_send_timeout(&self, timeout: Option<Duration>) -> Result<()> {
        // Zero would be for ever, and is an error in rustix.
        let timeout = timeout.map(|it| it.max(Duration::from_micros(1)));
        sockopt::set_socket_timeout(&self.0, Timeout::Send, timeout)
            .map_err(os("setsockopt SO_SNDTIMEO"))
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Tells a connection that the kernel has given up from a deadline that has passed: trying again is of
/// no use.
#[cold]
fn given_up(error: Error) -> Error {
    if error.raw_os_error() != Some(Errno::TIMEDOUT.raw_os_error()) {
        return error;
    }
    error.with_kind(ErrorKind::Disconnected).with_note("the peer does not answer any more")
}

/// `MSG_DONTWAIT` for every wait that is not for ever.
pub(crate) fn dontwait_recv(wait: Wait) -> RecvFlags {
    if wait == Wait::Forever { RecvFlags::empty() } else { RecvFlags::DONTWAIT }
}

/// `MSG_DONTWAIT` for every wait that is not for ever.
pub(crate) fn dontwait_send(wait: Wait) -> SendFlags {
    if wait == Wait::Forever { SendFlags::empty() } else { SendFlags::DONTWAIT }
}
