//! The suite for byte streams.

mod delivery;
mod hangup;
mod processes;
mod waiting;

use std::fmt::Debug;
use std::time::Duration;

use ipc_core::{Caps, ReadBytes, Result, WriteBytes};

use crate::across::Across;
use crate::{Harness, environment, resources, stream};

/// A byte stream, as the suite sees it.
///
/// ```no_run
/// use ipc_core::{Caps, Mechanism, Result};
/// use ipc_pipe::{PipeOptions, PipeReader, PipeWriter};
/// use ipc_testkit::{ByHandoff, Bytes};
///
/// struct Pipe;
///
/// impl Bytes for Pipe {
///     const NAME: &'static str = "pipe";
///     const CAPS: Caps = PipeReader::CAPS;
///     type Tx = PipeWriter;
///     type Rx = PipeReader;
///     type Across = ByHandoff;
///
///     fn pair() -> Result<(PipeWriter, PipeReader)> {
///         let (rx, tx) = PipeOptions::new().open()?;
///         Ok((tx, rx))
///     }
/// }
/// ```
pub trait Bytes: 'static {
    /// What the cases are named after: `bytes/NAME/…`.
    const NAME: &'static str;
    /// What the mechanism can do: it decides which cases there are.
    const CAPS: Caps;
    /// The end that is written to.
    type Tx: WriteBytes + Send + Debug + 'static;
    /// The end that is read from.
    type Rx: ReadBytes + Send + Debug + 'static;
    /// How an end reaches another process.
    type Across: Across<Self::Tx> + Across<Self::Rx>;
    /// For how long it must take nothing more to be full. Not zero for a mechanism that makes room for a
    /// while with nobody receiving: TCP frees what is acknowledged late, late.
    const SETTLES: Duration = Duration::ZERO;

    /// Two ends of a new, empty stream, which nobody else has open.
    ///
    /// # Errors
    ///
    /// What the mechanism reports.
    fn pair() -> Result<(Self::Tx, Self::Rx)>;

    /// What the mechanism has put where other processes see it: by default, files in the case's
    /// directory. For a namespace of the kernel see [`names_in`](crate::names_in).
    fn traces() -> Vec<String> {
        environment::names_in_dir()
    }
}

#[track_caller]
fn pair<B: Bytes>() -> (B::Tx, B::Rx) {
    crate::waits::works("create a pair", B::pair())
}

fn role_name<B: Bytes>(role: &str) -> String {
    format!("bytes/{}/{role}", B::NAME)
}

impl Harness {
    /// Applies the suite for byte streams.
    #[must_use]
    pub fn bytes<B: Bytes>(self) -> Self {
        let mut harness = self;
        let mut case = |name: &str, body: fn()| {
            let whole = format!("bytes/{}/{name}", B::NAME);
            harness = std::mem::take(&mut harness).test(whole, body);
        };
        delivery::cases::<B>(&mut case);
        waiting::cases::<B>(&mut case);
        hangup::cases::<B>(&mut case);
        processes::cases::<B>(&mut case);
        case("children_inherit_no_descriptor", || resources::children_inherit_nothing(B::pair));
        case("a_hundred_cycles_leak_no_descriptor", || resources::no_descriptor_leaks(cycle::<B>));
        case("running_out_of_descriptors_is_a_resource_limit", || {
            resources::descriptors_run_out(B::pair);
        });
        case("nothing_is_left_behind", || resources::no_traces(B::traces, cycle::<B>));
        processes::roles::<B>(harness)
    }
}

/// Creates a pair, uses it and drops it.
fn cycle<B: Bytes>() {
    let (mut tx, mut rx) = pair::<B>();
    let writer = std::thread::spawn(move || stream::write(&mut tx, 0, 100));
    stream::expect(&mut rx, 0, 100);
    writer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
}
