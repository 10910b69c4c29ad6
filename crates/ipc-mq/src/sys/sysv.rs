//! `msgget`, `msgsnd` and their family: one safe function for each call.

use std::ffi::{c_int, c_long};
use std::mem::MaybeUninit;
use std::ptr;

use rustix::io::Errno;

use super::{check, last_errno};

/// A message as the calls want it: its type in a `long`, then its bytes.
///
/// It is a sequence of words, so that the type is aligned; all of them are initialised.
#[derive(Debug, Default)]
pub(crate) struct Buffer(Vec<c_long>);

impl Buffer {
    const WORD: usize = size_of::<c_long>();

    /// How many bytes fit.
    #[inline]
    pub(crate) fn capacity(&self) -> usize {
        self.0.len().saturating_sub(1) * Self::WORD
    }

    /// Makes room for `bytes` bytes.
    #[inline]
    pub(crate) fn grow(&mut self, bytes: usize) {
        if self.0.is_empty() || self.capacity() < bytes {
            self.resize(bytes);
        }
    }

    #[cold]
    fn resize(&mut self, bytes: usize) {
        self.0.resize(1 + bytes.div_ceil(Self::WORD), 0);
    }

    /// The first `len` bytes behind the type.
    ///
    /// # Panics
    ///
    /// If there are not so many.
    #[inline]
    pub(crate) fn text(&self, len: usize) -> &[u8] {
        let words = self.0.get(1..).unwrap_or_default();
        assert!(len <= words.len() * Self::WORD, "a message is longer than its buffer");
        // SAFETY: the words are initialised and as many bytes long, as was checked above, and any
        // word is a sequence of bytes. The slice borrows the buffer.
        unsafe { std::slice::from_raw_parts(words.as_ptr().cast(), len) }
    }

    /// Writes a whole message.
    #[inline]
    pub(crate) fn fill(&mut self, kind: c_long, text: &[u8]) {
        self.grow(text.len());
        self.0[0] = kind;
        let to = self.0[1..].as_mut_ptr().cast::<u8>();
        // SAFETY: `grow` has made room for the text behind the type. The two do not overlap, since
        // the buffer is borrowed exclusively.
        unsafe { ptr::copy_nonoverlapping(text.as_ptr(), to, text.len()) }
    }
}

/// `msgget`
pub(crate) fn get(key: i32, flags: c_int) -> Result<c_int, Errno> {
    // SAFETY: the call takes numbers only.
    check(unsafe { libc::msgget(key, flags) })
}

/// `msgsnd` of the first `len` bytes of a buffer
///
/// It is made without the C library, whose function is a cancellation point: that costs 3 % of a
/// round trip, and a thread that is cancelled there would leave Rust code without unwinding it.
/// Where this crate is not measured, it is the library's: some machines have no such call of their
/// own.
///
/// # Panics
///
/// If there are not so many.
#[inline]
pub(crate) fn send(id: c_int, msg: &Buffer, len: usize, flags: c_int) -> Result<(), Errno> {
    assert!(!msg.0.is_empty() && len <= msg.capacity(), "a message is longer than its buffer");
    let data = msg.0.as_ptr();
    // SAFETY: the buffer is a type and `len` bytes at least, as was checked above, which the kernel
    // only reads.
    #[cfg(target_arch = "x86_64")]
    let returned = unsafe { libc::syscall(libc::SYS_msgsnd, id, data, len, flags) };
    // SAFETY: as above.
    #[cfg(not(target_arch = "x86_64"))]
    let returned = unsafe { libc::msgsnd(id, data.cast(), len, flags) };
    if returned == -1 { Err(last_errno()) } else { Ok(()) }
}

/// `msgrcv` of at most `len` bytes into a buffer: the length and the type
///
/// As [`send`], without the C library.
///
/// # Panics
///
/// If the buffer is shorter.
#[inline]
pub(crate) fn receive(
    id: c_int,
    msg: &mut Buffer,
    len: usize,
    select: c_long,
    flags: c_int,
) -> Result<(usize, c_long), Errno> {
    assert!(!msg.0.is_empty() && len <= msg.capacity(), "a message is longer than its buffer");
    let data = msg.0.as_mut_ptr();
    // SAFETY: the buffer has room for a type and `len` bytes, as was checked above, and the kernel
    // writes no more than that.
    #[cfg(target_arch = "x86_64")]
    let returned = unsafe { libc::syscall(libc::SYS_msgrcv, id, data, len, select, flags) };
    // SAFETY: as above.
    #[cfg(not(target_arch = "x86_64"))]
    let returned = unsafe { libc::msgrcv(id, data.cast(), len, select, flags) };
    match usize::try_from(returned) {
        Ok(len) => Ok((len, msg.0[0])),
        Err(_) => Err(last_errno()),
    }
}

/// `msgctl(IPC_STAT)`
pub(crate) fn stat(id: c_int) -> Result<libc::msqid_ds, Errno> {
    let mut ds = MaybeUninit::<libc::msqid_ds>::zeroed();
    // SAFETY: the call writes one such structure to where there is room for it.
    check(unsafe { libc::msgctl(id, libc::IPC_STAT, ds.as_mut_ptr()) })?;
    // SAFETY: it consists of integers, and the call has filled it.
    Ok(unsafe { ds.assume_init() })
}

/// `msgctl(IPC_SET)`
pub(crate) fn set(id: c_int, ds: &mut libc::msqid_ds) -> Result<(), Errno> {
    // SAFETY: the structure is valid, and the call only reads it.
    check(unsafe { libc::msgctl(id, libc::IPC_SET, ds) }).map(drop)
}

/// `msgctl(IPC_RMID)`
pub(crate) fn remove(id: c_int) -> Result<(), Errno> {
    // SAFETY: this command takes no structure.
    check(unsafe { libc::msgctl(id, libc::IPC_RMID, ptr::null_mut()) }).map(drop)
}

/// `msgctl(IPC_INFO)`
pub(crate) fn info() -> Result<libc::msginfo, Errno> {
    let mut info = MaybeUninit::<libc::msginfo>::zeroed();
    // SAFETY: with this command the call writes one such structure, whatever the prototype says, to
    // where there is room for it; it looks at no queue.
    check(unsafe { libc::msgctl(0, libc::IPC_INFO, info.as_mut_ptr().cast()) })?;
    // SAFETY: it consists of integers, and the call has filled it.
    Ok(unsafe { info.assume_init() })
}
