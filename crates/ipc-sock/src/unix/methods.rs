//! Methods that several types of this module have, word for word.

/// What every Unix connection has.
macro_rules! of_unix_connections {
    ($socket:ident) => {
        impl $socket {
            /// The process at the other end, as it was when it connected or listened: `SO_PEERCRED`.
            ///
            /// # Errors
            ///
            /// [`ErrorKind::Other`] for an errno that Linux does not document.
            #[doc(alias = "SO_PEERCRED")]
            pub fn peer(&self) -> Result<super::Credentials> {
                super::peer::credentials(self.socket())
            }

            /// A descriptor of the process at the other end, which stands for that process also when
            /// another one gets its pid: `SO_PEERPIDFD`. It becomes readable when the process ends.
            ///
            /// # Errors
            ///
            /// [`ErrorKind::NotFound`] when the process has ended and was waited for, before Linux 6.16;
            /// [`ErrorKind::Unsupported`] where the kernel knows none.
            ///
            /// # Platform
            ///
            /// Linux 6.5. From 6.16 on there is one also for a process that has ended.
            ///
            /// # References
            ///
            /// `pidfd_open`(2).
            #[doc(alias = "SO_PEERPIDFD")]
            pub fn peer_pidfd(&self) -> Result<OwnedFd> {
                super::peer::pidfd(self.socket())
            }

            /// The name of this end: that of the listener, or none.
            ///
            /// # Errors
            ///
            /// [`ErrorKind::Other`] for an errno that Linux does not document.
            #[doc(alias = "getsockname")]
            pub fn local_address(&self) -> Result<super::Address> {
                super::address::local(self.socket())
            }

            /// The name of the other end: that of the listener, or none. It stays when the peer has closed
            /// its end.
            ///
            /// # Errors
            ///
            /// [`ErrorKind::Disconnected`] on a socket that came from elsewhere and was never connected.
            #[doc(alias = "getpeername")]
            pub fn peer_address(&self) -> Result<super::Address> {
                super::address::peer(self.socket())
            }
        }
    };
}

pub(super) use of_unix_connections;
