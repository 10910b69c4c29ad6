//! Mailboxes: indirect communication by name, over either kind of queue.

use std::os::unix::ffi::OsStrExt;

use ipc_core::{Caps, Mechanism, Name, Named, Persistence, Result, Shape};

use crate::mailbox_end::{self, MailboxReceiver, MailboxSender};
use crate::{posix, sysv};

/// Which kind of queue a mailbox is.
///
/// # Examples
///
/// See [`Mailbox`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Backend {
    /// A POSIX queue of the mailbox's name.
    #[default]
    Posix,
    /// A System V queue, whose key is made of the name: see [`Mailbox::key`].
    SystemV,
}

/// How to create or to open a mailbox.
///
/// # Examples
///
/// See [`Mailbox`].
#[derive(Debug, Clone, Copy)]
#[must_use = "options do nothing until the mailbox is created or opened"]
pub struct MailboxOptions {
    backend: Backend,
    capacity: Option<usize>,
    message_size: Option<usize>,
    mode: u32,
    owner: Option<u32>,
}

impl MailboxOptions {
    /// A POSIX queue of the kernel's sizes, private to this user (mode 0600).
    pub const fn new() -> Self {
        Self {
            backend: Backend::Posix,
            capacity: None,
            message_size: None,
            mode: 0o600,
            owner: None,
        }
    }

    /// Which kind of queue it is. Both sides must say the same.
    pub const fn backend(mut self, backend: Backend) -> Self {
        self.backend = backend;
        self
    }

    /// How many messages of full length fit into a mailbox that is created. A System V queue counts
    /// bytes, so that it has room for more of the shorter ones; it needs
    /// [`message_size`](Self::message_size) too, else it has the kernel's size.
    pub const fn capacity(mut self, messages: usize) -> Self {
        self.capacity = Some(messages);
        self
    }

    /// How long a message may be, in bytes. A POSIX queue has that from its creation; for a System
    /// V queue, each sender is held to what it was opened with.
    pub const fn message_size(mut self, bytes: usize) -> Self {
        self.message_size = Some(bytes);
        self
    }

    /// The permissions of a mailbox that is created, whatever the umask.
    pub const fn mode(mut self, mode: u32) -> Self {
        self.mode = mode;
        self
    }

    /// Opens a mailbox of the user `uid`, and no other. The default is the effective user of this
    /// process.
    pub const fn owner(mut self, uid: u32) -> Self {
        self.owner = Some(uid);
        self
    }

    /// Creates a mailbox; there must not be one.
    ///
    /// # Errors
    ///
    /// See [`posix::QueueOptions::create`] and [`sysv::QueueOptions::create`].
    pub fn create(&self, name: &Name) -> Result<Mailbox> {
        self.mailbox(match self.backend {
            Backend::Posix => Queue::Posix(self.posix().create(name)?),
            Backend::SystemV => Queue::SystemV(self.sysv().create(Mailbox::key(name))?),
        })
    }

    /// Finds a mailbox that exists.
    ///
    /// # Errors
    ///
    /// See [`posix::QueueOptions::open`] and [`sysv::QueueOptions::open`].
    pub fn open(&self, name: &Name) -> Result<Mailbox> {
        self.mailbox(match self.backend {
            Backend::Posix => Queue::Posix(self.posix().open(name)?),
            Backend::SystemV => Queue::SystemV(self.sysv().open(Mailbox::key(name))?),
        })
    }

    /// Creates a mailbox, or finds the one that exists. Whoever created it removes it.
    ///
    /// # Errors
    ///
    /// As for [`create`](Self::create) and [`open`](Self::open).
    pub fn create_or_open(&self, name: &Name) -> Result<Mailbox> {
        self.mailbox(match self.backend {
            Backend::Posix => Queue::Posix(self.posix().create_or_open(name)?),
            Backend::SystemV => Queue::SystemV(self.sysv().create_or_open(Mailbox::key(name))?),
        })
    }

    #[expect(clippy::unnecessary_wraps, reason = "it ends three functions that can fail")]
    fn mailbox(&self, queue: Queue) -> Result<Mailbox> {
        Ok(Mailbox { queue, message_size: self.message_size })
    }

    fn posix(&self) -> posix::QueueOptions {
        let mut options = posix::QueueOptions::new().mode(self.mode);
        if let Some(messages) = self.capacity {
            options = options.capacity(messages);
        }
        if let Some(bytes) = self.message_size {
            options = options.message_size(bytes);
        }
        if let Some(uid) = self.owner {
            options = options.owner(uid);
        }
        options
    }

    fn sysv(&self) -> sysv::QueueOptions {
        let mut options = sysv::QueueOptions::new().mode(self.mode);
        if let (Some(messages), Some(bytes)) = (self.capacity, self.message_size) {
            options = options.max_bytes(messages.saturating_mul(bytes));
        }
        if let Some(uid) = self.owner {
            options = options.owner(uid);
        }
        options
    }
}

impl Default for MailboxOptions {
    fn default() -> Self {
        Self::new()
    }
}

/// A mailbox: processes that do not know each other send to it and receive from it by its name.
///
/// Any number of processes may have [senders](Self::sender) and [receivers](Self::receiver). A
/// message goes to one receiver. Messages of any length up to the mailbox's come through
/// [`MailboxReceiver::recv_message`]; [`Fixed`](crate::Fixed) around the ends makes all of one
/// length.
///
/// The value that [`MailboxOptions::create`] returned removes the mailbox when it is dropped, in
/// the process that created it, unless it is told to [`keep`](Self::keep) it.
///
/// # Examples
///
/// ```
/// use ipc_core::{Name, SendMsg, Wait};
/// use ipc_mq::{Backend, Fixed, MailboxOptions};
///
/// let name = Name::new(format!("ipc-mq-doc-mailbox-{}", std::process::id()))?;
/// for backend in [Backend::Posix, Backend::SystemV] {
///     let options = MailboxOptions::new().backend(backend);
///     let mailbox = options.create(&name)?;
///
///     // Of variable length:
///     options.open(&name)?.sender()?.send(b"hello")?;
///     assert_eq!(mailbox.receiver()?.recv_message(Wait::Forever)?, b"hello");
///
///     // Of fixed length:
///     let mut tx = Fixed::<_, 4>::new(mailbox.sender()?);
///     let mut rx = Fixed::<_, 4>::new(mailbox.receiver()?);
///     tx.send(&[1, 2, 3, 4], Wait::Forever)?;
///     assert_eq!(rx.recv(Wait::Forever)?, [1, 2, 3, 4]);
/// }
/// # Ok::<(), ipc_core::Error>(())
/// ```
#[derive(Debug)]
pub struct Mailbox {
    queue: Queue,
    message_size: Option<usize>,
}

#[derive(Debug)]
enum Queue {
    Posix(posix::Queue),
    SystemV(sysv::Queue),
}

impl Mailbox {
    /// The key of the System V queue of a mailbox: 31 bits of a hash of its name (FNV-1a), never 0.
    ///
    /// Two names can have the same, by a chance of 1 to 2³¹: creating the second mailbox is
    /// [`ErrorKind::AlreadyExists`](ipc_core::ErrorKind) then, and opening it finds the first. The
    /// key is what `ipcs` shows, and what a C program gives to `msgget`.
    ///
    /// # Examples
    ///
    /// ```
    /// use ipc_core::Name;
    /// use ipc_mq::Mailbox;
    /// assert_eq!(Mailbox::key(&Name::new("orders")?).to_string(), "0x325e96ec");
    /// # Ok::<(), ipc_core::Error>(())
    /// ```
    #[must_use]
    pub fn key(name: &Name) -> sysv::Key {
        let hash = name.as_os_str().as_bytes().iter().fold(0x811c_9dc5_u32, |hash, byte| {
            (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
        });
        // The highest bit goes, so that the number looks alike everywhere.
        sysv::Key::new((hash & 0x7fff_ffff).max(1).cast_signed()).unwrap_or(sysv::Key::PRIVATE)
    }

    /// Which kind of queue it is.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ipc_core::Name;
    /// # use ipc_mq::{Backend, MailboxOptions};
    /// let name = Name::new(format!("ipc-mq-doc-backend-{}", std::process::id()))?;
    /// assert_eq!(MailboxOptions::new().create(&name)?.backend(), Backend::Posix);
    /// # Ok::<(), ipc_core::Error>(())
    /// ```
    #[must_use]
    pub fn backend(&self) -> Backend {
        match self.queue {
            Queue::Posix(_) => Backend::Posix,
            Queue::SystemV(_) => Backend::SystemV,
        }
    }

    /// An end to send through.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::ResourceLimit`](ipc_core::ErrorKind) when descriptors run out,
    /// [`ErrorKind::Disconnected`](ipc_core::ErrorKind) when a System V queue was removed.
    ///
    /// # Examples
    ///
    /// See [`Mailbox`].
    pub fn sender(&self) -> Result<MailboxSender> {
        Ok(match &self.queue {
            Queue::Posix(queue) => MailboxSender(mailbox_end::Sender::Posix(queue.sender()?)),
            Queue::SystemV(queue) => {
                let most = self.message_size.unwrap_or(usize::MAX);
                MailboxSender(mailbox_end::Sender::SystemV(queue.sender()?, most))
            }
        })
    }

    /// An end to receive from.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::ResourceLimit`](ipc_core::ErrorKind) when descriptors run out.
    ///
    /// # Examples
    ///
    /// See [`Mailbox`].
    pub fn receiver(&self) -> Result<MailboxReceiver> {
        Ok(match &self.queue {
            Queue::Posix(queue) => MailboxReceiver(mailbox_end::Receiver::Posix(queue.receiver()?)),
            Queue::SystemV(queue) => {
                MailboxReceiver(mailbox_end::Receiver::SystemV(queue.receiver()))
            }
        })
    }

    /// Leaves the mailbox when this value is dropped.
    ///
    /// # Examples
    ///
    /// See [`unlink`](Self::unlink).
    pub fn keep(&mut self) {
        match &mut self.queue {
            Queue::Posix(queue) => queue.keep(),
            Queue::SystemV(queue) => queue.keep(),
        }
    }

    /// Removes the mailbox now: see [`posix::Queue::unlink`] and [`sysv::Queue::unlink`] for what
    /// becomes of its ends.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`](ipc_core::ErrorKind) when it is gone.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ipc_core::Name;
    /// # use ipc_mq::MailboxOptions;
    /// let name = Name::new(format!("ipc-mq-doc-unlink-{}", std::process::id()))?;
    /// MailboxOptions::new().create(&name)?.keep();
    /// MailboxOptions::new().open(&name)?.unlink()?;
    /// # Ok::<(), ipc_core::Error>(())
    /// ```
    pub fn unlink(self) -> Result<()> {
        match self.queue {
            Queue::Posix(queue) => queue.unlink(),
            Queue::SystemV(queue) => queue.unlink(),
        }
    }
}

impl Named for Mailbox {
    type Address = Name;
    type Options = MailboxOptions;

    fn create(name: &Name, options: &MailboxOptions) -> Result<Self> {
        options.create(name)
    }

    fn open(name: &Name, options: &MailboxOptions) -> Result<Self> {
        options.open(name)
    }

    fn unlink(self) -> Result<()> {
        Self::unlink(self)
    }
}

/// What both kinds of queue can do.
pub(crate) const CAPS: Caps = Caps::new(Shape::Message)
    .named()
    .persistence(Persistence::Kernel)
    .boundaries()
    .empty_messages();

impl Mechanism for Mailbox {
    const NAME: &'static str = "mailbox";
    const CAPS: Caps = CAPS;
}
