//! Accepting conversations.

use std::fmt;
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

use ipc_core::{Listen, Result, Wait};

use super::conversation::Conversation;
use super::endpoint::Endpoint;
use super::options::local_address;
use super::{Messages, Stream};

/// What a [`Listener`] accepts: [`Stream`] or [`Messages`].
///
/// # Examples
///
/// ```
/// use ipc_sock::kcp::{Accepted, Listener};
///
/// fn serve<C: Accepted>(listener: &Listener<C>) -> ipc_core::Result<C> {
///     ipc_core::Listen::accept(listener)
/// }
/// ```
pub trait Accepted: private::Sealed {}

impl Accepted for Stream {}
impl Accepted for Messages {}

mod private {
    /// What the outside need not know of [`Accepted`](super::Accepted).
    pub trait Sealed: Sized {
        #[doc(hidden)]
        fn accepted(arrived: Arrived) -> Self;
    }

    /// A conversation, in the signature of a method that nobody outside can call.
    #[derive(Debug)]
    pub struct Arrived(pub(super) super::Conversation);
}

use private::Arrived;

impl private::Sealed for Stream {
    fn accepted(Arrived(conversation): Arrived) -> Self {
        Self::new(conversation)
    }
}

impl private::Sealed for Messages {
    fn accepted(Arrived(conversation): Arrived) -> Self {
        Self::new(conversation)
    }
}

/// A UDP socket on which conversations arrive.
///
/// Several threads may accept from one listener; each conversation goes to one of them. All that it has
/// accepted share its socket and its thread, and stay when it is dropped; those that nobody accepted are
/// told that nobody will.
///
/// **Anybody who reaches the port may connect.** The opening proves that the client receives at the
/// address that it sends from, and nothing about who it is. Bind to the loopback address unless others
/// are to come.
///
/// # Errors
///
/// [`ErrorKind::WouldBlock`](ipc_core::ErrorKind::WouldBlock) and
/// [`ErrorKind::TimedOut`](ipc_core::ErrorKind::TimedOut) as [`Wait`] says.
///
/// # Examples
///
/// See [the module](super).
pub struct Listener<C = Stream> {
    endpoint: Arc<Endpoint>,
    conn: PhantomData<fn() -> C>,
}

impl<C: Accepted> Listener<C> {
    pub(super) const fn new(endpoint: Arc<Endpoint>) -> Self {
        Self { endpoint, conn: PhantomData }
    }

    /// A descriptor that `poll` and `epoll` find readable while a conversation waits to be accepted. It is the
    /// same at every call, and has no other use: do not read from it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::ResourceLimit`](ipc_core::ErrorKind::ResourceLimit) when there are too many descriptors.
    #[doc(alias("epoll", "AsFd", "eventfd"))]
    pub fn readiness(&self) -> Result<BorrowedFd<'_>> {
        self.endpoint.readiness()
    }

    /// The address that clients connect to: `getsockname`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Other`](ipc_core::ErrorKind::Other) for an errno that Linux does not document.
    pub fn local_address(&self) -> Result<SocketAddr> {
        local_address(self.endpoint.socket())
    }
}

impl<C: Accepted> Listen for Listener<C> {
    type Conn = C;

    fn accept_with(&self, wait: Wait) -> Result<C> {
        let link = self.endpoint.accept(wait)?;
        let conversation = Conversation::accepted(Arc::clone(&self.endpoint), link);
        Ok(C::accepted(Arrived(conversation)))
    }
}

impl<C> Drop for Listener<C> {
    fn drop(&mut self) {
        self.endpoint.stop_listening();
    }
}

impl<C> fmt::Debug for Listener<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}
