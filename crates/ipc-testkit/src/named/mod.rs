//! The suite for objects that are found by name.

mod lifetime;
mod processes;

use std::borrow::Borrow;
use std::ffi::{OsStr, OsString};
use std::fmt::Debug;

use ipc_core::{Caps, Named, Result};

use crate::waits::works;
use crate::{Harness, environment, resources};

/// A named object, as the suite sees it.
///
/// ```no_run
/// use std::ffi::{OsStr, OsString};
/// use std::path::PathBuf;
///
/// use ipc_core::{Caps, Mechanism};
/// use ipc_pipe::Fifo;
/// use ipc_testkit::NamedObjects;
///
/// struct Fifos;
///
/// impl NamedObjects for Fifos {
///     const NAME: &'static str = "fifo";
///     const CAPS: Caps = Fifo::CAPS;
///     type Object = Fifo;
///     type Address = PathBuf;
///
///     fn fresh() -> PathBuf {
///         ipc_testkit::dir().join(ipc_testkit::unique_name())
///     }
///
///     fn to_text(address: &PathBuf) -> OsString {
///         address.clone().into()
///     }
///
///     fn from_text(text: &OsStr) -> PathBuf {
///         text.into()
///     }
/// }
/// ```
pub trait NamedObjects: 'static {
    /// What the cases are named after: `named/NAME/…`.
    const NAME: &'static str;
    /// What the mechanism can do.
    const CAPS: Caps;
    /// Whether the value that `create` returned removes the name when it is dropped.
    const REMOVED_ON_DROP: bool = true;
    /// The object.
    type Object: Named + Debug + 'static;
    /// An owned address.
    type Address: Borrow<<Self::Object as Named>::Address> + Clone + Send + Sync + 'static;

    /// An address that nobody uses: see [`unique_name`](crate::unique_name) and
    /// [`dir`](crate::dir).
    fn fresh() -> Self::Address;

    /// The address as text, for another process.
    fn to_text(address: &Self::Address) -> OsString;

    /// The address that [`to_text`](Self::to_text) wrote.
    fn from_text(text: &OsStr) -> Self::Address;

    /// Puts something of another type under the address, and returns what takes it away again and
    /// panics if it is not as it was. `None` where nothing else can have such an address.
    fn squat(address: &Self::Address) -> Option<Box<dyn FnOnce()>> {
        let _ = address;
        None
    }

    /// What the mechanism has put where other processes see it: by default, files in the case's
    /// directory. For a namespace of the kernel see [`names_in`](crate::names_in).
    fn traces() -> Vec<String> {
        environment::names_in_dir()
    }
}

fn create<N: NamedObjects>(address: &N::Address) -> Result<N::Object> {
    N::Object::create(address.borrow(), &<N::Object as Named>::Options::default())
}

fn open<N: NamedObjects>(address: &N::Address) -> Result<N::Object> {
    N::Object::open(address.borrow(), &<N::Object as Named>::Options::default())
}

/// Asserts that the namespace is as it was at the beginning.
#[track_caller]
fn clean<N: NamedObjects>(before: &[String]) {
    assert_eq!(N::traces(), before, "something was left behind");
}

fn role_name<N: NamedObjects>(role: &str) -> String {
    format!("named/{}/{role}", N::NAME)
}

impl Harness {
    /// Applies the suite for named objects.
    #[must_use]
    pub fn named<N: NamedObjects>(self) -> Self {
        let mut harness = self;
        let mut case = |name: &str, body: fn()| {
            let whole = format!("named/{}/{name}", N::NAME);
            harness = std::mem::take(&mut harness).test(whole, body);
        };
        lifetime::cases::<N>(&mut case);
        processes::cases::<N>(&mut case);
        case("children_inherit_no_descriptor", inherited::<N>);
        case("a_hundred_cycles_leak_no_descriptor", || resources::no_descriptor_leaks(cycle::<N>));
        case("running_out_of_descriptors_is_a_resource_limit", out_of_descriptors::<N>);
        case("nothing_is_left_behind", || resources::no_traces(N::traces, cycle::<N>));
        processes::roles::<N>(harness)
    }
}

/// Creates an object, opens it and removes it.
fn cycle<N: NamedObjects>() {
    let address = N::fresh();
    let owner = works("create", create::<N>(&address));
    drop(works("open", open::<N>(&address)));
    works("unlink", owner.unlink());
}

fn inherited<N: NamedObjects>() {
    let address = N::fresh();
    resources::children_inherit_nothing(|| {
        let owner = create::<N>(&address)?;
        let guest = open::<N>(&address)?;
        // The name goes, what is open stays.
        open::<N>(&address)?.unlink()?;
        Ok((owner, guest))
    });
}

/// A create that fails leaves no name either.
fn out_of_descriptors<N: NamedObjects>() {
    let before = N::traces();
    resources::descriptors_run_out(|| {
        let owner = create::<N>(&N::fresh())?;
        if !N::REMOVED_ON_DROP {
            return owner.unlink();
        }
        drop(owner);
        Ok(())
    });
    clean::<N>(&before);
}
