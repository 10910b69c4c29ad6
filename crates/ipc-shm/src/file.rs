//! Files as memory.

use std::fs::File;
use std::ops::Range;
use std::os::fd::{AsFd, OwnedFd};

use ipc_core::{Caps, Error, ErrorKind, Mechanism, Persistence, Region, Result, Shape};
use ipc_fd::kind::{file_type, os};
use rustix::fs::{FileType, OFlags};
use rustix::io::Errno;

use crate::mapping::Mapping;
use crate::options::{check_len, grow, reserve};
use crate::{Access, Granted, MapOptions, Private, ReadOnly, ReadWrite, sys};

/// The operation in this file's errors.
const OP: &str = "map file";

/// How the pages of a file will be used.
///
/// # Examples
///
/// See [`FileMap::advise`].
///
/// # References
///
/// `madvise`(2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
#[doc(alias("madvise", "MADV_RANDOM", "MADV_SEQUENTIAL", "MADV_WILLNEED"))]
pub enum Advice {
    /// In no way in particular.
    Normal,
    /// Here and there: reading ahead is a waste.
    Random,
    /// From the front to the back: read far ahead, and let go early.
    Sequential,
    /// Soon: begin to read.
    WillNeed,
}

impl From<Advice> for rustix::mm::Advice {
    fn from(advice: Advice) -> Self {
        match advice {
            Advice::Normal => Self::Normal,
            Advice::Random => Self::Random,
            Advice::Sequential => Self::Sequential,
            Advice::WillNeed => Self::WillNeed,
        }
    }
}

/// A file, or a part of it, as memory: `mmap`.
///
/// | type | made by | changes go to |
/// |---|---|---|
/// | `FileMap<ReadOnly>` | [`read_only`](FileMap::read_only) | nobody: it cannot be written |
/// | `FileMap` | [`shared`](FileMap::shared) | the file, and everybody who maps it |
/// | `FileMap<Private>` | [`private`](FileMap::private) | this process alone, as copies |
///
/// The mapping has a copy of the descriptor: the file may be closed. Pages are read when they are touched, so that a file of any size can be mapped, and a touch may wait
/// for the disk.
///
/// # When the file is shortened
///
/// A touch beyond the end of the file raises `SIGBUS`, which kills the process: a file that others may
/// truncate is to be read by [`read_checked`](Self::read_checked), which makes an error of it, or not to
/// be mapped. A disk that is full when a hole is first written, or that fails, does the same;
/// [`shared`](FileMap::shared) can [reserve](FileMapOptions::reserve) what it maps.
///
/// # Examples
///
/// ```
/// use std::fs::File;
/// use ipc_shm::{FileMap, RegionExt};
///
/// let dir = tempfile::tempdir()?;
/// let path = dir.path().join("table");
/// std::fs::write(&path, "one two three")?;
///
/// let map = FileMap::read_only(&File::open(&path)?)?;
/// let mut word = [0; 3];
/// map.read_at(4, &mut word)?;
/// assert_eq!(&word, b"two");
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # References
///
/// `mmap`(2), `msync`(2), `madvise`(2).
#[derive(Debug)]
#[doc(alias = "mmap")]
pub struct FileMap<A = ReadWrite> {
    pub(crate) mapping: Mapping<A>,
    /// The file, to ask how long it is.
    file: OwnedFd,
    offset: u64,
    granted: Granted,
}

/// How to map a file.
///
/// # Examples
///
/// ```
/// use ipc_core::Region;
/// use ipc_shm::{FileMapOptions, RegionExt};
///
/// let file = tempfile::tempfile()?;
/// let map = FileMapOptions::new().len(1 << 20).reserve(true).shared(&file)?;
/// map.write_at(1000, b"on disk one day")?;
/// map.flush(0..map.len())?;
/// assert_eq!(file.metadata()?.len(), 1 << 20);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default)]
#[must_use = "options do nothing until the file is mapped"]
pub struct FileMapOptions {
    offset: u64,
    len: Option<usize>,
    reserve: bool,
    map: MapOptions,
}

impl FileMapOptions {
    /// All of the file, from its beginning.
    pub const fn new() -> Self {
        Self { offset: 0, len: None, reserve: false, map: MapOptions::new() }
    }

    /// From this byte on, a multiple of the page size.
    pub const fn offset(mut self, bytes: u64) -> Self {
        self.offset = bytes;
        self
    }

    /// This many bytes. A [`shared`](Self::shared) mapping makes a shorter file that long; the others
    /// refuse.
    pub const fn len(mut self, bytes: usize) -> Self {
        self.len = Some(bytes);
        self
    }

    /// Reserves the blocks of what a [`shared`](Self::shared) mapping maps, so that no write finds the
    /// disk full: `fallocate`.
    #[doc(alias = "fallocate")]
    pub const fn reserve(mut self, yes: bool) -> Self {
        self.reserve = yes;
        self
    }

    /// What to ask for with the mapping.
    pub const fn map(mut self, options: MapOptions) -> Self {
        self.map = options;
        self
    }

    /// Maps it for reading.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::WrongType`] for what is no regular file;
    /// - [`ErrorKind::InvalidInput`] for an offset that is not a multiple of the page size, no bytes, or
    ///   bytes after the end of the file;
    /// - [`ErrorKind::PermissionDenied`] for a file that is not open for reading;
    /// - [`ErrorKind::ResourceLimit`] when addresses run out.
    pub fn read_only(&self, file: &File) -> Result<FileMap<ReadOnly>> {
        self.map_file(file, false)
    }

    /// Maps it so that changes stay in this process.
    ///
    /// # Errors
    ///
    /// Those of [`read_only`](Self::read_only).
    pub fn private(&self, file: &File) -> Result<FileMap<Private>> {
        self.map_file(file, false)
    }

    /// Maps it so that changes go to the file, which must be open for reading and writing.
    ///
    /// # Errors
    ///
    /// Those of [`read_only`](Self::read_only); [`ErrorKind::ResourceLimit`] also for a full disk or a
    /// limit on the length of files.
    pub fn shared(&self, file: &File) -> Result<FileMap> {
        self.map_file(file, true)
    }

    fn map_file<A: Access>(&self, file: &File, grows: bool) -> Result<FileMap<A>> {
        let invalid = |note| Err(Error::new(ErrorKind::InvalidInput, OP).with_note(note));
        let stat = rustix::fs::fstat(file).map_err(os("fstat"))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            let kind = ErrorKind::WrongType { expected: "a regular file", found: file_type(&stat) };
            return Err(Error::new(kind, OP));
        }
        if !self.offset.is_multiple_of(rustix::param::page_size() as u64) {
            return invalid("the offset must be a multiple of the page size");
        }
        let size = u64::try_from(stat.st_size).unwrap_or(0);
        let rest = size.saturating_sub(self.offset);
        let len = self.len.unwrap_or_else(|| usize::try_from(rest).unwrap_or(usize::MAX));
        let Some(end) = self.offset.checked_add(check_len(len, OP)?) else {
            return invalid("the bytes end after the longest file");
        };
        if grows && !is_writable(file)? {
            return Err(Error::new(ErrorKind::PermissionDenied, OP)
                .with_note("the file is not open for writing"));
        }
        if end > size && !grows {
            return invalid("the bytes end after the file");
        }
        if self.reserve && grows {
            reserve(file, self.offset, end - self.offset)?;
        } else if end > size {
            grow(file, end)?;
        }
        let mapping = Mapping::new(Some(file.as_fd()), self.offset, len)?;
        let granted = Granted::ask(&mapping, self.map, A::WRITES);
        let file = rustix::io::fcntl_dupfd_cloexec(file, 0).map_err(os("fcntl"))?;
        Ok(FileMap { mapping, file, offset: self.offset, granted })
    }
}

fn is_writable(file: &File) -> Result<bool> {
    let flags = rustix::fs::fcntl_getfl(file).map_err(os("fcntl F_GETFL"))?;
    Ok(flags & OFlags::RWMODE == OFlags::RDWR)
}

impl FileMap {
    /// All of a file, for reading: [`FileMapOptions::read_only`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn read_only(file: &File) -> Result<FileMap<ReadOnly>> {
        FileMapOptions::new().read_only(file)
    }

    /// All of a file, with changes that stay in this process: [`FileMapOptions::private`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn private(file: &File) -> Result<FileMap<Private>> {
        FileMapOptions::new().private(file)
    }

    /// All of a file, with changes that go to it: [`FileMapOptions::shared`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn shared(file: &File) -> Result<Self> {
        FileMapOptions::new().shared(file)
    }

    /// Writes what was changed among these bytes to the disk, and waits for it: `msync(MS_SYNC)`.
    ///
    /// Without it the kernel writes in its own time, also when the process dies; a machine that loses its
    /// power loses what was not flushed.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`] for bytes outside; [`ErrorKind::Other`] (`EIO`) when the disk fails.
    #[doc(alias = "msync")]
    pub fn flush(&self, bytes: Range<usize>) -> Result<()> {
        if bytes.start > bytes.end || bytes.end > self.mapping.len() {
            return Err(Error::new(ErrorKind::InvalidInput, "msync")
                .with_note("the bytes end after the region"));
        }
        self.mapping.flush(bytes.start, bytes.len()).map_err(os("msync"))
    }
}

impl<A> FileMap<A> {
    /// Says how the pages will be used, so that the kernel reads ahead as much as is of use: `madvise`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Other`] for an errno that Linux does not document.
    ///
    /// # Examples
    ///
    /// ```
    /// use ipc_shm::{Advice, FileMap};
    /// let map = FileMap::read_only(&std::fs::File::open("/proc/self/exe")?)?;
    /// map.advise(Advice::Random)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn advise(&self, advice: Advice) -> Result<()> {
        self.mapping.advise(advice.into()).map_err(os("madvise"))
    }

    /// What was granted of what was asked for with the mapping.
    #[must_use]
    pub const fn granted(&self) -> &Granted {
        &self.granted
    }

    /// Copies bytes out by way of the kernel, so that a file that was shortened in the meantime is an
    /// error, and no signal: `process_vm_readv`. A system call, where [`read_at`](crate::RegionExt::read_at)
    /// is none.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Disconnected`] for bytes that the file does not have any more, or that the disk does
    /// not yield: `buf` then has the bytes before them, and an unknown rest. [`ErrorKind::InvalidInput`]
    /// for bytes outside.
    #[doc(alias = "process_vm_readv")]
    pub fn read_checked(&self, offset: usize, buf: &mut [u8]) -> Result<()> {
        const CALL: &str = "process_vm_readv";
        let end = offset.checked_add(buf.len()).filter(|end| *end <= self.mapping.len());
        if end.is_none() {
            return Err(Error::new(ErrorKind::InvalidInput, CALL)
                .with_note("the bytes end after the region"));
        }
        let gone = |errno: Errno| {
            os(CALL)(errno)
                .with_kind(ErrorKind::Disconnected)
                .with_note("the file was shortened, or its disk has failed")
        };
        let mut done = 0;
        while done < buf.len() {
            match sys::read_own_memory(&self.mapping, offset + done, &mut buf[done..]) {
                Ok(0) | Err(Errno::FAULT) => return Err(gone(Errno::FAULT)),
                Ok(n) => done += n,
                Err(Errno::INTR) => {}
                Err(errno) => return Err(os(CALL)(errno)),
            }
        }
        // Of the page in which the file ends now, the rest reads as zeros.
        let size = rustix::fs::fstat(&self.file).map_err(os("fstat"))?.st_size;
        let end = self.offset + (offset + buf.len()) as u64;
        if u64::try_from(size).is_ok_and(|size| end <= size) {
            Ok(())
        } else {
            Err(gone(Errno::FAULT))
        }
    }
}

impl<A> Mechanism for FileMap<A> {
    const NAME: &'static str = "file-map";
    const CAPS: Caps = Caps::new(Shape::Region).named().persistence(Persistence::Filesystem);
}
