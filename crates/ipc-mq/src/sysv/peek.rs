//! Looking at messages without taking them: `MSG_COPY`.

use ipc_core::{Error, ErrorKind, Result};
use rustix::io::Errno;

use super::limits::Limits;
use super::receiver::failed;
use super::select::{MessageType, Select};
use super::{Message, Receiver};
use crate::sys::sysv::{self as sys, Buffer};

impl Receiver {
    /// Copies message number `at` of the queue, counted from the one that was sent first, and
    /// leaves it there: `msgrcv` with `MSG_COPY`.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::WouldBlock`] when there are not so many messages;
    /// - [`ErrorKind::Unsupported`] where the kernel was built without `CONFIG_CHECKPOINT_RESTORE`;
    /// - [`ErrorKind::Disconnected`] once the queue was removed.
    ///
    /// # Platform
    ///
    /// Linux 3.8.
    ///
    /// # Examples
    ///
    /// ```
    /// use ipc_core::{ErrorKind, SendMsg};
    /// use ipc_mq::sysv::QueueOptions;
    ///
    /// let (rx, mut tx) = QueueOptions::new().pair()?;
    /// tx.send(b"first")?;
    /// tx.send(b"second")?;
    /// match rx.peek(1) {
    ///     Ok(message) => assert_eq!(message.body, b"second"),
    ///     Err(error) => assert_eq!(error.kind(), ErrorKind::Unsupported),
    /// }
    /// # Ok::<(), ipc_core::Error>(())
    /// ```
    #[doc(alias = "MSG_COPY")]
    pub fn peek(&self, at: usize) -> Result<Message> {
        let mut msg = Buffer::default();
        msg.grow(Limits::read()?.max_message_size);
        let (len, kind) = self.copy(&mut msg, at).map_err(|errno| match errno {
            Errno::NOMSG => Error::from_os("msgrcv MSG_COPY", errno.raw_os_error()),
            errno => failed(errno),
        })?;
        Ok(Message { body: msg.text(len).to_vec(), kind })
    }

    /// The error for a message that is longer than `max`; `None` when it is not there any more.
    pub(super) fn too_large(&self, select: Select, max: usize) -> Option<Error> {
        let error = failed(Errno::TOOBIG);
        Some(match self.length(select, max) {
            Some(len) => error.with_kind(ErrorKind::MessageTooLarge { len: len?, max }),
            None => error
                .with_kind(ErrorKind::MessageTooLarge { len: max + 1, max })
                .with_note("the length is at least that: the kernel has no MSG_COPY to look with"),
        })
    }

    /// The length of the message that a receive would take now if it is longer than `max`: `None`
    /// when the kernel does not let one look, `Some(None)` when there is no such message any more.
    #[cold]
    fn length(&self, select: Select, max: usize) -> Option<Option<usize>> {
        let mut msg = Buffer::default();
        msg.grow(Limits::read().ok()?.max_message_size);
        let (mut types, mut lens) = (Vec::new(), Vec::new());
        loop {
            match self.copy(&mut msg, types.len()) {
                Ok((len, kind)) => {
                    types.push(kind);
                    lens.push(len);
                }
                Err(Errno::INTR) => continue,
                Err(Errno::NOMSG) => break,
                Err(_) => return None,
            }
            // All others have to be looked at until the end.
            let settled = !matches!(select, Select::LowestUpTo(_));
            if settled && select.pick(&types).is_some() {
                break;
            }
        }
        let len = select.pick(&types).map(|at| lens[at]);
        Some(len.filter(|len| *len > max))
    }

    fn copy(&self, msg: &mut Buffer, at: usize) -> Result<(usize, MessageType), Errno> {
        let at = at.try_into().map_err(|_| Errno::NOMSG)?;
        let flags = libc::MSG_COPY | libc::IPC_NOWAIT;
        let (len, kind) = sys::receive(self.id, msg, msg.capacity(), at, flags)?;
        Ok((len, MessageType::of_kernel(kind)))
    }
}
