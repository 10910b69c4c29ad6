//! The suite for messages.

mod delivery;
mod hangup;
mod processes;
mod waiting;

use std::fmt::Debug;
use std::time::Duration;

use ipc_core::{Caps, RecvMsg, Result, SendMsg};

use crate::across::Across;
use crate::payload::Script;
use crate::{Harness, environment, resources};

/// A message mechanism, as the suite sees it.
///
/// ```no_run
/// use ipc_core::{Caps, Mechanism, Result};
/// use ipc_pipe::{PacketReader, PacketWriter, PipeOptions};
/// use ipc_testkit::{ByHandoff, Messages};
///
/// struct PacketPipe;
///
/// impl Messages for PacketPipe {
///     const NAME: &'static str = "pipe-packet";
///     const CAPS: Caps = PacketReader::CAPS;
///     type Tx = PacketWriter;
///     type Rx = PacketReader;
///     type Across = ByHandoff;
///
///     fn pair() -> Result<(PacketWriter, PacketReader)> {
///         let (rx, tx) = PipeOptions::new().open_packet()?;
///         Ok((tx, rx))
///     }
/// }
/// ```
pub trait Messages: 'static {
    /// What the cases are named after: `messages/NAME/…`.
    const NAME: &'static str;
    /// What the mechanism can do: it decides which cases there are.
    const CAPS: Caps;
    /// The end that sends.
    type Tx: SendMsg + Send + Debug + 'static;
    /// The end that receives.
    type Rx: RecvMsg + Send + Debug + 'static;
    /// How an end reaches another process.
    type Across: Across<Self::Tx> + Across<Self::Rx>;
    /// For how long it must take nothing more to be full. Not zero for a mechanism that makes room for a
    /// while with nobody receiving: TCP frees what is acknowledged late, late.
    const SETTLES: Duration = Duration::ZERO;

    /// Two ends of a new, empty channel, which nobody else has open.
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

/// How many messages are enough to see that none is lost.
const MANY: u64 = 10_000;

fn mixed<M: Messages>(tx: &M::Tx) -> Script {
    Script::mixed(tx.max_len(), M::CAPS.empty_messages)
}

#[track_caller]
fn pair<M: Messages>() -> (M::Tx, M::Rx) {
    crate::waits::works("create a pair", M::pair())
}

fn role_name<M: Messages>(role: &str) -> String {
    format!("messages/{}/{role}", M::NAME)
}

impl Harness {
    /// Applies the suite for messages.
    #[must_use]
    pub fn messages<M: Messages>(self) -> Self {
        let mut harness = self;
        let mut case = |name: &str, body: fn()| {
            let whole = format!("messages/{}/{name}", M::NAME);
            harness = std::mem::take(&mut harness).test(whole, body);
        };
        delivery::cases::<M>(&mut case);
        waiting::cases::<M>(&mut case);
        hangup::cases::<M>(&mut case);
        processes::cases::<M>(&mut case);
        case("children_inherit_no_descriptor", || resources::children_inherit_nothing(M::pair));
        case("a_hundred_cycles_leak_no_descriptor", || resources::no_descriptor_leaks(cycle::<M>));
        case("running_out_of_descriptors_is_a_resource_limit", || {
            resources::descriptors_run_out(M::pair);
        });
        case("nothing_is_left_behind", || resources::no_traces(M::traces, cycle::<M>));
        processes::roles::<M>(harness)
    }
}

/// Creates a pair, uses it and drops it.
fn cycle<M: Messages>() {
    let (mut tx, mut rx) = pair::<M>();
    let script = Script::uniform(tx.max_len());
    let receiver = std::thread::spawn(move || script.expect(&mut rx, 0..3));
    script.send(&mut tx, 0..3);
    receiver.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
}
