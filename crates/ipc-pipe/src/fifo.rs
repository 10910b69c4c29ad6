//! FIFOs: pipes with a name in the file system.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use ipc_core::{
    Caps, Error, ErrorKind, Mechanism, NameProblem, Named, Persistence, Result, Shape, Wait,
};
use ipc_fd::kind::os;
use ipc_fd::place::Place;
use rustix::fs::OFlags;

use crate::node::{self, FIFO};
use crate::reclaim::{self, OwnerLock};
use crate::{PIPE_BUF, PipeReader, PipeWriter, end, open};

/// How to create or to open a FIFO.
///
/// # Examples
///
/// ```
/// use ipc_pipe::FifoOptions;
///
/// let dir = tempfile::tempdir().unwrap();
/// let fifo = FifoOptions::new().mode(0o620).reclaim(true).create(dir.path().join("log"))?;
/// # Ok::<(), ipc_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
#[must_use = "options do nothing until the FIFO is created or opened"]
pub struct FifoOptions {
    mode: u32,
    reclaim: bool,
    owner: Option<u32>,
}

impl FifoOptions {
    /// Private to this user (mode 0600), and never taking over a FIFO that exists.
    pub const fn new() -> Self {
        Self { mode: 0o600, reclaim: false, owner: None }
    }

    /// The permissions of the FIFO that is created, whatever the umask. They are set after it was
    /// created with 0600, so that nobody opens it in between who may not.
    ///
    /// More than 0600 lets other users read, or write, or connect in place of the peer you expect.
    pub const fn mode(mut self, mode: u32) -> Self {
        self.mode = mode;
        self
    }

    /// Takes the place of a FIFO that a dead owner left behind.
    ///
    /// The owner holds a lock on a file beside the FIFO, whose name is the FIFO's with `.fifo-lock`
    /// appended, and notes there which inode the FIFO is. The kernel drops the lock when the owner
    /// dies, whatever kills it. So a FIFO is taken over only if it was created with this option, by
    /// this user, is still the one that the owner created, and the owner is dead; else it is
    /// [`ErrorKind::AlreadyExists`].
    ///
    /// Peers that block in an open of the dead owner's FIFO are let go: a reader sees the end of the
    /// stream, a writer [`ErrorKind::Disconnected`]. One that waits with a deadline, or that holds a
    /// [`Fifo`] from before, has the dead owner's FIFO; it must find the new one by
    /// [`open`](Self::open).
    ///
    /// A child that was forked from the owner without an `exec` keeps the lock.
    pub const fn reclaim(mut self, reclaim: bool) -> Self {
        self.reclaim = reclaim;
        self
    }

    /// Opens a FIFO that belongs to the user `uid`, and no other. The default is the effective user
    /// of this process.
    ///
    /// Who owns a FIFO decides who may read and write it: trust that user as you would the peer.
    pub const fn owner(mut self, uid: u32) -> Self {
        self.owner = Some(uid);
        self
    }

    /// Creates a FIFO: `mkfifo`.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::AlreadyExists`] when there is anything at `path`, but for
    ///   [`reclaim`](Self::reclaim);
    /// - [`ErrorKind::WrongType`] and [`ErrorKind::ForeignOwner`] when there is something to reclaim
    ///   that is not a FIFO, or not this user's;
    /// - [`ErrorKind::InvalidName`] for a path that ends in a slash, `.` or `..`, has a NUL, or is too
    ///   long;
    /// - [`ErrorKind::NotFound`] when the directory does not exist,
    ///   [`ErrorKind::PermissionDenied`] when it cannot be written to;
    /// - [`ErrorKind::InvalidInput`] for a mode above 0777.
    pub fn create(&self, path: impl AsRef<Path>) -> Result<Fifo> {
        Fifo::create(path.as_ref(), self)
    }

    /// Finds a FIFO that exists. It does not wait for anybody: see [`Fifo::open_reader`] for that.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::NotFound`] when there is nothing at `path`;
    /// - [`ErrorKind::WrongType`] when it is not a FIFO; a symbolic link is not followed;
    /// - [`ErrorKind::ForeignOwner`] when it belongs to another user than the one expected;
    /// - [`ErrorKind::InvalidName`] as for [`create`](Self::create).
    pub fn open(&self, path: impl AsRef<Path>) -> Result<Fifo> {
        <Fifo as Named>::open(path.as_ref(), self)
    }
}

impl Default for FifoOptions {
    fn default() -> Self {
        Self::new()
    }
}

/// A FIFO: a pipe that unrelated processes find by its path.
///
/// The value stands for the name. It has to be [opened](Self::open_reader) to read or write, and what
/// comes of that are a [`PipeReader`] and a [`PipeWriter`], which know nothing of the name. The value
/// that [`FifoOptions::create`] returned removes the name when it is dropped, in the process that
/// created it; call [`keep`](Self::keep) to leave it.
///
/// It holds on to the inode, so that opening it reaches the file that was checked, and removing it
/// never removes a file that somebody else has put in its place.
///
/// # Security
///
/// Put a FIFO into a directory that only you can write to: in a shared one, somebody else may be
/// there first ([`ErrorKind::AlreadyExists`]), or put another one in its place, which `open` notices
/// by its owner.
///
/// # Examples
///
/// ```
/// use std::io::{Read, Write};
/// use std::time::Duration;
/// use ipc_core::Wait;
/// use ipc_pipe::FifoOptions;
///
/// let dir = tempfile::tempdir()?;
/// let path = dir.path().join("greetings");
/// let server = FifoOptions::new().create(&path)?;
///
/// let client = std::thread::spawn(move || -> std::io::Result<()> {
///     let fifo = FifoOptions::new().open(&path)?;
///     let mut tx = fifo.open_writer(Wait::timeout(Duration::from_secs(10)))?;
///     tx.write_all(b"hello from the client")
/// });
///
/// let mut rx = server.open_reader(Wait::timeout(Duration::from_secs(10)))?;
/// let mut text = String::new();
/// rx.read_to_string(&mut text)?;
/// assert_eq!(text, "hello from the client");
/// # client.join().unwrap()?;
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # References
///
/// `fifo`(7), `mkfifo`(3), `open`(2).
#[derive(Debug)]
#[doc(alias = "mkfifo")]
pub struct Fifo {
    place: Arc<Place>,
    /// The inode, open with `O_PATH`: it cannot be reused while this is open.
    node: OwnedFd,
    owner: Option<Owner>,
}

/// What the process that created a FIFO knows.
#[derive(Debug)]
struct Owner {
    pid: u32,
    lock: Option<OwnerLock>,
}

impl Fifo {
    /// The path by which it was created or opened.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.place.path()
    }

    /// Opens it for reading and waits for a writer.
    ///
    /// [`Wait::Forever`] is one blocking `open`. With a deadline, or [`Wait::Never`], the FIFO is
    /// opened without blocking and then looked at until a writer is there. A writer that comes while
    /// it is open finds a reader, and loses it if this call then gives up: do not poll with `Never`. A
    /// server that is to be there whether or not somebody writes takes [`open_both`](Self::open_both).
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::WouldBlock`] and [`ErrorKind::TimedOut`] when no writer came;
    /// - [`ErrorKind::PermissionDenied`] when the mode does not allow it;
    /// - [`ErrorKind::ResourceLimit`] when descriptors run out;
    /// - [`ErrorKind::NotFound`] when `/proc` is not mounted.
    pub fn open_reader(&self, wait: Wait) -> Result<PipeReader> {
        open::reader(self.node.as_fd(), wait).map(PipeReader::new)
    }

    /// Opens it for writing and waits for a reader.
    ///
    /// [`Wait::Forever`] is one blocking `open`. With a deadline it is tried again and again, with
    /// naps of at most 2 ms, since the kernel has no call that waits for a reader for a limited time.
    ///
    /// # Errors
    ///
    /// As for [`open_reader`](Self::open_reader).
    pub fn open_writer(&self, wait: Wait) -> Result<PipeWriter> {
        open::writer(self.node.as_fd(), wait).map(PipeWriter::new)
    }

    /// Opens it for reading and for writing without waiting for anybody.
    ///
    /// While the writer is held, the reader never sees the end of the stream, so that a server can
    /// serve one client after the other.
    ///
    /// # Errors
    ///
    /// As for [`open_reader`](Self::open_reader), but it never waits.
    ///
    /// # Platform
    ///
    /// That a FIFO may be opened with `O_RDWR` is Linux; POSIX leaves it undefined.
    #[doc(alias = "O_RDWR")]
    pub fn open_both(&self) -> Result<(PipeReader, PipeWriter)> {
        // While this is open, neither of the other two has to wait.
        let _both = end::reopen(self.node.as_fd(), OFlags::RDWR).map_err(os("open FIFO"))?;
        Ok((self.open_reader(Wait::Forever)?, self.open_writer(Wait::Forever)?))
    }

    /// Leaves the name in the file system when this value is dropped. A FIFO that was created with
    /// [`FifoOptions::reclaim`] has no living owner from now on, and may be reclaimed.
    pub fn keep(&mut self) {
        if let Some(Owner { lock: Some(lock), .. }) = self.owner.take() {
            lock.forget();
        }
    }

    /// Removes the name now; ends that are open stay open.
    ///
    /// The check that the name is still this FIFO's and the removal are two system calls: in a
    /// directory that others can write to, a file that is put there in between is removed.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] when the name is gone or stands for another file by now, which is left
    /// alone; [`ErrorKind::PermissionDenied`] when the directory cannot be written to.
    pub fn unlink(mut self) -> Result<()> {
        let owner = self.owner.take();
        let result = self.remove();
        drop(owner);
        result
    }

    /// Removes the name if it still stands for this FIFO.
    fn remove(&self) -> Result<()> {
        self.place.unlink_if(self.node.as_fd(), "unlink FIFO")
    }
}

impl Named for Fifo {
    type Address = Path;
    type Options = FifoOptions;

    fn create(path: &Path, options: &FifoOptions) -> Result<Self> {
        let place = Arc::new(Place::new(path, "FIFO path")?);
        if options.mode > 0o777 {
            return Err(
                Error::new(ErrorKind::InvalidInput, "mkfifo").with_note("a mode is at most 0777")
            );
        }
        let (node, lock) = if options.reclaim {
            if place.name().len() > reclaim::NAME_MAX {
                let (len, max) = (place.name().len(), reclaim::NAME_MAX);
                let kind = ErrorKind::InvalidName(NameProblem::TooLong { len, max });
                return Err(Error::new(kind, "reclaim FIFO"));
            }
            let (node, lock) = OwnerLock::reclaim(&place, |place| node::make(place, options.mode))?;
            (node, Some(lock))
        } else {
            (node::make(&place, options.mode)?, None)
        };
        let owner = Some(Owner { pid: std::process::id(), lock });
        Ok(Self { place, node, owner })
    }

    fn open(path: &Path, options: &FifoOptions) -> Result<Self> {
        let place = Arc::new(Place::new(path, "FIFO path")?);
        let node = place.pin(FIFO, options.owner)?;
        Ok(Self { place, node, owner: None })
    }

    fn unlink(self) -> Result<()> {
        Self::unlink(self)
    }
}

impl Drop for Fifo {
    fn drop(&mut self) {
        // A forked copy must not remove what its parent still uses.
        if self.owner.as_ref().is_some_and(|owner| owner.pid == std::process::id()) {
            // A name that is gone, or somebody else's by now, is none of ours to complain about.
            let _ = self.remove();
        } else if let Some(Owner { lock: Some(lock), .. }) = self.owner.take() {
            lock.forget();
        }
    }
}

impl AsFd for Fifo {
    /// The inode, as an `O_PATH` descriptor: for `fstat` and the like, not for reading or polling.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.node.as_fd()
    }
}

impl Mechanism for Fifo {
    const NAME: &'static str = "fifo";
    const CAPS: Caps = Caps::new(Shape::ByteStream)
        .named()
        .persistence(Persistence::Filesystem)
        .pollable()
        .reports_peer_death()
        .atomic_write(PIPE_BUF);
}
