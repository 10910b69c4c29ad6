//! Named objects that are files: the file itself is the object.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use ipc_core::{Caps, Error, ErrorKind, Named, Persistence, Result, Shape};
use ipc_testkit::NamedObjects;

/// A regular file. Its descriptor keeps the inode number from being used again.
#[derive(Debug)]
pub struct Document {
    pub path: PathBuf,
    pub file: File,
    pub owned: bool,
}

pub const CAPS: Caps = Caps::new(Shape::Region).named().persistence(Persistence::Filesystem);

fn os(op: &'static str) -> impl Fn(io::Error) -> Error {
    move |error| Error::from_os(op, error.raw_os_error().unwrap_or_default())
}

impl Document {
    pub fn remove(&mut self) -> Result<()> {
        self.owned = false;
        let ours = self.file.metadata().map_err(os("fstat"))?;
        let there = fs::symlink_metadata(&self.path).map_err(os("lstat"))?;
        if (ours.dev(), ours.ino()) != (there.dev(), there.ino()) {
            return Err(Error::new(ErrorKind::NotFound, "unlink"));
        }
        fs::remove_file(&self.path).map_err(os("unlink"))
    }
}

impl Named for Document {
    type Address = Path;
    type Options = ();

    fn create(path: &Path, (): &()) -> Result<Self> {
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create_new(true).mode(0o600).open(path);
        Ok(Self { path: path.to_owned(), file: file.map_err(os("open"))?, owned: true })
    }

    fn open(path: &Path, (): &()) -> Result<Self> {
        let found = fs::symlink_metadata(path).map_err(os("lstat"))?;
        if !found.is_file() {
            let kind = ErrorKind::WrongType { expected: "a regular file", found: "another" };
            return Err(Error::new(kind, "open"));
        }
        let file = OpenOptions::new().read(true).write(true).open(path).map_err(os("open"))?;
        Ok(Self { path: path.to_owned(), file, owned: false })
    }

    fn unlink(mut self) -> Result<()> {
        self.remove()
    }
}

impl Drop for Document {
    fn drop(&mut self) {
        if self.owned {
            let _ = self.remove();
        }
    }
}

/// A directory in the place of a file.
pub fn squat(path: &Path) -> Option<Box<dyn FnOnce()>> {
    fs::create_dir(path).expect("mkdir");
    let path = path.to_owned();
    Some(Box::new(move || fs::remove_dir(path).expect("the directory is there still")))
}

/// The fixture.
pub struct Documents;

impl NamedObjects for Documents {
    const NAME: &'static str = "file";
    const CAPS: Caps = CAPS;
    type Object = Document;
    type Address = PathBuf;

    fn fresh() -> PathBuf {
        ipc_testkit::dir().join(ipc_testkit::unique_name())
    }

    fn to_text(address: &PathBuf) -> OsString {
        address.clone().into()
    }

    fn from_text(text: &OsStr) -> PathBuf {
        text.into()
    }

    fn squat(address: &PathBuf) -> Option<Box<dyn FnOnce()>> {
        squat(address)
    }
}
