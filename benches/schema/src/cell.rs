//! What one cell of the matrix is: a mechanism, under one setting of every axis.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Declares an axis: an enum whose JSON, `Display` and `FromStr` forms are one kebab-case word.
macro_rules! axis {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
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
        /// The same, each after a pause in which nothing happens: what a receiver costs that has gone to
        /// sleep. The setting is the pause.
        IdleGap = "idle-gap",
        /// Messages one way as fast as they go; clocked until the receiver has the last.
        Stream = "stream",
        /// Several processes send as fast as they can and one receives; clocked until it has the last.
        /// The setting is how many send.
        FanIn = "fan-in",
        /// One process sends and several receive; clocked until the last has the last. The setting is how
        /// many receive.
        FanOut = "fan-out",
        /// Messages one way at given times, whether or not those before have arrived; the latency of each
        /// counts from when it was to be sent. The setting is how the times are spread.
        OpenLoop = "open-loop",
        /// From creating a mechanism to the answer to the first message over it, again and again; the
        /// initiator clocks each.
        Setup = "setup",
    }
}

impl Topology {
    /// Whether the initiator clocks every message, from its beginning to the answer.
    #[must_use]
    pub const fn is_clocked_each(self) -> bool {
        matches!(self, Self::PingPong | Self::IdleGap | Self::Setup)
    }

    /// Whether there is a latency for every message; else there are rates alone.
    #[must_use]
    pub const fn has_latency(self) -> bool {
        self.is_clocked_each() || matches!(self, Self::OpenLoop)
    }

    /// Whether more than two processes take part.
    #[must_use]
    pub const fn is_fan(self) -> bool {
        matches!(self, Self::FanIn | Self::FanOut)
    }
}

axis! {
    /// Where the two processes run.
    Placement {
        /// Both are pinned to the same CPU: every message is a context switch.
        SameCpu = "same-cpu",
        /// Each is pinned to its own CPU, those of `--cpus` or the nearest that are not one core: a blocking
        /// receiver is woken across CPUs.
        CrossCpu = "cross-cpu",
        /// On two hardware threads of one core.
        SmtSibling = "smt-sibling",
        /// On two cores that share the last-level cache.
        SharedL3 = "shared-l3",
        /// On two cores of one NUMA node that do not share the last-level cache.
        CrossL3 = "cross-l3",
        /// On two NUMA nodes.
        CrossNuma = "cross-numa",
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
        /// The message is made and read in the mechanism's own memory, and never copied. The sender writes its
        /// number, which is the first 8 bytes of it, and the receiver verifies that and the length; the rest is
        /// whatever was there.
        Handoff = "handoff",
    }
}

impl Payload {
    /// How many bytes of a message of `size` bytes are written and verified.
    #[must_use]
    pub const fn touched(self, size: usize) -> usize {
        match self {
            Self::Handoff if size > NUMBER => NUMBER,
            _ => size,
        }
    }
}

/// The length of a message's number: what [`Payload::Handoff`] touches.
const NUMBER: usize = 8;

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

/// What a topology that comes in several forms is set to: one word, such as `1ms`, `3` or `poisson`.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(into = "String", try_from = "String")]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema), schemars(with = "String"))]
pub enum Setting {
    /// There is nothing to set: the empty word.
    #[default]
    None,
    /// `idle-gap`: the pause before each round trip, in microseconds. `0us`, `50us`, `1ms`.
    Pause(u32),
    /// `fan-in`, `fan-out`: how many processes send, or receive. `3`.
    Many(u32),
    /// `open-loop`: messages at equal distances. `fixed`.
    Fixed,
    /// `open-loop`: messages at distances of chance, as independent clients send them. `poisson`.
    Poisson,
}

impl Setting {
    /// Whether the topology has no settings.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::None
    }

    /// How many processes are on the side of the many; 1 where there are two.
    #[must_use]
    pub const fn many(self) -> usize {
        match self {
            Self::Many(n) => n as usize,
            _ => 1,
        }
    }

    /// Whether a topology has this setting.
    #[must_use]
    pub const fn fits(self, topology: Topology) -> bool {
        match topology {
            Topology::PingPong | Topology::Stream | Topology::Setup => matches!(self, Self::None),
            Topology::IdleGap => matches!(self, Self::Pause(_)),
            Topology::FanIn | Topology::FanOut => matches!(self, Self::Many(1..)),
            Topology::OpenLoop => matches!(self, Self::Fixed | Self::Poisson),
        }
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self {
            Self::None => String::new(),
            Self::Pause(us) if *us > 0 && us.is_multiple_of(1000) => format!("{}ms", us / 1000),
            Self::Pause(us) => format!("{us}us"),
            Self::Many(n) => n.to_string(),
            Self::Fixed => "fixed".to_owned(),
            Self::Poisson => "poisson".to_owned(),
        };
        f.pad(&word)
    }
}

impl std::str::FromStr for Setting {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let number = |digits: &str| digits.parse::<u32>().ok();
        let known = match word {
            "" => Some(Self::None),
            "fixed" => Some(Self::Fixed),
            "poisson" => Some(Self::Poisson),
            _ => {
                let ms =
                    word.strip_suffix("ms").and_then(number).and_then(|ms| ms.checked_mul(1000));
                let us = word.strip_suffix("us").and_then(number);
                let many = number(word).filter(|n| *n > 0);
                ms.or(us).map(Self::Pause).or(many.map(Self::Many))
            }
        };
        known.ok_or_else(|| {
            format!("unknown setting {word:?}: a pause such as 50us or 1ms, a number of processes, fixed or poisson")
        })
    }
}

impl From<Setting> for String {
    fn from(setting: Setting) -> Self {
        setting.to_string()
    }
}

impl TryFrom<String> for Setting {
    type Error = String;

    fn try_from(word: String) -> Result<Self, String> {
        word.parse()
    }
}

/// The setting of every axis that names one cell of the matrix, for all its variants.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
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
    /// What the topology is set to, where it comes in several forms.
    #[serde(default, skip_serializing_if = "Setting::is_none")]
    pub setting: Setting,
}

impl CellKey {
    /// The topology with its setting: `stream`, `idle-gap:1ms`.
    #[must_use]
    pub fn form(&self) -> String {
        match self.setting {
            Setting::None => self.topology.to_string(),
            setting => format!("{}:{setting}", self.topology),
        }
    }

    /// How many processes take part.
    #[must_use]
    pub const fn processes(&self) -> usize {
        1 + self.setting.many()
    }
}

impl CellKey {
    /// The name of its row: the mechanism, and that its messages are handed over where they are.
    #[must_use]
    pub fn row(&self) -> String {
        match self.payload {
            Payload::Touch => self.mechanism.clone(),
            Payload::Handoff => format!("{} (handoff)", self.mechanism),
        }
    }
}

impl fmt::Display for CellKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { mechanism, topology: _, size, placement, wait, payload, setting: _ } = self;
        write!(f, "{mechanism}/{}/{size}B/{placement}/{wait}/{payload}", self.form())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_is_read_as_it_is_written() {
        let all = [Setting::None, Setting::Pause(0), Setting::Pause(50), Setting::Pause(10_000)];
        for it in all.into_iter().chain([Setting::Many(3), Setting::Fixed, Setting::Poisson]) {
            assert_eq!(it.to_string().parse(), Ok(it));
            let json = serde_json::to_string(&it).expect("a word");
            assert_eq!(serde_json::from_str::<Setting>(&json).expect("a word"), it);
        }
        assert_eq!(Setting::Pause(10_000).to_string(), "10ms");
        for word in ["0", "-1", "1s", "ms", "99999999ms", "often"] {
            assert!(word.parse::<Setting>().is_err(), "{word}");
        }
    }

    #[test]
    fn a_key_without_a_setting_is_read_as_before() {
        let old = r#"{"mechanism":"pipe","topology":"stream","size":8,"placement":"same-cpu",
            "wait":"block","payload":"touch"}"#;
        let mut key: CellKey = serde_json::from_str(old).expect("a key");
        assert_eq!((key.setting, key.processes()), (Setting::None, 2));
        assert!(!serde_json::to_string(&key).expect("JSON").contains("setting"));
        (key.topology, key.setting) = (Topology::FanIn, Setting::Many(3));
        assert_eq!(key.to_string(), "pipe/fan-in:3/8B/same-cpu/block/touch");
        assert_eq!(key.processes(), 4);
    }
}
