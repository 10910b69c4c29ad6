//! One mechanism as the matrix sees it.

use std::process::Command;

use anyhow::{Error, Result, bail};
use ipc_bench_schema::{Absent, CellKey, MechanismInfo, Payload, Topology, Variant, WaitMode};
use ipc_core::{Caps, Shape};

use crate::create::{Bystander, Create, Creator};
use crate::fan::{self, Dealt, In, Out};
use crate::forked::Forked;
use crate::link::Readable;
use crate::polled::Polled;
use crate::workload::{Runner, Workload};
use crate::{Fan, Link, Setup};

/// One mechanism: a row of the matrix.
#[derive(Debug)]
pub struct Subject {
    /// Its id on the command line and in reports.
    pub id: &'static str,
    /// The crate that implements it.
    pub krate: &'static str,
    /// One line for a person who chooses.
    pub summary: &'static str,
    /// What it can do.
    pub caps: Caps,
    /// Its variants, ours first.
    pub variants: &'static [VariantEntry],
}

/// One variant of a mechanism, with the type of its link hidden.
#[derive(Debug)]
pub struct VariantEntry {
    /// Whose code it is.
    pub variant: Variant,
    /// How it can wait.
    waits: &'static [WaitMode],
    /// Whether a message can be made and read where it is.
    in_place: bool,
    /// What it takes part in with two processes.
    topologies: &'static [Topology],
    /// Why it takes no part in the others.
    apart: &'static str,
    /// Where it leaves the other variants alone, and why.
    sits_out: Option<(&'static [Topology], &'static str)>,
    /// How it is created for one message, or why it is not.
    setup: Result<SetupPart, &'static str>,
    offer: fn(&Setup, &mut Command) -> Result<Connect>,
    join: fn(&Setup) -> Result<Box<dyn Workload>>,
    fan_in: FanEntry,
    fan_out: FanEntry,
}

/// A [`Create`] with its type hidden.
type SetupPart = fn(&Setup) -> Result<Box<dyn Workload>>;

/// How a variant takes part where one process meets several.
#[derive(Debug, Clone, Copy)]
enum FanEntry {
    /// It does.
    Part(FanPart),
    /// It does not, and why.
    Apart(&'static str),
}

/// A [`Fan`] with its type hidden.
#[derive(Debug, Clone, Copy)]
struct FanPart {
    offer: fn(&Setup, Topology, &mut [Command]) -> Result<Connect>,
    join: fn(&Setup, Topology, usize) -> Result<Box<dyn Workload>>,
    /// The longest message, where that is less than between two.
    most: Option<usize>,
}

/// What is left to do in the initiator once the responder runs.
pub type Connect = Box<dyn FnOnce() -> Result<Box<dyn Workload>>>;

impl VariantEntry {
    /// The variant whose link is `L`.
    #[must_use]
    pub const fn of<L: Link + 'static>(variant: Variant) -> Self {
        Self {
            variant,
            waits: &[WaitMode::Block, WaitMode::Spin],
            in_place: false,
            topologies: LINK,
            apart: "",
            sits_out: match variant {
                Variant::Raw => Some((&[Topology::Setup], MADE_BY_US)),
                _ => None,
            },
            setup: Ok(creator::<Forked<L>>),
            offer: |setup, command| {
                let offer = L::offer(setup, command)?;
                Ok(Box::new(move || Ok(Box::new(Runner(L::connect(offer)?)))))
            },
            join: |setup| Ok(Box::new(Runner(L::join(setup)?))),
            fan_in: FanEntry::Apart(
                "it connects two processes, and has nothing to poll several by",
            ),
            fan_out: FanEntry::Part(FanPart::sending::<Dealt<L>>()),
        }
    }

    /// The same, of a link by which one process can wait for several.
    #[must_use]
    pub const fn polled<L: Readable + 'static>(variant: Variant) -> Self {
        Self::of::<L>(variant).fan_in::<Polled<L>>()
    }

    /// The variant that creates a `C` for each message.
    #[must_use]
    pub const fn creating<C: Create + 'static>(variant: Variant) -> Self {
        Self {
            variant,
            waits: &[WaitMode::Block],
            in_place: false,
            topologies: &[],
            apart: ONCE,
            sits_out: None,
            setup: Ok(creator::<C>),
            offer: |_, _| bail!(ONCE),
            join: |_| bail!(ONCE),
            fan_in: FanEntry::Apart(ONCE),
            fan_out: FanEntry::Apart(ONCE),
        }
    }

    /// The same, of a mechanism in which several processes can send to one by way of `F`.
    #[must_use]
    pub const fn fan_in<F: Fan + 'static>(mut self) -> Self {
        self.fan_in = FanEntry::Part(FanPart::receiving::<F>(None));
        self
    }

    /// The same, with messages of so many bytes at most, above which those of several senders mix.
    #[must_use]
    pub const fn fan_in_up_to<F: Fan + 'static>(mut self, most: usize) -> Self {
        self.fan_in = FanEntry::Part(FanPart::receiving::<F>(Some(most)));
        self
    }

    /// The same, of a mechanism in which one process can send to several by way of `F`. Without this the
    /// sender has a link to each receiver and deals its messages out.
    #[must_use]
    pub const fn fan_out<F: Fan + 'static>(mut self) -> Self {
        self.fan_out = FanEntry::Part(FanPart::sending::<F>());
        self
    }

    /// The same, of a mechanism that takes no part in `fan-in`, and why, in plain words.
    #[must_use]
    pub const fn no_fan_in(mut self, why: &'static str) -> Self {
        self.fan_in = FanEntry::Apart(why);
        self
    }

    /// The same, of a mechanism that takes no part in `fan-out`, and why, in plain words.
    #[must_use]
    pub const fn no_fan_out(mut self, why: &'static str) -> Self {
        self.fan_out = FanEntry::Apart(why);
        self
    }

    /// The same, of a mechanism that loses messages when the receiver is slower than the sender.
    #[must_use]
    pub const fn lossy(self) -> Self {
        self.round_trips(LOSSY)
    }

    /// The same, of a mechanism whose messages are all answered, one by one; and why, in plain words.
    #[must_use]
    pub const fn round_trips(mut self, why: &'static str) -> Self {
        self.topologies = &[Topology::PingPong, Topology::IdleGap];
        self.apart = why;
        self.fan_in = FanEntry::Apart(why);
        self.fan_out = FanEntry::Apart(why);
        self
    }

    /// The same, of a variant that leaves the others alone in some topologies, where it does not make the same
    /// calls; and why, in plain words.
    #[must_use]
    pub const fn sits_out(mut self, topologies: &'static [Topology], why: &'static str) -> Self {
        self.sits_out = Some((topologies, why));
        self
    }

    /// Why it leaves the other variants alone in a topology, if it does.
    fn absent(&self, topology: Topology) -> Option<&'static str> {
        self.sits_out.filter(|(topologies, _)| topologies.contains(&topology)).map(|it| it.1)
    }

    /// The same, of a mechanism that takes no part in `setup`, and why, in plain words.
    #[must_use]
    pub const fn no_setup(mut self, why: &'static str) -> Self {
        self.setup = Err(why);
        self
    }

    /// The same, of a mechanism that can spin for a while and then sleep.
    #[must_use]
    pub const fn adaptive(mut self) -> Self {
        self.waits = WaitMode::ALL;
        self
    }

    /// The same, of a mechanism that can wait in these ways alone.
    #[must_use]
    pub const fn waits(mut self, waits: &'static [WaitMode]) -> Self {
        self.waits = waits;
        self
    }

    /// The same, of a mechanism whose messages can be made and read in its own memory: its links look at
    /// [`Setup::payload`].
    #[must_use]
    pub const fn in_place(mut self) -> Self {
        self.in_place = true;
        self
    }

    /// Makes the mechanism in the initiator, for as many responders as there are commands.
    ///
    /// # Errors
    ///
    /// Whatever the mechanism says.
    pub fn offer(
        &self,
        setup: &Setup,
        topology: Topology,
        commands: &mut [Command],
    ) -> Result<Connect> {
        if topology == Topology::Setup {
            let workload = self.setup.map_err(Error::msg)?(setup)?;
            return Ok(Box::new(move || Ok(workload)));
        }
        match (self.fan(topology), commands) {
            (Some(FanEntry::Part(part)), commands) => (part.offer)(setup, topology, commands),
            (None, [command]) => (self.offer)(setup, command),
            _ => bail!("it takes no part in {topology}"),
        }
    }

    /// Joins in the responder with this number.
    ///
    /// # Errors
    ///
    /// Whatever the mechanism says.
    pub fn join(
        &self,
        setup: &Setup,
        topology: Topology,
        index: usize,
    ) -> Result<Box<dyn Workload>> {
        match self.fan(topology) {
            Some(FanEntry::Part(part)) => (part.join)(setup, topology, index),
            None if topology == Topology::Setup => Ok(Box::new(Bystander)),
            None => (self.join)(setup),
            Some(FanEntry::Apart(why)) => bail!(why),
        }
    }

    /// How it takes part in a topology of several processes; `None` for one of two.
    const fn fan(&self, topology: Topology) -> Option<FanEntry> {
        match topology {
            Topology::FanIn => Some(self.fan_in),
            Topology::FanOut => Some(self.fan_out),
            _ => None,
        }
    }

    /// Why it takes no part, if it does not.
    fn apart(&self, topology: Topology) -> Option<&'static str> {
        match (topology, self.fan(topology)) {
            (_, Some(FanEntry::Apart(why))) => Some(why),
            (_, Some(FanEntry::Part(_))) => None,
            (Topology::Setup, None) => self.setup.err(),
            (_, None) => (!self.topologies.contains(&topology)).then_some(self.apart),
        }
    }
}

/// Something that creates, for the initiator.
fn creator<C: Create + 'static>(setup: &Setup) -> Result<Box<dyn Workload>> {
    Ok(Box::new(Creator(C::new(setup)?)))
}

impl FanPart {
    /// The initiator receives.
    const fn receiving<F: Fan + 'static>(most: Option<usize>) -> Self {
        Self {
            offer: |setup, topology, commands| {
                let (offer, many) = (F::offer(setup, topology, commands)?, commands.len());
                Ok(Box::new(move || Ok(Box::new(In::new(F::connect(offer)?, many)))))
            },
            join: |setup, topology, index| {
                Ok(Box::new(In::new(F::join(setup, topology, index)?, index)))
            },
            most,
        }
    }

    /// The initiator sends.
    const fn sending<F: Fan + 'static>() -> Self {
        Self {
            offer: |setup, topology, commands| {
                let (offer, many) = (F::offer(setup, topology, commands)?, commands.len());
                Ok(Box::new(move || Ok(Box::new(Out::new(F::connect(offer)?, many)))))
            },
            join: |setup, topology, index| {
                Ok(Box::new(Out::new(F::join(setup, topology, index)?, index)))
            },
            most: None,
        }
    }
}

/// What every link takes part in.
const LINK: &[Topology] =
    &[Topology::PingPong, Topology::IdleGap, Topology::Stream, Topology::OpenLoop];

/// What a notification takes part in: where each is matched with an answer.
const NOTIFICATION: &[Topology] = &[Topology::PingPong, Topology::IdleGap, Topology::Setup];

const UNANSWERED: &str = "notifications that nobody answers become one, or fill a queue: only round trips match each \
                          with an answer";

const MADE_BY_US: &str = "what connects the processes is made by our crate in any case";

const ONCE: &str = "it is created for one message";

const LOSSY: &str = "what comes faster than it is received is thrown away: only in round trips does each message wait \
                     for an answer";

impl Subject {
    /// Finds a subject by its id.
    ///
    /// # Errors
    ///
    /// If there is none; the message lists those that exist.
    pub fn find(id: &str) -> Result<&'static Self> {
        let planted = crate::planted::ALL.iter();
        match crate::subjects::all().chain(planted).find(|subject| subject.id == id) {
            Some(subject) => Ok(subject),
            None => {
                let known: Vec<_> = crate::subjects::all().map(|it| it.id).collect();
                bail!("unknown mechanism {id:?}: one of {}", known.join(", "))
            }
        }
    }

    /// The variants that take part in a topology.
    pub fn entries(&self, topology: Topology) -> impl Iterator<Item = &'static VariantEntry> {
        self.variants.iter().filter(move |entry| entry.absent(topology).is_none())
    }

    /// Why this subject cannot do what the cell asks for, if it cannot.
    #[must_use]
    pub fn unsupported(&self, key: &CellKey) -> Option<String> {
        match (self.carries_payload(), key.size) {
            (true, 0) => return Some("a message without bytes has nothing to verify".to_owned()),
            (false, 1..) => return Some("it carries no payload: its cells have size 0".to_owned()),
            _ => {}
        }
        if let Some(why) = self.apart(key.topology) {
            return Some(why.to_owned());
        }
        if !key.setting.fits(key.topology) {
            return Some(format!("{} has no setting {:?}", key.topology, key.setting.to_string()));
        }
        if key.topology.is_fan() {
            if key.size < fan::LEAST {
                return Some(format!("a message needs {} bytes to say whose it is", fan::LEAST));
            }
            if let Some(most) = self.most(key.topology).filter(|most| key.size > *most) {
                return Some(format!("above {most} bytes the messages of several senders mix"));
            }
        }
        if key.topology == Topology::Setup && key.wait != WaitMode::Block {
            return Some("what is being created is waited for in the kernel".to_owned());
        }
        if let Some(max) = self.caps.max_message.filter(|max| key.size > *max) {
            return Some(format!("a message has at most {max} bytes"));
        }
        if !self.variants.iter().all(|entry| entry.waits.contains(&key.wait)) {
            let can = self.variants.first().map_or(&[][..], |entry| entry.waits);
            let can: Vec<_> = can.iter().map(|it| it.as_str()).collect();
            return Some(format!("it waits by {} only", can.join(" or ")));
        }
        if !self.payloads().contains(&key.payload) {
            return Some("a message is copied into the mechanism and out of it".to_owned());
        }
        None
    }

    /// What can be done with the bytes of its messages.
    fn payloads(&self) -> &'static [Payload] {
        if self.variants.iter().all(|entry| entry.in_place) {
            Payload::ALL
        } else {
            &[Payload::Touch]
        }
    }

    /// Why it takes no part in a topology, if it does not.
    fn apart(&self, topology: Topology) -> Option<&'static str> {
        if !self.carries_payload() && !NOTIFICATION.contains(&topology) {
            return Some(UNANSWERED);
        }
        self.variants.iter().find_map(|entry| entry.apart(topology))
    }

    /// The longest message there.
    fn most(&self, topology: Topology) -> Option<usize> {
        let parts = self.variants.iter().filter_map(|entry| match entry.fan(topology) {
            Some(FanEntry::Part(part)) => part.most,
            _ => None,
        });
        parts.min()
    }

    /// Whether its messages have bytes. A notification and a semaphore's permit have none.
    fn carries_payload(&self) -> bool {
        !matches!(self.caps.shape, Shape::Notification | Shape::Semaphore)
    }

    /// Which of its variants sit out where.
    fn absent(&self) -> Vec<Absent> {
        let in_one = |topology: Topology| {
            self.variants.iter().filter_map(move |entry| {
                let reason = entry.absent(topology)?.to_owned();
                Some(Absent { variant: entry.variant, topology, reason })
            })
        };
        Topology::ALL.iter().copied().flat_map(in_one).collect()
    }

    /// What the orchestrator and the report need to know.
    #[must_use]
    pub fn info(&self) -> MechanismInfo {
        let caps = self.caps.rows().into_iter();
        let (parts, apart): (Vec<_>, Vec<_>) =
            Topology::ALL.iter().map(|it| (*it, self.apart(*it))).partition(|it| it.1.is_none());
        MechanismInfo {
            id: self.id.to_owned(),
            krate: self.krate.to_owned(),
            summary: self.summary.to_owned(),
            variants: self.variants.iter().map(|it| it.variant).collect(),
            topologies: parts.into_iter().map(|(it, _)| it).collect(),
            payloads: self.payloads().to_vec(),
            absent: self.absent(),
            apart: apart
                .into_iter()
                .map(|(it, why)| (it, why.unwrap_or_default().to_owned()))
                .collect(),
            max_message: if self.carries_payload() { self.caps.max_message } else { Some(0) },
            caps: caps.map(|(name, value)| (name.to_owned(), value)).collect(),
        }
    }
}
