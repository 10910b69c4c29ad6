//! Synchronous sending: a send that returns once the message was received.
//!
//! Every mechanism of the kernel buffers: a send returns when the kernel has the message. A course
//! on operating systems knows the other kind too, in which sender and receiver meet. It is made
//! here from any two message channels, one for the messages and one, the other way, for the
//! acknowledgements.
//!
//! # Layout
//!
//! A message is preceded by its sequence number, a little-endian `u64` that starts at 1. An
//! acknowledgement is the sequence number of the message that it acknowledges, 8 bytes.
//!
//! # Examples
//!
//! ```
//! use ipc_core::{RecvMsg, SendMsg, rendezvous::{Receiver, Sender}};
//! use ipc_pipe::PipeOptions;
//!
//! let (msg_rx, msg_tx) = PipeOptions::new().open_packet()?;
//! let (ack_rx, ack_tx) = PipeOptions::new().open_packet()?;
//! let mut tx = Sender::new(msg_tx, ack_rx)?;
//! let mut rx = Receiver::new(msg_rx, ack_tx, tx.max_len())?;
//!
//! let receiver = std::thread::spawn(move || {
//!     let mut buf = [0; 32];
//!     rx.recv(&mut buf).map(|n| buf[..n].to_vec())
//! });
//! tx.send(b"did you get this?")?; // Returns when the other thread has it.
//! assert_eq!(receiver.join().unwrap()?, b"did you get this?");
//! # Ok::<(), ipc_core::Error>(())
//! ```

use crate::{Error, ErrorKind, RecvMsg, Result, SendMsg, Wait};

/// The length of a sequence number.
const SEQ: usize = 8;

/// The sending end.
///
/// # Errors
///
/// As [`SendMsg`] says, except that
///
/// - [`ErrorKind::TimedOut`] has two meanings: while [`unacknowledged`](Self::unacknowledged) is
///   false the message was not sent; while it is true the message is under way, may still be
///   received, and [`wait_acknowledged`](Self::wait_acknowledged) waits on. Sending it again makes
///   it another message;
/// - [`Wait::Never`] is [`ErrorKind::Unsupported`]: nobody can acknowledge in no time;
/// - an acknowledgement that makes no sense is [`ErrorKind::Corrupted`].
///
/// # Examples
///
/// See the [module's documentation](self).
#[derive(Debug)]
pub struct Sender<S, A> {
    msgs: S,
    acks: A,
    /// The last message that was sent or tried, with its sequence number in front.
    frame: Vec<u8>,
    seq: u64,
    state: State,
}

/// Where the last message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Idle,
    /// Tried, and the channel did not take it in time. Offered again, it keeps its number, so that
    /// a channel that has begun to send it recognises it.
    Refused,
    /// Sent and not acknowledged.
    Sent,
}

impl<S: SendMsg, A: RecvMsg> Sender<S, A> {
    /// Sends messages by `msgs` and awaits their acknowledgements from `acks`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`] if `msgs` cannot carry 8 bytes and a payload.
    ///
    /// # Examples
    ///
    /// See the [module's documentation](self).
    pub fn new(msgs: S, acks: A) -> Result<Self> {
        check_room(msgs.max_len(), SEQ + 1)?;
        Ok(Self { msgs, acks, frame: Vec::new(), seq: 0, state: State::Idle })
    }

    /// Whether the last message was sent, or [has begun](SendMsg::has_begun) to be, and its
    /// acknowledgement has not been seen.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use ipc_core::{ErrorKind, SendMsg, rendezvous::Sender};
    /// use ipc_pipe::PipeOptions;
    ///
    /// let (_msg_rx, msg_tx) = PipeOptions::new().open_packet()?;
    /// let (ack_rx, _ack_tx) = PipeOptions::new().open_packet()?;
    /// let mut tx = Sender::new(msg_tx, ack_rx)?;
    /// let error = tx.send_timeout(b"anybody?", Duration::from_millis(1)).unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::TimedOut);
    /// assert!(tx.unacknowledged());
    /// # Ok::<(), ipc_core::Error>(())
    /// ```
    pub fn unacknowledged(&self) -> bool {
        self.state == State::Sent || (self.state == State::Refused && self.msgs.has_begun())
    }

    /// Waits for the acknowledgement of the last message; returns at once if it has come.
    ///
    /// # Errors
    ///
    /// See [`Sender`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use ipc_core::{SendMsg, Wait, rendezvous::Sender};
    /// # use ipc_pipe::PipeOptions;
    /// # let (_msg_rx, msg_tx) = PipeOptions::new().open_packet()?;
    /// # let (ack_rx, _ack_tx) = PipeOptions::new().open_packet()?;
    /// let mut tx = Sender::new(msg_tx, ack_rx)?;
    /// tx.wait_acknowledged(Wait::Never)?; // Nothing was sent yet.
    /// # Ok::<(), ipc_core::Error>(())
    /// ```
    pub fn wait_acknowledged(&mut self, wait: Wait) -> Result<()> {
        if self.state == State::Refused && self.msgs.has_begun() {
            // The same message again: the channel recognises it and sends the rest.
            self.msgs.send_with(&self.frame, wait)?;
            self.state = State::Sent;
        }
        while self.state == State::Sent {
            let mut ack = [0; SEQ];
            let n = self.acks.recv_with(&mut ack, wait)?;
            let ack = u64::from_le_bytes(ack);
            if n != SEQ || ack > self.seq {
                return Err(Error::new(ErrorKind::Corrupted, "rendezvous")
                    .with_note("the acknowledgement is of a message that was never sent"));
            }
            // A lower number is the late acknowledgement of a message that was given up.
            if ack == self.seq {
                self.state = State::Idle;
            }
        }
        Ok(())
    }
}

impl<S: SendMsg, A: RecvMsg> SendMsg for Sender<S, A> {
    fn max_len(&self) -> usize {
        self.msgs.max_len() - SEQ
    }

    fn send_with(&mut self, msg: &[u8], wait: Wait) -> Result<()> {
        if msg.len() > self.max_len() {
            let kind = ErrorKind::MessageTooLarge { len: msg.len(), max: self.max_len() };
            return Err(Error::new(kind, "rendezvous"));
        }
        if wait == Wait::Never {
            return Err(Error::new(ErrorKind::Unsupported, "rendezvous")
                .with_note("an acknowledgement takes time: use a deadline"));
        }
        let again = self.state == State::Refused && self.frame[SEQ..] == *msg;
        if !again {
            self.seq += 1;
            self.frame.clear();
            self.frame.extend_from_slice(&self.seq.to_le_bytes());
            self.frame.extend_from_slice(msg);
        }
        self.state = State::Refused;
        self.msgs.send_with(&self.frame, wait)?;
        self.state = State::Sent;
        self.wait_acknowledged(wait)
    }
}

/// The receiving end.
///
/// A message is acknowledged when [`recv_with`](RecvMsg::recv_with) hands it to the caller, and not
/// before.
///
/// # Errors
///
/// As [`RecvMsg`] says. When the acknowledgement cannot be sent in time, the message is kept, and
/// the next receive acknowledges and returns it. A message without a sequence number is
/// [`ErrorKind::Corrupted`].
///
/// # Examples
///
/// See the [module's documentation](self).
#[derive(Debug)]
pub struct Receiver<R, A> {
    msgs: R,
    acks: A,
    /// Room for the longest message with its number, and the length of the one that is kept in it.
    frame: Vec<u8>,
    kept: Option<usize>,
}

impl<R: RecvMsg, A: SendMsg> Receiver<R, A> {
    /// Receives messages of at most `max_len` bytes from `msgs` and acknowledges them by `acks`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`] if `acks` cannot carry 8 bytes.
    ///
    /// # Examples
    ///
    /// See the [module's documentation](self).
    pub fn new(msgs: R, acks: A, max_len: usize) -> Result<Self> {
        check_room(acks.max_len(), SEQ)?;
        let frame = vec![0; max_len.saturating_add(SEQ)];
        Ok(Self { msgs, acks, frame, kept: None })
    }
}

impl<R: RecvMsg, A: SendMsg> RecvMsg for Receiver<R, A> {
    fn recv_with(&mut self, buf: &mut [u8], wait: Wait) -> Result<usize> {
        let n = match self.kept {
            Some(n) => n,
            None => self.msgs.recv_with(&mut self.frame, wait)?,
        };
        let Some((seq, payload)) = self.frame[..n].split_first_chunk::<SEQ>() else {
            return Err(Error::new(ErrorKind::Corrupted, "rendezvous")
                .with_note("the message has no sequence number"));
        };
        self.kept = Some(n);
        let Some(front) = buf.get_mut(..payload.len()) else {
            let kind = ErrorKind::MessageTooLarge { len: payload.len(), max: buf.len() };
            return Err(Error::new(kind, "rendezvous"));
        };
        match self.acks.send_with(seq, wait) {
            // Nobody waits for the acknowledgement any more; the message is here all the same.
            Err(error) if error.kind() == ErrorKind::Disconnected => {}
            acknowledged => acknowledged?,
        }
        front.copy_from_slice(payload);
        self.kept = None;
        Ok(payload.len())
    }
}

/// Refuses a channel whose messages are too short.
fn check_room(max_len: usize, need: usize) -> Result<()> {
    if max_len < need {
        return Err(Error::new(ErrorKind::Unsupported, "rendezvous")
            .with_note("the channel's messages are too short for a sequence number"));
    }
    Ok(())
}
