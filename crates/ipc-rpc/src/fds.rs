//! Descriptors among arguments and results.

use std::cell::{Cell, RefCell};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Descriptors that go with a frame. A reply that is remembered shares them.
pub(crate) type Beside = Option<Arc<[OwnedFd]>>;

/// The most descriptors beside one frame, with room for a memfd.
const MOST: usize = 250;

/// A descriptor as an argument or a result: the other side gets a copy, as from `dup`.
///
/// It goes over links that pass descriptors ([`WithFds`](crate::WithFds)); over another one a call with it is
/// [`Unsupported`](ipc_core::ErrorKind::Unsupported), or [`BadResult`](crate::Status::BadResult) if it is the
/// server's result.
///
/// # Examples
///
/// ```
/// use std::fs::File;
/// use ipc_rpc::Fd;
///
/// let fd = Fd::from(File::open("/dev/null")?);
/// let file: File = fd.into_inner().into();
/// # let _ = file;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Fd(OwnedFd);

impl Fd {
    /// The descriptor.
    #[must_use]
    pub fn into_inner(self) -> OwnedFd {
        self.0
    }
}

impl<T: Into<OwnedFd>> From<T> for Fd {
    fn from(fd: T) -> Self {
        Self(fd.into())
    }
}

impl AsFd for Fd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// What this thread is marshalling: descriptors do not fit into `serde`'s bytes.
#[derive(Default)]
struct Marshalling {
    incoming: RefCell<Vec<Option<OwnedFd>>>,
    outgoing: RefCell<Vec<OwnedFd>>,
}

thread_local! {
    static MARSHALLING: Marshalling = Marshalling::default();
    /// Whether there is anything outgoing: asked by every call, and cheap, since it needs no destructor.
    static USED: Cell<bool> = const { Cell::new(false) };
}

/// Its number among the descriptors that go with the frame.
impl Serialize for Fd {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let copy = self.0.try_clone().map_err(S::Error::custom)?;
        let number = MARSHALLING.with(|it| {
            let mut outgoing = it.outgoing.borrow_mut();
            if outgoing.len() == MOST {
                return None;
            }
            USED.set(true);
            outgoing.push(copy);
            u8::try_from(outgoing.len() - 1).ok()
        });
        number
            .ok_or_else(|| S::Error::custom("too many descriptors in one call"))?
            .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Fd {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = u8::deserialize(deserializer)?;
        MARSHALLING
            .with(|it| it.incoming.borrow_mut().get_mut(usize::from(number))?.take())
            .map(Self)
            .ok_or_else(|| D::Error::custom("no such descriptor came with the frame"))
    }
}

/// Runs `read`, which finds these descriptors. Those that it does not take are closed.
#[inline]
pub(crate) fn with_incoming<T>(fds: &mut Vec<OwnedFd>, read: impl FnOnce() -> T) -> T {
    if fds.is_empty() { read() } else { with_some(fds, read) }
}

#[cold]
fn with_some<T>(fds: &mut Vec<OwnedFd>, read: impl FnOnce() -> T) -> T {
    /// Also when `read` panics: the next frame's descriptors must not stand behind those of this one.
    struct CloseRest;
    impl Drop for CloseRest {
        fn drop(&mut self) {
            MARSHALLING.with(|it| it.incoming.borrow_mut().clear());
        }
    }

    let _rest = CloseRest;
    MARSHALLING.with(|it| it.incoming.borrow_mut().extend(fds.drain(..).map(Some)));
    read()
}

/// The descriptors of what was written since this was called last.
#[inline]
pub(crate) fn take_outgoing() -> Beside {
    if USED.get() { take_some() } else { None }
}

#[cold]
fn take_some() -> Beside {
    USED.set(false);
    let fds = MARSHALLING.with(|it| std::mem::take(&mut *it.outgoing.borrow_mut()));
    (!fds.is_empty()).then(|| fds.into())
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;
    use crate::marshal::{append, read};

    #[test]
    fn a_descriptor_travels_beside_the_bytes() {
        let mut bytes = Vec::new();
        let fd = Fd::from(File::open("/dev/null").expect("open"));
        append(&(7_u8, &fd), &mut bytes, 100).expect("encode");
        let beside = take_outgoing().expect("one descriptor");
        assert_eq!(take_outgoing().map(|it| it.len()), None);

        let mut fds = vec![beside[0].try_clone().expect("dup")];
        let got = with_incoming(&mut fds, || read::<(u8, Fd)>(&bytes));
        assert_eq!(got.map(|(number, _)| number), Some(7));
        assert!(read::<(u8, Fd)>(&bytes).is_none(), "no descriptor came with these");
    }

    #[test]
    fn a_panic_leaves_no_descriptor_for_the_next_frame() {
        let open = |path| vec![OwnedFd::from(File::open(path).expect("open"))];
        let mut fds = open("/dev/null");
        let panics = || with_incoming(&mut fds, || panic!("as the test wants"));
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(panics)).is_err());
        let mut fds = open("/dev/zero");
        let got: Fd = with_incoming(&mut fds, || read(&[0])).expect("one came");
        let stat = rustix::fs::fstat(&got).expect("fstat");
        assert_eq!(rustix::fs::minor(stat.st_rdev), 5, "it is /dev/zero");
    }

    #[test]
    fn no_descriptor_is_taken_twice() {
        let mut fds = vec![File::open("/dev/null").expect("open").into()];
        assert!(with_incoming(&mut fds, || read::<(Fd, Fd)>(&[0, 0])).is_none());
    }
}
