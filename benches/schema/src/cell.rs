//! What one cell of the matrix is: a mechanism, under one setting of every axis.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Declares an axis: an enum whose JSON, `Display` and `FromStr` forms are one kebab-case word.
macro_rules! axis {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$doc])* #[serde(rename = $word)] $variant,)+
        }

        impl $name {
            /// Every setting of this axis, in the order of the report.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The word for this setting in JSON, in reports and on the command line.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = String;

            fn from_str(word: &str) -> Result<Self, String> {
                Self::ALL.iter().copied().find(|it| it.as_str() == word).ok_or_else(|| {
                    let known: Vec<_> = Self::ALL.iter().map(|it| it.as_str()).collect();
                    format!("unknown {} {word:?}: one of {}", stringify!($name).to_lowercase(), known.join(", "))
                })
            }
        }
    };
}

axis! {
    /// Who sends to whom, and when the clock runs.
    Topology {
        /// One message there and one back; the initiator clocks each round trip.
        PingPong = "ping-pong",
        /// Messages one way as fast as they go; clocked until the receiver has the last.
        Stream = "stream",
        /// From creating a mechanism to the answer to the first message over it, again and again; the
        /// initiator clocks each.
        Setup = "setup",
    }
}

impl Topology {
    /// Whether the initiator clocks every message, from its beginning to the answer.
    #[must_use]
    pub const fn is_clocked_each(self) -> bool {
        matches!(self, Self::PingPong | Self::Setup)
    }
}

axis! {
    /// Where the two processes run.
    Placement {
        /// Both are pinned to the same CPU: every message is a context switch.
        SameCpu = "same-cpu",
        /// Each is pinned to its own CPU: a blocking receiver is woken across CPUs.
        CrossCpu = "cross-cpu",
        /// The scheduler decides.
        Unpinned = "unpinned",
    }
}

axis! {
    /// What a process does while it has to wait.
    WaitMode {
        /// Sleeps in the kernel: `Wait::Forever`.
        Block = "block",
        /// Tries again and again and never sleeps: `Wait::Never` in a loop.
        Spin = "spin",
        /// Spins a bounded time and then sleeps.
        Adaptive = "adaptive",
    }
}

axis! {
    /// What is done with the bytes of a message.
    Payload {
        /// The sender writes every byte and the receiver verifies every byte.
        Touch = "touch",
        /// The message is handed over in place and not read.
        Handoff = "handoff",
    }
}

axis! {
    /// Whose code makes the system calls.
    Variant {
        /// The mechanism's crate in this workspace.
        Ours = "ours",
        /// The same system calls in a bare libc loop.
        Raw = "raw",
        /// Somebody else's library.
        Peer = "peer",
    }
}

/// The setting of every axis that names one cell of the matrix, for all its variants.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CellKey {
    /// The mechanism's id, such as `pipe`; `ipc-peer list` has them all.
    pub mechanism: String,
    /// Who sends to whom.
    pub topology: Topology,
    /// The length of a message in bytes; 0 for a mechanism that carries no payload.
    pub size: usize,
    /// Where the processes run.
    pub placement: Placement,
    /// How they wait.
    pub wait: WaitMode,
    /// What they do with the bytes.
    pub payload: Payload,
}

impl fmt::Display for CellKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { mechanism, topology, size, placement, wait, payload } = self;
        write!(f, "{mechanism}/{topology}/{size}B/{placement}/{wait}/{payload}")
    }
}
