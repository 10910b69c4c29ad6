//! What calls go over: anything that sends and receives messages.

use std::os::fd::OwnedFd;

use ipc_core::{Error, ErrorKind, RecvMsg, Result, SendMsg, Wait};

/// What sends frames. Every [`SendMsg`] does; one that passes descriptors as well is [`WithFds`](crate::WithFds).
///
/// # Errors
///
/// Those of [`SendMsg`].
///
/// # Examples
///
/// See [`Ends`].
pub trait SendFrame {
    /// The longest frame in bytes.
    fn max_frame(&self) -> usize;

    /// Whether descriptors can go with a frame.
    fn passes_fds(&self) -> bool {
        false
    }

    /// Sends one frame.
    ///
    /// # Errors
    ///
    /// See [`SendFrame`]; [`ErrorKind::Unsupported`] for descriptors where none can go with it.
    fn send_frame(&mut self, frame: &[u8], fds: &[OwnedFd], wait: Wait) -> Result<()>;
}

/// What receives frames. Every [`RecvMsg`] does.
///
/// # Errors
///
/// Those of [`RecvMsg`].
///
/// # Examples
///
/// See [`Ends`].
pub trait RecvFrame {
    /// Receives one frame into `buf` and returns its length; descriptors that came with it are put behind those
    /// in `fds`.
    ///
    /// # Errors
    ///
    /// See [`RecvFrame`].
    fn recv_frame(&mut self, buf: &mut [u8], fds: &mut Vec<OwnedFd>, wait: Wait) -> Result<usize>;
}

impl<T: SendMsg + ?Sized> SendFrame for T {
    fn max_frame(&self) -> usize {
        self.max_len()
    }

    #[inline]
    fn send_frame(&mut self, frame: &[u8], fds: &[OwnedFd], wait: Wait) -> Result<()> {
        if !fds.is_empty() {
            return Err(Error::new(ErrorKind::Unsupported, "send frame")
                .with_note("no descriptor goes over this link: ipc_rpc::WithFds does that"));
        }
        self.send_with(frame, wait)
    }
}

impl<T: RecvMsg + ?Sized> RecvFrame for T {
    #[inline]
    fn recv_frame(&mut self, buf: &mut [u8], _: &mut Vec<OwnedFd>, wait: Wait) -> Result<usize> {
        self.recv_with(buf, wait)
    }
}

/// Two ends of one direction each, such as those of two rings or two queues, as one link.
///
/// What both sends and receives, such as a socket, is a link by itself.
///
/// # Examples
///
/// ```
/// use ipc_core::{RecvMsg, SendMsg};
/// use ipc_rpc::Ends;
/// use ipc_shm::ring::RingOptions;
///
/// let (client_tx, server_rx) = RingOptions::new().pair()?;
/// let (server_tx, client_rx) = RingOptions::new().pair()?;
/// let mut client = Ends::new(client_tx, client_rx);
/// let mut server = Ends::new(server_tx, server_rx);
/// client.send(b"hello")?;
/// assert_eq!(server.recv(&mut [0; 8])?, 5);
/// # Ok::<(), ipc_core::Error>(())
/// ```
#[derive(Debug)]
pub struct Ends<T, R> {
    /// What sends.
    pub tx: T,
    /// What receives.
    pub rx: R,
}

impl<T, R> Ends<T, R> {
    /// A link that sends by `tx` and receives by `rx`.
    #[must_use]
    pub const fn new(tx: T, rx: R) -> Self {
        Self { tx, rx }
    }
}

impl<T: SendMsg, R> SendMsg for Ends<T, R> {
    fn max_len(&self) -> usize {
        self.tx.max_len()
    }

    fn has_begun(&self) -> bool {
        self.tx.has_begun()
    }

    #[inline]
    fn send_with(&mut self, msg: &[u8], wait: Wait) -> Result<()> {
        self.tx.send_with(msg, wait)
    }
}

impl<T, R: RecvMsg> RecvMsg for Ends<T, R> {
    #[inline]
    fn recv_with(&mut self, buf: &mut [u8], wait: Wait) -> Result<usize> {
        self.rx.recv_with(buf, wait)
    }
}
