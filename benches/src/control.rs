//! How initiator and responder agree on what comes next: JSON lines over a socket.
//!
//! The socket is the responder's standard input. It is used between batches only, while nothing is
//! measured.

use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use ipc_bench_schema::{Outcome, Setting, Topology, Variant, WaitMode};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// A number of messages to exchange over one variant.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Batch {
    pub(crate) variant: Variant,
    pub(crate) topology: Topology,
    pub(crate) wait: WaitMode,
    /// How many bytes of a message are written and verified.
    pub(crate) size: usize,
    /// How many messages.
    pub(crate) count: u64,
    /// The number of the first one.
    pub(crate) first: u64,
    /// What the topology is set to.
    pub(crate) setting: Setting,
    /// The load, for `open-loop`.
    pub(crate) open: OpenLoop,
    /// What each side is to be slowed down by for each message, in nanoseconds.
    pub(crate) drag_ns: [f64; 2],
}

/// When the messages of an open loop are to be sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct OpenLoop {
    /// The beginning, in nanoseconds of CLOCK_MONOTONIC; set by [`Go`].
    pub(crate) begin_ns: u64,
    /// From one message to the next, in the mean.
    pub(crate) interval_ns: f64,
    /// What chance begins with.
    pub(crate) seed: u64,
}

/// What the initiator says once every responder is ready, where they must begin together.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Go {
    /// When an open loop begins, in nanoseconds of CLOCK_MONOTONIC.
    pub(crate) begin_ns: u64,
}

impl Batch {
    /// Whether the responders wait for [`Go`].
    pub(crate) const fn begins_together(&self) -> bool {
        matches!(self.topology, Topology::FanIn | Topology::OpenLoop)
    }
}

/// What the responder says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Reply {
    /// Ready: to join at first, to take part in a batch later.
    Ready,
    /// The batch is over.
    Done(Tally),
    /// Data was lost or changed.
    Void(String),
    /// An operation failed.
    Failed(String),
}

/// What one side saw of a batch.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// When this side began, in nanoseconds of CLOCK_MONOTONIC.
    pub begin_ns: u64,
    /// When it was done.
    pub end_ns: u64,
    /// How many messages that was for.
    pub messages: u64,
    /// CPU time of this side in nanoseconds.
    pub cpu_ns: u64,
    /// Context switches of this side.
    pub ctx_switches: u64,
    /// A receiver of a `fan-out`: the sum of what its messages' numbers were spread to.
    #[serde(default)]
    pub digest: u64,
    /// The receiver of an `open-loop`: its latencies, as pairs of nanoseconds and count.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub latency_ns: Vec<(u64, u64)>,
}

/// One side of the socket.
#[derive(Debug)]
pub(crate) struct Control {
    reader: BufReader<UnixStream>,
    writer: UnixStream,
}

impl Control {
    pub(crate) fn new(socket: UnixStream) -> Result<Self> {
        let writer = socket.try_clone().context("control socket")?;
        Ok(Self { reader: BufReader::new(socket), writer })
    }

    pub(crate) fn send(&mut self, word: &impl Serialize) -> Result<()> {
        let mut line = serde_json::to_vec(word)?;
        line.push(b'\n');
        self.writer.write_all(&line).context("the other process is gone")
    }

    /// The next word, or nothing when the other process has closed its side.
    pub(crate) fn next<T: DeserializeOwned>(&mut self) -> Result<Option<T>> {
        let mut line = String::new();
        if self.reader.read_line(&mut line).context("control socket")? == 0 {
            return Ok(None);
        }
        serde_json::from_str(&line).map(Some).with_context(|| format!("control line {line:?}"))
    }
}

impl Control {
    /// The next word, if it comes in time.
    pub(crate) fn next_within<T: DeserializeOwned>(&mut self, time: Duration) -> Result<Option<T>> {
        self.writer.set_read_timeout(Some(time)).context("control socket")?;
        self.next()
    }

    /// Whether the other process closes its side in time, whatever it says before.
    pub(crate) fn ended_within(&mut self, time: Duration) -> bool {
        let mut line = String::new();
        self.writer.set_read_timeout(Some(time)).is_err()
            || loop {
                match self.reader.read_line(&mut line) {
                    Ok(1..) => {}
                    Ok(0) => break true,
                    // A side that is closed with unread words in it resets the connection.
                    Err(error) => break error.kind() != ErrorKind::WouldBlock,
                }
            }
    }
}

/// Why a measurement has no figures.
#[derive(Debug)]
pub(crate) struct Void(pub(crate) String);

impl std::fmt::Display for Void {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Void {}

impl Reply {
    /// The reply that tells of an error.
    pub(crate) fn of(error: &anyhow::Error) -> Self {
        match error.downcast_ref::<Void>() {
            Some(Void(reason)) => Self::Void(reason.clone()),
            None => Self::Failed(format!("{error:#}")),
        }
    }

    /// What an error means for the cell.
    pub(crate) fn outcome(self) -> Outcome {
        match self {
            Self::Void(reason) => Outcome::Void { reason },
            Self::Failed(reason) => Outcome::Failed { reason },
            Self::Ready | Self::Done(_) => Outcome::Failed { reason: "no figures".to_owned() },
        }
    }

    /// The tally, or the error that the responder tells of.
    pub(crate) fn done(self) -> Result<Tally> {
        match self {
            Self::Done(tally) => Ok(tally),
            Self::Void(reason) => Err(Void(reason).into()),
            Self::Failed(reason) => bail!("in the responder: {reason}"),
            Self::Ready => bail!("the responder is ready when it should be done"),
        }
    }

    /// That the responder is ready, or the error that it tells of.
    pub(crate) fn ready(self) -> Result<()> {
        match self {
            Self::Ready => Ok(()),
            Self::Done(_) => bail!("the responder is done when it should be ready"),
            other => other.done().map(drop),
        }
    }
}
