//! Methods that both sorts of conversation have, word for word.

/// What each end of a conversation has; its first field is the [`Conversation`](super::conversation).
macro_rules! of_conversations {
    ($end:ident, $mode:expr) => {
        impl $end {
            /// The conversation id, which both ends have: drawn at random by the client. It tells
            /// conversations apart, and proves nothing.
            #[doc(alias = "conv")]
            #[must_use]
            pub fn conversation_id(&self) -> u32 {
                self.0.id()
            }

            /// A descriptor that `poll` and `epoll` find readable while a receive would not block: there is
            /// something, or the peer has gone. It is the same at every call, and has no other use: do not
            /// read from it.
            ///
            /// It starts the [thread](super) of this end, and from now on each change costs a system call.
            ///
            /// # Errors
            ///
            /// [`ErrorKind::ResourceLimit`](ipc_core::ErrorKind::ResourceLimit) when there are too many
            /// descriptors or threads.
            ///
            /// # Examples
            ///
            /// ```
            /// use std::time::Duration;
            /// use ipc_core::{RecvMsg, SendMsg};
            /// use ipc_sock::kcp::SocketOptions;
            /// use rustix::event::{PollFd, PollFlags, poll};
            ///
            /// let (mut one, mut two) = SocketOptions::new().pair_messages()?;
            /// one.send(b"ding")?;
            /// // And other descriptors, in the same call.
            /// poll(&mut [PollFd::new(&two.readiness()?, PollFlags::IN)], None)?;
            /// assert_eq!(two.try_recv(&mut [0; 8])?, 4);
            /// # Ok::<(), Box<dyn std::error::Error>>(())
            /// ```
            #[doc(alias("epoll", "AsFd", "eventfd"))]
            pub fn readiness(&self) -> Result<BorrowedFd<'_>> {
                self.0.readiness()
            }

            /// Waits until the peer has acknowledged everything that was sent: it is in the peer's
            /// memory, received or not.
            ///
            /// Dropping an end waits as well, but for a peer that takes nothing only briefly, and cannot
            /// say that it was in vain.
            ///
            /// # Errors
            ///
            /// [`ErrorKind::Disconnected`](ipc_core::ErrorKind::Disconnected) when the peer has gone
            /// before; [`ErrorKind::WouldBlock`](ipc_core::ErrorKind::WouldBlock) and
            /// [`ErrorKind::TimedOut`](ipc_core::ErrorKind::TimedOut) as [`Wait`] says.
            #[doc(alias = "flush")]
            pub fn wait_acknowledged(&self, wait: Wait) -> Result<()> {
                self.0.until(Direction::Out, "wait_acknowledged", wait, |session, _| {
                    session.acknowledged()
                })
            }

            /// The address of this end's socket: `getsockname`.
            ///
            /// # Errors
            ///
            /// [`ErrorKind::Other`](ipc_core::ErrorKind::Other) for an errno that Linux does not
            /// document.
            pub fn local_address(&self) -> Result<SocketAddr> {
                self.0.local_address()
            }

            /// The address of the peer's socket.
            ///
            /// # Errors
            ///
            /// [`ErrorKind::Other`](ipc_core::ErrorKind::Other) for an errno that Linux does not
            /// document.
            pub fn peer_address(&self) -> Result<SocketAddr> {
                self.0.peer_address()
            }
        }

        /// Of an end of a pair that was never used, and of no other: the state of a conversation is in
        /// the memory of its process. Anything else is
        /// [`ErrorKind::Unsupported`](ipc_core::ErrorKind::Unsupported), and comes back; another process
        /// makes a connection of its own. The options go with the end.
        impl Handoff for $end {
            fn give(self, command: &mut Command, key: &str) -> Result<(), Rejected<Self>> {
                self.0.give(command, key).map_err(|rejected| Rejected {
                    value: Self::new(rejected.value),
                    error: rejected.error,
                })
            }

            fn adopt(key: &str) -> Result<Self> {
                Conversation::adopt(key, $mode).map(Self::new)
            }
        }
    };
}

pub(super) use of_conversations;
