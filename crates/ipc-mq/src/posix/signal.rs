//! Being told of a message by a signal: `mq_notify`.

use std::os::fd::AsFd;

use ipc_core::{Error, ErrorKind, Result};
use ipc_fd::kind::os;
use rustix::io::Errno;

use super::Receiver;
use crate::sys::posix as sys;

impl Receiver {
    /// Has `signal` sent to this process, once, when a message arrives in the **empty** queue:
    /// `mq_notify` with `SIGEV_SIGNAL`. The signal carries `value` (`si_value`), the sender's pid
    /// and the code `SI_MESGQ`.
    ///
    /// One process can be registered for a queue. The registration ends with the signal, so that it
    /// has to be renewed. **Renew it first, then receive until [`ErrorKind::WouldBlock`]**: a
    /// message that comes after the queue was drained finds the registration there; in the other
    /// order, one that comes in between is in the queue, unannounced, and as the queue is not
    /// empty, neither is any later one.
    ///
    /// Nothing is sent while a receiver is blocked in a receive without a deadline: it gets the
    /// message.
    ///
    /// The process must be prepared for the signal (block it and use `signalfd` or `sigwaitinfo`,
    /// or have a handler): the default for most signals is to end the process.
    /// [`Arrivals`](super::Arrivals) needs no signal at all.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::AlreadyExists`] when a process is registered, this one included;
    /// - [`ErrorKind::InvalidInput`] for a signal that does not exist.
    ///
    /// # Limits
    ///
    /// **Closing any descriptor of the queue in this process ends the registration**: that is how
    /// the kernel defines it. So dropping any [`Sender`](super::Sender), [`Receiver`] or
    /// [`Queue`](super::Queue) of the same queue does. A child that is forked does not inherit it.
    ///
    /// # Examples
    ///
    /// See `examples/notified_server.rs` for a whole server.
    ///
    /// ```
    /// use ipc_mq::posix::QueueOptions;
    ///
    /// const SIGURG: i32 = 23; // Ignored by default.
    /// let (rx, _tx) = QueueOptions::new().pair()?;
    /// rx.notify_signal(SIGURG, 42)?;
    /// assert!(rx.notify_signal(SIGURG, 42).is_err(), "one registration at a time");
    /// rx.notify_cancel()?;
    /// rx.notify_signal(SIGURG, 42)?;
    /// # Ok::<(), ipc_core::Error>(())
    /// ```
    ///
    /// # References
    ///
    /// `mq_notify`(3), `sigevent`(3type).
    #[doc(alias = "mq_notify")]
    pub fn notify_signal(&self, signal: i32, value: i32) -> Result<()> {
        if signal == 0 {
            // The kernel would register a notification that notifies of nothing.
            return Err(
                Error::new(ErrorKind::InvalidInput, "mq_notify").with_note("there is no signal 0")
            );
        }
        sys::notify(self.as_fd(), signal, value).map_err(|errno| match errno {
            Errno::BUSY => os("mq_notify")(errno)
                .with_kind(ErrorKind::AlreadyExists)
                .with_note("a process is registered for this queue already"),
            errno => os("mq_notify")(errno),
        })
    }

    /// Ends this process's registration; it is no error if there is none, or another process's.
    ///
    /// # Errors
    ///
    /// None that a queue gives.
    ///
    /// # Examples
    ///
    /// See [`notify_signal`](Self::notify_signal).
    pub fn notify_cancel(&self) -> Result<()> {
        sys::notify_none(self.as_fd()).map_err(os("mq_notify"))
    }
}
