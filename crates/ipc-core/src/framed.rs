//! Messages over a byte stream.

use std::io::IoSlice;

use crate::bytes::wrote_nothing;
use crate::{
    Caps, Error, ErrorKind, Mechanism, ReadBytes, RecvMsg, Result, SendMsg, Shape, Wait, WriteBytes,
};

/// The length of a frame's header.
const HEADER: usize = 4;

/// How much is read ahead at least, so that small messages share a system call.
const READ_AHEAD: usize = 8192;

/// Messages over a byte stream: each is preceded by its length.
///
/// # Layout
///
/// A frame is the payload's length in bytes as a little-endian `u32`, then the payload. Nothing
/// else is on the stream, so that a peer in any language can speak it.
///
/// # Blocking and atomicity
///
/// A message that fits goes out in one vectored write, and several small messages may come in with
/// one read. Frames of several writers to one pipe stay apart only while a frame is no longer than
/// [`Caps::atomic_write`] (the payload plus 4 bytes); beyond that a stream needs one writer.
///
/// **A deadline may pass in the middle of a frame**, because a stream takes bytes in pieces. Then
/// [`send_with`](SendMsg::send_with) fails, the frame stays begun, and the next `send_with` or
/// [`finish_with`](Self::finish_with) completes it first. If that next message is the same one, it
/// is not sent twice: trying again until it works does the right thing. A caller that gives the
/// message up and sends another one must know that both will arrive;
/// [`unfinished`](Self::unfinished) tells.
///
/// A deadline that passes in the middle of a receive loses nothing: what has come is kept.
///
/// # Errors
///
/// As [`SendMsg`] and [`RecvMsg`] say. A header that claims more than the maximum is
/// [`ErrorKind::Corrupted`], before a byte is allocated for it, and so is every receive after that:
/// where the next frame begins is not known any more. A stream that ends inside a frame is
/// [`ErrorKind::Disconnected`] with a note that says so.
///
/// # Examples
///
/// ```
/// use ipc_core::{Framed, RecvMsg, SendMsg};
/// use ipc_pipe::PipeOptions;
///
/// let (rx, tx) = PipeOptions::new().open()?;
/// let (mut rx, mut tx) = (Framed::new(rx, 1 << 20), Framed::new(tx, 1 << 20));
///
/// tx.send(b"one")?;
/// tx.send(b"")?;
/// tx.send(b"three")?;
///
/// let mut buf = [0; 16];
/// assert_eq!(rx.recv(&mut buf)?, 3);
/// assert_eq!(rx.recv(&mut buf)?, 0);
/// assert_eq!(rx.recv(&mut buf)?, 5);
/// # Ok::<(), ipc_core::Error>(())
/// ```
#[derive(Debug)]
pub struct Framed<S> {
    stream: S,
    max_len: u32,
    tx: Begun,
    rx: Inbox,
}

/// A frame of which a part is on the stream; empty when there is none.
#[derive(Debug, Default)]
struct Begun {
    frame: Vec<u8>,
    sent: usize,
}

/// What was read and not yet received: `buf[start..end]`.
#[derive(Debug, Default)]
struct Inbox {
    buf: Vec<u8>,
    start: usize,
    end: usize,
    corrupted: bool,
}

impl<S> Framed<S> {
    /// Frames on `stream`, none longer than `max_len` bytes of payload in either direction.
    ///
    /// Both sides must agree on `max_len`, or the one with the greater may not use it.
    ///
    /// # Examples
    ///
    /// ```
    /// use ipc_core::{Framed, SendMsg};
    /// let (_rx, tx) = ipc_pipe::PipeOptions::new().open()?;
    /// assert_eq!(Framed::new(tx, 65536).max_len(), 65536);
    /// # Ok::<(), ipc_core::Error>(())
    /// ```
    #[must_use]
    pub fn new(stream: S, max_len: u32) -> Self {
        Self { stream, max_len, tx: Begun::default(), rx: Inbox::default() }
    }

    /// The stream, to poll it or to look at it. Reading from it or writing to it breaks the frames.
    ///
    /// A poll on it does not see what is [`buffered`](Self::buffered).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::os::fd::AsFd;
    /// let (rx, _tx) = ipc_pipe::PipeOptions::new().open()?;
    /// let framed = ipc_core::Framed::new(rx, 64);
    /// let _for_epoll = framed.get_ref().as_fd();
    /// # Ok::<(), ipc_core::Error>(())
    /// ```
    pub fn get_ref(&self) -> &S {
        &self.stream
    }

    /// How many bytes were read from the stream and not yet received: while it is not zero, try to
    /// receive before polling.
    ///
    /// # Examples
    ///
    /// ```
    /// use ipc_core::{Framed, RecvMsg, SendMsg};
    /// let (rx, tx) = ipc_pipe::PipeOptions::new().open()?;
    /// let (mut rx, mut tx) = (Framed::new(rx, 64), Framed::new(tx, 64));
    /// tx.send(b"a")?;
    /// tx.send(b"b")?;
    /// rx.recv(&mut [0; 8])?;
    /// assert_eq!(rx.buffered(), 5);
    /// # Ok::<(), ipc_core::Error>(())
    /// ```
    pub fn buffered(&self) -> usize {
        self.rx.end - self.rx.start
    }

    /// How many bytes of a frame that was begun are not on the stream yet.
    ///
    /// # Examples
    ///
    /// ```
    /// use ipc_core::{ErrorKind, Framed, SendMsg};
    /// let (_rx, tx) = ipc_pipe::PipeOptions::new().open()?;
    /// let mut tx = Framed::new(tx, 1 << 20);
    /// // More than the pipe holds: a part of it goes out, and the rest would have to wait.
    /// let error = tx.try_send(&[7; 100_000]).unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::WouldBlock);
    /// assert!(tx.unfinished() > 0);
    /// # Ok::<(), ipc_core::Error>(())
    /// ```
    pub fn unfinished(&self) -> usize {
        self.tx.frame.len() - self.tx.sent
    }

    /// Takes it apart: the stream, and the bytes that were read from it and not received.
    ///
    /// A frame that was begun stays as it is: see [`unfinished`](Self::unfinished).
    ///
    /// # Examples
    ///
    /// ```
    /// let (rx, _tx) = ipc_pipe::PipeOptions::new().open()?;
    /// let (_rx, buffered) = ipc_core::Framed::new(rx, 64).into_parts();
    /// assert!(buffered.is_empty());
    /// # Ok::<(), ipc_core::Error>(())
    /// ```
    pub fn into_parts(mut self) -> (S, Vec<u8>) {
        self.rx.buf.truncate(self.rx.end);
        self.rx.buf.drain(..self.rx.start);
        (self.stream, self.rx.buf)
    }
}

impl<S: WriteBytes> Framed<S> {
    /// Completes a frame that was begun; does nothing if there is none.
    ///
    /// # Errors
    ///
    /// Those of [`WriteBytes`]; the frame stays begun.
    ///
    /// # Examples
    ///
    /// ```
    /// use ipc_core::{Framed, SendMsg, Wait};
    /// let (_rx, tx) = ipc_pipe::PipeOptions::new().open()?;
    /// let mut tx = Framed::new(tx, 64);
    /// tx.send(b"whole")?;
    /// tx.finish_with(Wait::Never)?;
    /// # Ok::<(), ipc_core::Error>(())
    /// ```
    pub fn finish_with(&mut self, wait: Wait) -> Result<()> {
        while self.tx.sent < self.tx.frame.len() {
            let sent = self.stream.write_with(&self.tx.frame[self.tx.sent..], wait)?;
            if sent == 0 {
                return Err(wrote_nothing());
            }
            self.tx.sent += sent;
        }
        self.tx.frame.clear();
        self.tx.sent = 0;
        Ok(())
    }
}

impl<S: WriteBytes> SendMsg for Framed<S> {
    fn max_len(&self) -> usize {
        self.max_len as usize
    }

    fn has_begun(&self) -> bool {
        self.unfinished() > 0
    }

    fn send_with(&mut self, msg: &[u8], wait: Wait) -> Result<()> {
        let header = u32::try_from(msg.len()).ok().filter(|len| *len <= self.max_len);
        let Some(header) = header else {
            let kind = ErrorKind::MessageTooLarge { len: msg.len(), max: self.max_len() };
            return Err(Error::new(kind, "send"));
        };
        if self.unfinished() > 0 {
            let again = self.tx.frame[HEADER..] == *msg;
            self.finish_with(wait)?;
            if again {
                return Ok(());
            }
        }

        let header = header.to_le_bytes();
        let whole = HEADER + msg.len();
        let bufs = [IoSlice::new(&header), IoSlice::new(msg)];
        let sent = self.stream.write_vectored_with(&bufs, wait)?;
        if sent < whole {
            // The slow path of a frame that a stream takes in pieces: keep it until it is out.
            self.tx.frame.extend_from_slice(&header);
            self.tx.frame.extend_from_slice(msg);
            self.tx.sent = sent;
            self.finish_with(wait)?;
        }
        Ok(())
    }
}

impl<S: ReadBytes> RecvMsg for Framed<S> {
    fn recv_with(&mut self, buf: &mut [u8], wait: Wait) -> Result<usize> {
        loop {
            let need = match self.rx.len(self.max_len)? {
                Some(len) if len > buf.len() => {
                    let kind = ErrorKind::MessageTooLarge { len, max: buf.len() };
                    return Err(Error::new(kind, "recv"));
                }
                Some(len) if self.rx.take(&mut buf[..len]) => return Ok(len),
                Some(len) => HEADER + len,
                None => HEADER,
            };
            let n = self.stream.read_with(self.rx.room(need), wait)?;
            if n == 0 {
                let error = Error::new(ErrorKind::Disconnected, "recv");
                return Err(match self.buffered() {
                    0 => error,
                    _ => error.with_note("the stream ended inside a frame"),
                });
            }
            self.rx.end += n;
        }
    }
}

impl Inbox {
    /// The length of the first message, once its header is there.
    fn len(&mut self, max: u32) -> Result<Option<usize>> {
        let Some(header) = self.buf[self.start..self.end].first_chunk::<HEADER>() else {
            return Ok(None);
        };
        let len = u32::from_le_bytes(*header);
        self.corrupted |= len > max;
        if self.corrupted {
            return Err(Error::new(ErrorKind::Corrupted, "recv")
                .with_note("a frame's header claims more than the maximum"));
        }
        Ok(Some(len as usize))
    }

    /// Moves the first message to `payload`, which has its length, if all of it is there.
    fn take(&mut self, payload: &mut [u8]) -> bool {
        let from = self.start + HEADER;
        let to = from + payload.len();
        if to > self.end {
            return false;
        }
        payload.copy_from_slice(&self.buf[from..to]);
        self.start = to;
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
        true
    }

    /// The free space behind what is there, with room for a first message of `need` bytes.
    fn room(&mut self, need: usize) -> &mut [u8] {
        if self.start + need > self.buf.len() {
            self.buf.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
            if need > self.buf.len() {
                self.buf.resize(need.max(READ_AHEAD), 0);
            }
        }
        &mut self.buf[self.end..]
    }
}

/// The stream's capabilities, with boundaries; of an atomic write, four bytes are the header's.
impl<S: Mechanism> Mechanism for Framed<S> {
    const NAME: &'static str = S::NAME;
    const CAPS: Caps = {
        let mut caps = S::CAPS.boundaries().empty_messages();
        caps.shape = Shape::Message;
        caps.atomic_write = match caps.atomic_write {
            Some(bytes) => Some(bytes.saturating_sub(HEADER)),
            None => None,
        };
        caps
    };
}
