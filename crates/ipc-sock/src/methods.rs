//! Methods that several types have, word for word.
//!
//! Each type has `socket(&self) -> &Socket`, `into_socket(self) -> Socket`,
//! `adopted(OwnedFd) -> Self` and `EXPECTED`.

/// What every socket has.
macro_rules! of_every_socket {
    ($socket:ident) => {
        impl $socket {
            /// How many bytes can be received without waiting: `FIONREAD`. Of a datagram socket, those of
            /// the first message; of a seqpacket socket, those of all messages. A message that is kept
            /// because a buffer was too short is not counted.
            ///
            /// # Errors
            ///
            /// [`ErrorKind::Other`](ipc_core::ErrorKind::Other) for an errno that Linux does not document.
            #[doc(alias("FIONREAD", "SIOCINQ"))]
            pub fn available(&self) -> Result<usize> {
                self.socket().available()
            }

            /// The room for what was sent and not yet received, in bytes of the kernel's memory, which
            /// are more than those of the messages: `SO_SNDBUF`.
            ///
            /// # Errors
            ///
            /// [`ErrorKind::Other`](ipc_core::ErrorKind::Other) for an errno that Linux does not document.
            #[doc(alias = "SO_SNDBUF")]
            pub fn send_buffer(&self) -> Result<usize> {
                self.socket().send_buffer()
            }

            /// The room for what has come, in bytes of the kernel's memory: `SO_RCVBUF`.
            ///
            /// # Errors
            ///
            /// [`ErrorKind::Other`](ipc_core::ErrorKind::Other) for an errno that Linux does not document.
            #[doc(alias = "SO_RCVBUF")]
            pub fn recv_buffer(&self) -> Result<usize> {
                self.socket().recv_buffer()
            }
        }

        impl AsFd for $socket {
            fn as_fd(&self) -> BorrowedFd<'_> {
                self.socket().as_fd()
            }
        }

        impl From<$socket> for OwnedFd {
            fn from(socket: $socket) -> Self {
                socket.into_socket().into_fd()
            }
        }

        /// Checks that it is a socket of this domain and type.
        ///
        /// # Errors
        ///
        /// [`ErrorKind::WrongType`](ipc_core::ErrorKind::WrongType); the descriptor comes back.
        impl TryFrom<OwnedFd> for $socket {
            type Error = Rejected<OwnedFd>;

            fn try_from(fd: OwnedFd) -> Result<Self, Rejected<OwnedFd>> {
                let (fd, ()) = checked(fd, |fd| kind::check(fd, Self::EXPECTED))?;
                Ok(Self::adopted(fd))
            }
        }
    };
}

/// What every connection has.
macro_rules! of_connections {
    ($socket:ident) => {
        impl $socket {
            /// Ends one direction, or both, for all copies of this end: `shutdown`.
            ///
            /// After [`Write`](std::net::Shutdown::Write) the peer sees the end of what was sent, and
            /// can still send.
            ///
            /// # Errors
            ///
            /// [`ErrorKind::Disconnected`](ipc_core::ErrorKind::Disconnected) when there is no connection
            /// any more.
            #[doc(alias = "half-close")]
            pub fn shutdown(&self, how: std::net::Shutdown) -> Result<()> {
                use std::net::Shutdown;
                self.socket().shutdown(match how {
                    Shutdown::Read => rustix::net::Shutdown::Read,
                    Shutdown::Write => rustix::net::Shutdown::Write,
                    Shutdown::Both => rustix::net::Shutdown::Both,
                })
            }
        }
    };
}

/// What every socket of TCP and UDP has.
macro_rules! of_internet_sockets {
    ($socket:ident) => {
        impl $socket {
            /// The address of this socket: `getsockname`.
            ///
            /// # Errors
            ///
            /// [`ErrorKind::Other`](ipc_core::ErrorKind::Other) for an errno that Linux does not
            /// document.
            #[doc(alias = "getsockname")]
            pub fn local_address(&self) -> Result<SocketAddr> {
                crate::inet::local(self.socket())
            }
        }
    };
}

/// What a byte stream does, for the value and for a reference to it: [`ReadBytes`](ipc_core::ReadBytes),
/// [`WriteBytes`](ipc_core::WriteBytes), [`Read`](std::io::Read) and [`Write`](std::io::Write).
macro_rules! of_byte_streams {
    ($stream:ident) => {
        impl ReadBytes for &$stream {
            #[inline]
            fn read_with(&mut self, buf: &mut [u8], wait: Wait) -> Result<usize> {
                self.socket().recv(buf, RecvFlags::empty(), wait)
            }
        }

        impl ReadBytes for $stream {
            #[inline]
            fn read_with(&mut self, buf: &mut [u8], wait: Wait) -> Result<usize> {
                (&*self).read_with(buf, wait)
            }
        }

        impl WriteBytes for &$stream {
            fn write_vectored_with(&mut self, bufs: &[IoSlice<'_>], wait: Wait) -> Result<usize> {
                self.socket().send_vectored(bufs, wait)
            }

            #[inline]
            fn write_with(&mut self, buf: &[u8], wait: Wait) -> Result<usize> {
                self.socket().send(buf, wait)
            }
        }

        impl WriteBytes for $stream {
            fn write_vectored_with(&mut self, bufs: &[IoSlice<'_>], wait: Wait) -> Result<usize> {
                (&*self).write_vectored_with(bufs, wait)
            }

            #[inline]
            fn write_with(&mut self, buf: &[u8], wait: Wait) -> Result<usize> {
                (&*self).write_with(buf, wait)
            }
        }

        impl Read for &$stream {
            fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
                Ok(self.read_with(buf, Wait::Forever)?)
            }

            fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
                Ok(self.socket().recv_vectored(bufs, RecvFlags::empty(), Wait::Forever)?)
            }
        }

        impl Read for $stream {
            fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
                (&*self).read(buf)
            }

            fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
                (&*self).read_vectored(bufs)
            }
        }

        impl Write for &$stream {
            fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
                Ok(self.write_with(buf, Wait::Forever)?)
            }

            fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
                Ok(self.write_vectored_with(bufs, Wait::Forever)?)
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }

        impl Write for $stream {
            fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
                (&*self).write(buf)
            }

            fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
                (&*self).write_vectored(bufs)
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
    };
}

pub(crate) use {of_byte_streams, of_connections, of_every_socket, of_internet_sockets};
