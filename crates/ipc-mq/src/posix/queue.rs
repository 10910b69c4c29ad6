//! A POSIX queue and its name.

use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use ipc_core::{Caps, Error, ErrorKind, Mechanism, Name, Named, Result};
use ipc_fd::kind::os;
use rustix::fs::OFlags;
use rustix::io::Errno;

use super::end::Attributes;
use super::limits::open_error;
use super::options::{Access, QueueOptions};
use super::{CAPS, Receiver, Sender, end};
use crate::sys::posix as sys;

/// A POSIX message queue that unrelated processes find by its name.
///
/// The value stands for the queue. Messages go through its ends: a [`Sender`] and a [`Receiver`],
/// as many as are needed, which know nothing of the name. The value that [`QueueOptions::create`]
/// returned removes the name when it is dropped, in the process that created it; call
/// [`keep`](Self::keep) to leave it. A queue lives on without a name until the last descriptor is
/// closed; with one, until it is removed or the machine restarts, also with nobody there.
///
/// # Security
///
/// Names are shared by all processes of the IPC namespace. Somebody else may be there first
/// ([`ErrorKind::AlreadyExists`]), or own the queue that is found ([`ErrorKind::ForeignOwner`]).
///
/// # Examples
///
/// ```
/// use ipc_core::{Name, RecvMsg, SendMsg};
/// use ipc_mq::posix::QueueOptions;
///
/// let name = Name::new(format!("ipc-mq-doc-queue-{}", std::process::id()))?;
/// let server = QueueOptions::new().create(&name)?;
///
/// // In another process:
/// let client = QueueOptions::new().open(&name)?;
/// client.sender()?.send(b"hello")?;
///
/// let mut buf = [0; 8192];
/// assert_eq!(server.receiver()?.recv(&mut buf)?, 5);
/// # Ok::<(), ipc_core::Error>(())
/// ```
///
/// # References
///
/// `mq_overview`(7), `mq_open`(3), `mq_unlink`(3).
#[derive(Debug)]
#[doc(alias = "mq_open")]
pub struct Queue {
    name: Name,
    c_name: CString,
    /// `None` only while the queue is being removed.
    fd: Option<OwnedFd>,
    access: Access,
    attributes: Attributes,
    /// Which file the queue is.
    node: (u64, u64),
    /// The process that created it and is to remove it.
    creator: Option<u32>,
}

impl Queue {
    pub(super) fn created(
        name: Name,
        c_name: CString,
        fd: OwnedFd,
        attributes: Attributes,
        access: Access,
    ) -> Result<Self> {
        let node = node(fd.as_fd()).inspect_err(|_| {
            let _ = sys::unlink(&c_name);
        })?;
        let creator = Some(std::process::id());
        Ok(Self { name, c_name, fd: Some(fd), access, attributes, node, creator })
    }

    pub(super) fn opened(name: Name, c_name: CString, fd: OwnedFd, access: Access) -> Result<Self> {
        let node = node(fd.as_fd())?;
        let attributes = end::attributes(fd.as_fd())?;
        Ok(Self { name, c_name, fd: Some(fd), access, attributes, node, creator: None })
    }

    /// The name by which it was created or opened.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ipc_core::Name;
    /// # use ipc_mq::posix::QueueOptions;
    /// let name = Name::new(format!("ipc-mq-doc-name-{}", std::process::id()))?;
    /// assert_eq!(QueueOptions::new().create(&name)?.name(), &name);
    /// # Ok::<(), ipc_core::Error>(())
    /// ```
    #[must_use]
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// An end to send through.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::PermissionDenied`] when the queue was opened for receiving alone;
    /// [`ErrorKind::ResourceLimit`] when descriptors run out.
    ///
    /// # Examples
    ///
    /// See [`Queue`].
    pub fn sender(&self) -> Result<Sender> {
        if self.access == Access::Receive {
            return Err(Error::new(ErrorKind::PermissionDenied, "make a sender")
                .with_note("the queue was opened with Access::Receive"));
        }
        Ok(Sender::new(self.duplicate()?, &self.attributes))
    }

    /// An end to receive from.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::PermissionDenied`] when the queue was opened for sending alone;
    /// [`ErrorKind::ResourceLimit`] when descriptors run out.
    ///
    /// # Examples
    ///
    /// See [`Queue`].
    pub fn receiver(&self) -> Result<Receiver> {
        if self.access == Access::Send {
            return Err(Error::new(ErrorKind::PermissionDenied, "make a receiver")
                .with_note("the queue was opened with Access::Send"));
        }
        Ok(Receiver::new(self.duplicate()?, &self.attributes))
    }

    /// What the queue has room for, and what is in it: `mq_getattr`.
    ///
    /// # Errors
    ///
    /// None that a queue gives.
    ///
    /// # Examples
    ///
    /// See [`Attributes`].
    #[doc(alias = "mq_getattr")]
    pub fn attributes(&self) -> Result<Attributes> {
        end::attributes(self.as_fd())
    }

    /// Leaves the name when this value is dropped.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ipc_core::Name;
    /// # use ipc_mq::posix::QueueOptions;
    /// let name = Name::new(format!("ipc-mq-doc-keep-{}", std::process::id()))?;
    /// QueueOptions::new().create(&name)?.keep();
    /// QueueOptions::new().open(&name)?.unlink()?;
    /// # Ok::<(), ipc_core::Error>(())
    /// ```
    pub fn keep(&mut self) {
        self.creator = None;
    }

    /// Removes the name now; ends that are open stay open.
    ///
    /// The check that the name is still this queue's and the removal are two system calls: a queue
    /// that is put there in between is removed.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] when the name is gone or stands for another queue by now, which is
    /// left alone; [`ErrorKind::PermissionDenied`] when this user may not.
    ///
    /// # Examples
    ///
    /// See [`keep`](Self::keep).
    #[doc(alias = "mq_unlink")]
    pub fn unlink(mut self) -> Result<()> {
        self.creator = None;
        self.remove()
    }

    fn duplicate(&self) -> Result<OwnedFd> {
        let copy = rustix::io::fcntl_dupfd_cloexec(self.as_fd(), 0);
        copy.map_err(os("fcntl F_DUPFD_CLOEXEC"))
    }

    /// Removes the name if it still stands for this queue. The value is good for nothing
    /// afterwards.
    fn remove(&mut self) -> Result<()> {
        let now = match self.look() {
            // No descriptor is left to look with, but this value's own. The kernel counts inode
            // numbers up, so that the number still identifies the queue when nobody holds it.
            Err(Errno::MFILE | Errno::NFILE) => {
                drop(self.fd.take());
                self.look()
            }
            now => now,
        };
        let now = node(now.map_err(open_error)?.as_fd())?;
        if now != self.node {
            return Err(Error::new(ErrorKind::NotFound, "mq_unlink")
                .with_note("the name stands for another queue by now, which was left alone"));
        }
        sys::unlink(&self.c_name).map_err(os("mq_unlink"))
    }

    /// Opens whatever has the name now, for whatever its mode allows.
    fn look(&self) -> Result<OwnedFd, Errno> {
        match sys::open(&self.c_name, OFlags::RDONLY) {
            Err(Errno::ACCESS) => sys::open(&self.c_name, OFlags::WRONLY),
            opened => opened,
        }
    }
}

impl Named for Queue {
    type Address = Name;
    type Options = QueueOptions;

    fn create(name: &Name, options: &QueueOptions) -> Result<Self> {
        options.create(name)
    }

    fn open(name: &Name, options: &QueueOptions) -> Result<Self> {
        options.open(name)
    }

    fn unlink(self) -> Result<()> {
        Self::unlink(self)
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        // A forked copy must not remove what its parent still uses.
        if self.creator == Some(std::process::id()) {
            // A name that is gone, or somebody else's by now, is none of ours to complain about.
            let _ = self.remove();
        }
    }
}

impl AsFd for Queue {
    /// The queue's descriptor, open as [`QueueOptions::access`] said.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_ref().expect("it is there until the value is dropped").as_fd()
    }
}

impl Mechanism for Queue {
    const NAME: &'static str = "posix-mq";
    const CAPS: Caps = CAPS;
}

/// Which file a descriptor refers to.
fn node(fd: BorrowedFd<'_>) -> Result<(u64, u64)> {
    let stat = rustix::fs::fstat(fd).map_err(os("fstat"))?;
    Ok((stat.st_dev, stat.st_ino))
}
