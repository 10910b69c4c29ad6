//! Broken named objects: each is the reference with one defect.

use std::ffi::{OsStr, OsString};
use std::fs::{self, OpenOptions};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipc_core::{Caps, ErrorKind, Named, Result};
use ipc_testkit::{Harness, NamedObjects};

use crate::support::file::{self, Document};

/// What is wrong; whatever it does not override is right.
trait Defect: std::fmt::Debug + Send + 'static {
    const NAME: &'static str;

    fn create(path: &Path) -> Result<Document> {
        Document::create(path, &())
    }
    fn open(path: &Path) -> Result<Document> {
        Document::open(path, &())
    }
    fn unlink(document: Document) -> Result<()> {
        document.unlink()
    }
    fn dropped(_: &mut Document) {}
}

#[derive(Debug)]
struct Object<D: Defect> {
    inner: Option<Document>,
    defect: PhantomData<D>,
}

impl<D: Defect> Object<D> {
    fn new(inner: Document) -> Self {
        Self { inner: Some(inner), defect: PhantomData }
    }
}

impl<D: Defect> Named for Object<D> {
    type Address = Path;
    type Options = ();

    fn create(path: &Path, (): &()) -> Result<Self> {
        D::create(path).map(Self::new)
    }
    fn open(path: &Path, (): &()) -> Result<Self> {
        D::open(path).map(Self::new)
    }
    fn unlink(mut self) -> Result<()> {
        D::unlink(self.inner.take().expect("it is taken once"))
    }
}

impl<D: Defect> Drop for Object<D> {
    fn drop(&mut self) {
        if let Some(document) = &mut self.inner {
            D::dropped(document);
        }
    }
}

struct Broken<D>(PhantomData<D>);

impl<D: Defect> NamedObjects for Broken<D> {
    const NAME: &'static str = D::NAME;
    const CAPS: Caps = file::CAPS;
    type Object = Object<D>;
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
        file::squat(address)
    }
}

/// Removes whatever has the name.
fn remove_blindly(document: &mut Document) {
    document.owned = false;
    let _ = fs::remove_file(&document.path);
}

#[derive(Debug)]
struct UnlinksBlindly;

impl Defect for UnlinksBlindly {
    const NAME: &'static str = "unlinks-whatever-has-the-name";

    fn unlink(mut document: Document) -> Result<()> {
        remove_blindly(&mut document);
        Ok(())
    }
}

#[derive(Debug)]
struct DropsBlindly;

impl Defect for DropsBlindly {
    const NAME: &'static str = "removes-whatever-has-the-name-when-dropped";

    fn dropped(document: &mut Document) {
        if document.owned {
            remove_blindly(document);
        }
    }
}

#[derive(Debug)]
struct GuestRemoves;

impl Defect for GuestRemoves {
    const NAME: &'static str = "a-guest-removes-the-name";

    fn dropped(document: &mut Document) {
        let _ = document.remove();
    }
}

#[derive(Debug)]
struct Stays;

impl Defect for Stays {
    const NAME: &'static str = "stays-when-its-owner-is-dropped";

    fn dropped(document: &mut Document) {
        document.owned = false;
    }
}

#[derive(Debug)]
struct Shares;

impl Defect for Shares {
    const NAME: &'static str = "creates-what-exists";

    fn create(path: &Path) -> Result<Document> {
        let mut document = Document::create(path, &()).or_else(|_| Document::open(path, &()))?;
        document.owned = true;
        Ok(document)
    }
}

#[derive(Debug)]
struct LooksThenCreates;

impl Defect for LooksThenCreates {
    const NAME: &'static str = "looks-and-creates-in-two-steps";

    fn create(path: &Path) -> Result<Document> {
        if path.exists() {
            return Document::create(path, &());
        }
        std::thread::sleep(Duration::from_millis(1));
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).open(path);
        Ok(Document { path: path.to_owned(), file: file.expect("open"), owned: true })
    }
}

#[derive(Debug)]
struct OpenCreates;

impl Defect for OpenCreates {
    const NAME: &'static str = "open-creates";

    fn open(path: &Path) -> Result<Document> {
        Document::open(path, &()).or_else(|_| Document::create(path, &()))
    }
}

#[derive(Debug)]
struct Evicts;

impl Defect for Evicts {
    const NAME: &'static str = "evicts-another-type";

    fn create(path: &Path) -> Result<Document> {
        let _ = fs::remove_dir(path);
        Document::create(path, &())
    }
}

#[derive(Debug)]
struct SaysNotFound;

impl Defect for SaysNotFound {
    const NAME: &'static str = "says-not-found-for-another-type";

    fn open(path: &Path) -> Result<Document> {
        Document::open(path, &()).map_err(|error| error.with_kind(ErrorKind::NotFound))
    }
}

/// Which case of the suite catches which defect, and what it says.
pub(crate) fn add(harness: Harness) -> Harness {
    let squatter = "an_object_of_another_type_is_refused_and_left_alone";
    Table(harness)
        .catch::<UnlinksBlindly>(
            "unlink_leaves_the_object_of_a_stranger_alone",
            "unlink removed the object of a stranger",
        )
        .catch::<DropsBlindly>(
            "dropping_the_owner_leaves_the_object_of_a_stranger_alone",
            "dropping the owner removed the object of a stranger",
        )
        .catch::<GuestRemoves>("dropping_a_guest_leaves_the_name", "open after a guest was dropped")
        .catch::<Stays>("dropping_the_owner_removes_the_name", "must be NotFound")
        .catch::<Shares>("a_name_can_be_created_only_once", "must be AlreadyExists")
        .catch::<LooksThenCreates>(
            "of_four_threads_that_create_one_name_one_succeeds",
            "threads created the same name",
        )
        .catch::<OpenCreates>("a_name_that_nobody_created_is_not_found", "must be NotFound")
        .catch::<OpenCreates>(
            "another_process_opens_what_was_created",
            "another process was told to open",
        )
        .catch::<Evicts>(squatter, "must be AlreadyExists")
        .catch::<SaysNotFound>(squatter, "must be WrongType")
        .0
}

struct Table(Harness);

impl Table {
    fn catch<D: Defect>(self, case: &str, says: &'static str) -> Self {
        let case = format!("named/{}/{case}", D::NAME);
        Self(self.0.catches(Harness::named::<Broken<D>>, &case, says))
    }
}
