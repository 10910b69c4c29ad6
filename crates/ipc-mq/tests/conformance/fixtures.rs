//! The mechanisms of this crate, as the suites see them.

use std::ffi::{OsStr, OsString};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use ipc_core::{Caps, Handoff, Mechanism, Name, RecvMsg, Result, SendMsg, Wait};
use ipc_mq::posix::{self, Queue as PosixQueue};
use ipc_mq::sysv::{self, Key, Queue as SystemVQueue};
use ipc_mq::{Backend, Mailbox, MailboxOptions, MailboxReceiver, MailboxSender};
use ipc_testkit::{Across, ByHandoff, Messages, NamedObjects, dir, names_in, unique_name};

/// Ids of queues without a key that this process has made.
static IDS: Mutex<Vec<i32>> = Mutex::new(Vec::new());

/// Names that this process has invented.
static NAMES: Mutex<Vec<Name>> = Mutex::new(Vec::new());

/// A name that no other test uses, and that [`traces`] looks for.
pub(crate) fn fresh_name() -> Name {
    let name = Name::new(unique_name()).expect("it is a name");
    NAMES.lock().expect("nobody panics with it").push(name.clone());
    name
}

/// A key that no other test uses: its upper half is the same in all processes of a case.
pub(crate) fn fresh_key() -> Key {
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    let count = COUNTER.fetch_add(1, Ordering::Relaxed) + 1 + (std::process::id() << 10 & 0x7c00);
    Key::new((case_half() << 16 | count & 0x7fff).cast_signed()).expect("it is not 0")
}

/// The upper half of this case's keys.
fn case_half() -> u32 {
    let mut hasher = DefaultHasher::new();
    dir().hash(&mut hasher);
    u32::try_from(hasher.finish() & 0x7fff).expect("15 bits fit") | 0x4000
}

/// What this case has left where others see it.
pub(crate) fn traces() -> Vec<String> {
    let names = NAMES.lock().expect("nobody panics with it");
    let ids = IDS.lock().expect("nobody panics with it");
    let open = |name: &&Name| posix::QueueOptions::new().open(name).is_ok();
    let mut traces = names_in("/dev/mqueue");
    traces.extend(names.iter().filter(open).map(ToString::to_string));
    let keys: Vec<_> = names.iter().map(Mailbox::key).collect();
    for queue in sysv::queues().expect("list System V queues") {
        let key = queue.status.key;
        let upper_half = key.get().cast_unsigned() >> 16;
        if ids.contains(&queue.id) || upper_half == case_half() || keys.contains(&key) {
            traces.push(format!("msqid {} key {key}", queue.id));
        }
    }
    traces
}

pub(crate) struct Posix;

impl Messages for Posix {
    const NAME: &'static str = "posix-mq";
    const CAPS: Caps = posix::Sender::CAPS;
    type Tx = posix::Sender;
    type Rx = posix::Receiver;
    type Across = ByHandoff;

    fn pair() -> Result<(posix::Sender, posix::Receiver)> {
        let (rx, tx) = posix::QueueOptions::new().pair()?;
        Ok((tx, rx))
    }

    fn traces() -> Vec<String> {
        traces()
    }
}

pub(crate) struct SystemV;

impl Messages for SystemV {
    const NAME: &'static str = "sysv-mq";
    const CAPS: Caps = sysv::Sender::CAPS;
    type Tx = sysv::Sender;
    type Rx = sysv::Receiver;
    type Across = ByHandoff;

    fn pair() -> Result<(sysv::Sender, sysv::Receiver)> {
        let (rx, tx) = sysv::QueueOptions::new().pair()?;
        IDS.lock().expect("nobody panics with it").push(rx.id());
        Ok((tx, rx))
    }

    fn traces() -> Vec<String> {
        traces()
    }
}

pub(crate) struct PosixMailbox;

impl Messages for PosixMailbox {
    const NAME: &'static str = "mailbox-posix";
    const CAPS: Caps = Mailbox::CAPS;
    type Tx = MailboxSender;
    type Rx = MailboxReceiver;
    type Across = ByHandoff;

    fn pair() -> Result<(MailboxSender, MailboxReceiver)> {
        // Its ends stay open when the name goes.
        let mailbox = MailboxOptions::new().create(&fresh_name())?;
        Ok((mailbox.sender()?, mailbox.receiver()?))
    }

    fn traces() -> Vec<String> {
        traces()
    }
}

pub(crate) struct PosixQueues;

impl NamedObjects for PosixQueues {
    const NAME: &'static str = "posix-mq";
    const CAPS: Caps = PosixQueue::CAPS;
    type Object = PosixQueue;
    type Address = Name;

    fn fresh() -> Name {
        fresh_name()
    }

    fn to_text(address: &Name) -> OsString {
        address.as_os_str().to_owned()
    }

    fn from_text(text: &OsStr) -> Name {
        Name::new(text).expect("it is a name")
    }

    fn traces() -> Vec<String> {
        traces()
    }
}

pub(crate) struct SystemVQueues;

impl NamedObjects for SystemVQueues {
    const NAME: &'static str = "sysv-mq";
    const CAPS: Caps = SystemVQueue::CAPS;
    type Object = SystemVQueue;
    type Address = Key;

    fn fresh() -> Key {
        fresh_key()
    }

    fn to_text(address: &Key) -> OsString {
        address.get().to_string().into()
    }

    fn from_text(text: &OsStr) -> Key {
        let number = text.to_str().and_then(|text| text.parse().ok()).expect("a number");
        Key::new(number).expect("a key")
    }

    fn traces() -> Vec<String> {
        traces()
    }
}

pub(crate) struct Mailboxes;

impl NamedObjects for Mailboxes {
    const NAME: &'static str = "mailbox";
    const CAPS: Caps = Mailbox::CAPS;
    type Object = Mailbox;
    type Address = Name;

    fn fresh() -> Name {
        fresh_name()
    }

    fn to_text(address: &Name) -> OsString {
        address.as_os_str().to_owned()
    }

    fn from_text(text: &OsStr) -> Name {
        Name::new(text).expect("it is a name")
    }

    fn traces() -> Vec<String> {
        traces()
    }
}

/// A mailbox over a System V queue, which goes with the last of these ends in the process that made
/// it.
pub(crate) struct SystemVMailbox;

impl Messages for SystemVMailbox {
    const NAME: &'static str = "mailbox-sysv";
    const CAPS: Caps = Mailbox::CAPS;
    type Tx = Kept<MailboxSender>;
    type Rx = Kept<MailboxReceiver>;
    type Across = Held;

    fn pair() -> Result<(Kept<MailboxSender>, Kept<MailboxReceiver>)> {
        let mailbox = MailboxOptions::new().backend(Backend::SystemV).create(&fresh_name())?;
        let (tx, rx) = (mailbox.sender()?, mailbox.receiver()?);
        let mailbox = Arc::new(mailbox);
        let tx = Kept { end: tx, _mailbox: Some(Arc::clone(&mailbox)) };
        Ok((tx, Kept { end: rx, _mailbox: Some(mailbox) }))
    }

    fn traces() -> Vec<String> {
        traces()
    }
}

/// An end, and the mailbox that must outlive it.
#[derive(Debug)]
pub(crate) struct Kept<T> {
    end: T,
    _mailbox: Option<Arc<Mailbox>>,
}

impl SendMsg for Kept<MailboxSender> {
    fn max_len(&self) -> usize {
        self.end.max_len()
    }

    fn send_with(&mut self, msg: &[u8], wait: Wait) -> Result<()> {
        self.end.send_with(msg, wait)
    }
}

impl RecvMsg for Kept<MailboxReceiver> {
    fn recv_with(&mut self, buf: &mut [u8], wait: Wait) -> Result<usize> {
        self.end.recv_with(buf, wait)
    }
}

pub(crate) struct Held;

impl<T: Handoff> Across<Kept<T>> for Held {
    fn give(end: Kept<T>, command: &mut Command, key: &str) -> Result<()> {
        Ok(end.end.give(command, key)?)
    }

    fn adopt(key: &str) -> Result<Kept<T>> {
        Ok(Kept { end: T::adopt(key)?, _mailbox: None })
    }
}
