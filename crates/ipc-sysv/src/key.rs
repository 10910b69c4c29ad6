//! Keys: the names of System V objects.

use std::fmt;
use std::path::Path;

use ipc_core::{Error, ErrorKind, Result};
use ipc_fd::kind::os;

/// The key of a System V object: a number that stands for it in an IPC namespace.
///
/// # Examples
///
/// ```
/// use ipc_sysv::Key;
///
/// let dir = tempfile::tempdir().unwrap();
/// let key = Key::from_path_id(dir.path(), b'q')?;
/// assert_eq!(key, Key::from_path_id(dir.path(), b'q')?);
/// assert_ne!(key, Key::from_path_id(dir.path(), b'r')?);
/// assert_eq!(Key::new(0x1234)?.to_string(), "0x00001234");
/// # Ok::<(), ipc_core::Error>(())
/// ```
///
/// # References
///
/// `ftok`(3), `sysvipc`(7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[doc(alias = "key_t")]
pub struct Key(i32);

impl Key {
    /// Creating with it makes an object that no key finds: pass its id on.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(ipc_sysv::Key::PRIVATE.get(), 0);
    /// ```
    #[doc(alias = "IPC_PRIVATE")]
    pub const PRIVATE: Self = Self(libc::IPC_PRIVATE);

    /// A key that both sides agree on.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`] for 0, which is [`Key::PRIVATE`].
    ///
    /// # Examples
    ///
    /// See [`Key`].
    pub const fn new(key: i32) -> Result<Self> {
        if key == libc::IPC_PRIVATE {
            return Err(Error::new(ErrorKind::InvalidInput, "key")
                .with_note("key 0 is IPC_PRIVATE, which finds nothing"));
        }
        Ok(Self(key))
    }

    /// The key that `ftok` makes of a file that exists and a number: the low byte of the number,
    /// the low byte of the file's device, and the low 16 bits of its inode.
    ///
    /// So two files on one device have the same key if their inode numbers agree in 16 bits, and a
    /// file that is removed and made again has another one. Use a file that stays, such as the
    /// program's own.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`] for the number 0, which POSIX leaves undefined;
    /// [`ErrorKind::NotFound`] and [`ErrorKind::PermissionDenied`] for the file.
    ///
    /// # Examples
    ///
    /// See [`Key`].
    #[doc(alias = "ftok")]
    pub fn from_path_id(path: impl AsRef<Path>, id: u8) -> Result<Self> {
        if id == 0 {
            return Err(Error::new(ErrorKind::InvalidInput, "ftok")
                .with_note("POSIX leaves the number 0 undefined"));
        }
        let stat = rustix::fs::stat(path.as_ref()).map_err(os("ftok"))?;
        let key = u32::from(id) << 24 | low(stat.st_dev, 0xff) << 16 | low(stat.st_ino, 0xffff);
        Ok(Self(key.cast_signed()))
    }

    /// The number.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(ipc_sysv::Key::new(7)?.get(), 7);
    /// # Ok::<(), ipc_core::Error>(())
    /// ```
    #[must_use]
    pub const fn get(self) -> i32 {
        self.0
    }

    /// What the kernel has given, which may be [`Key::PRIVATE`].
    #[must_use]
    pub const fn of_kernel(key: i32) -> Self {
        Self(key)
    }
}

/// The low bits of a number.
fn low(number: u64, mask: u64) -> u32 {
    u32::try_from(number & mask).unwrap_or_default()
}

/// As `ipcs` writes it.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#010x}", self.0)
    }
}
