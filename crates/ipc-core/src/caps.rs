//! What a mechanism can do.

use std::fmt;

/// Which family of traits a mechanism implements.
///
/// # Examples
///
/// ```
/// use ipc_core::{Mechanism, Shape};
/// assert_eq!(ipc_pipe::PipeReader::CAPS.shape, Shape::ByteStream);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Shape {
    /// [`WriteBytes`](crate::WriteBytes) and [`ReadBytes`](crate::ReadBytes).
    ByteStream,
    /// [`SendMsg`](crate::SendMsg) and [`RecvMsg`](crate::RecvMsg).
    Message,
    /// [`Notify`](crate::Notify) and [`Notified`](crate::Notified).
    Notification,
    /// [`Region`](crate::Region).
    Region,
    /// [`Semaphore`](crate::Semaphore).
    Semaphore,
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::ByteStream => "byte stream",
            Self::Message => "message",
            Self::Notification => "notification",
            Self::Region => "region",
            Self::Semaphore => "semaphore",
        })
    }
}

/// How long an object lives when nobody removes it.
///
/// # Examples
///
/// ```
/// use ipc_core::{Mechanism, Persistence};
/// assert_eq!(ipc_pipe::PipeReader::CAPS.persistence, Persistence::Process);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Persistence {
    /// Until the last process that has it open closes it or ends.
    Process,
    /// Until it is removed or the machine restarts.
    Kernel,
    /// Until it is removed from the file system; what was in it may be gone earlier.
    Filesystem,
}

impl fmt::Display for Persistence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Process => "process",
            Self::Kernel => "kernel",
            Self::Filesystem => "file system",
        })
    }
}

/// What a mechanism can and cannot do.
///
/// The conformance suites and the benchmark's report read it: what is `true` here is tested, and
/// what is `false` must answer [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) where
/// there is an operation to ask for it.
///
/// It is built from [`Caps::new`], where everything is `false`, by the methods that bear the
/// fields' names.
///
/// # Examples
///
/// ```
/// use ipc_core::{Caps, Persistence, Shape};
///
/// const QUEUE: Caps = Caps::new(Shape::Message)
///     .persistence(Persistence::Kernel)
///     .named()
///     .boundaries()
///     .priority()
///     .empty_messages()
///     .pollable()
///     .max_message(8192);
/// assert!(QUEUE.priority && !QUEUE.fd_passing);
/// assert!(QUEUE.rows().contains(&("max message", "8192 bytes".into())));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Caps {
    /// Which family of traits it implements.
    pub shape: Shape,
    /// One end both sends and receives.
    pub duplex: bool,
    /// Unrelated processes can meet in it by a name.
    pub named: bool,
    /// It can be made without a name, for a process and its children.
    pub anonymous: bool,
    /// How long it lives when nobody removes it.
    pub persistence: Persistence,
    /// It keeps messages apart.
    pub boundaries: bool,
    /// Messages can overtake others by priority.
    pub priority: bool,
    /// File descriptors can be sent through it.
    pub fd_passing: bool,
    /// Both ends have a descriptor for `poll`, `epoll` or `io_uring`.
    pub pollable: bool,
    /// Several notifications may be seen as one.
    pub coalesces: bool,
    /// A message may have no bytes.
    pub empty_messages: bool,
    /// An end that blocks learns when the last process at the other end dies.
    pub reports_peer_death: bool,
    /// The longest message in bytes, where the mechanism itself limits it.
    pub max_message: Option<usize>,
    /// The most bytes of one write that are never mixed with those of another writer.
    pub atomic_write: Option<usize>,
}

impl Caps {
    /// A mechanism of this shape that can do nothing else and lives as long as its processes.
    ///
    /// # Examples
    ///
    /// ```
    /// use ipc_core::{Caps, Shape};
    /// assert!(!Caps::new(Shape::ByteStream).duplex);
    /// ```
    #[must_use]
    pub const fn new(shape: Shape) -> Self {
        Self {
            shape,
            duplex: false,
            named: false,
            anonymous: false,
            persistence: Persistence::Process,
            boundaries: false,
            priority: false,
            fd_passing: false,
            pollable: false,
            coalesces: false,
            empty_messages: false,
            reports_peer_death: false,
            max_message: None,
            atomic_write: None,
        }
    }

    /// Sets [`persistence`](Self#structfield.persistence).
    #[must_use]
    pub const fn persistence(mut self, persistence: Persistence) -> Self {
        self.persistence = persistence;
        self
    }

    /// Sets [`max_message`](Self#structfield.max_message), in bytes.
    #[must_use]
    pub const fn max_message(mut self, bytes: usize) -> Self {
        self.max_message = Some(bytes);
        self
    }

    /// Sets [`atomic_write`](Self#structfield.atomic_write), in bytes.
    #[must_use]
    pub const fn atomic_write(mut self, bytes: usize) -> Self {
        self.atomic_write = Some(bytes);
        self
    }

    /// Every capability as a pair of its name and its value, in the order of the reports.
    ///
    /// # Examples
    ///
    /// ```
    /// use ipc_core::Mechanism;
    /// let rows = ipc_pipe::PipeReader::CAPS.rows();
    /// assert_eq!(rows[0], ("shape", "byte stream".to_owned()));
    /// ```
    #[must_use]
    pub fn rows(&self) -> Vec<(&'static str, String)> {
        let yes_no = |it: bool| if it { "yes" } else { "no" }.to_owned();
        let bytes = |it: Option<usize>| it.map_or("none".to_owned(), |n| format!("{n} bytes"));
        vec![
            ("shape", self.shape.to_string()),
            ("duplex", yes_no(self.duplex)),
            ("named", yes_no(self.named)),
            ("anonymous", yes_no(self.anonymous)),
            ("persistence", self.persistence.to_string()),
            ("boundaries", yes_no(self.boundaries)),
            ("priority", yes_no(self.priority)),
            ("fd passing", yes_no(self.fd_passing)),
            ("pollable", yes_no(self.pollable)),
            ("coalesces", yes_no(self.coalesces)),
            ("empty messages", yes_no(self.empty_messages)),
            ("reports peer death", yes_no(self.reports_peer_death)),
            ("max message", bytes(self.max_message)),
            ("atomic write", bytes(self.atomic_write)),
        ]
    }
}

/// Declares the builder methods for the fields that are only ever switched on.
macro_rules! switches {
    ($($field:ident),+ $(,)?) => {
        impl Caps {
            $(
                #[doc = concat!("Switches on [`", stringify!($field), "`](Self#structfield.", stringify!($field), ").")]
                #[must_use]
                pub const fn $field(mut self) -> Self {
                    self.$field = true;
                    self
                }
            )+
        }
    };
}

switches!(
    duplex,
    named,
    anonymous,
    boundaries,
    priority,
    fd_passing,
    pollable,
    coalesces,
    empty_messages,
    reports_peer_death,
);

/// A type that is one end, or the whole, of a mechanism.
///
/// # Examples
///
/// ```
/// use ipc_core::Mechanism;
/// use ipc_pipe::PipeWriter;
///
/// assert_eq!(PipeWriter::NAME, "pipe");
/// assert_eq!(PipeWriter::CAPS.atomic_write, Some(4096));
/// ```
pub trait Mechanism {
    /// The field's word for it, as in the benchmark's reports.
    const NAME: &'static str;
    /// What it can do.
    const CAPS: Caps;
}
