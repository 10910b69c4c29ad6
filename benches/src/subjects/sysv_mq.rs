//! System V message queues, one for each direction.
#![expect(unsafe_code, reason = "the raw variant exists to call the system without any help")]

use std::ffi::c_long;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::Result;
use ipc_bench_schema::{Variant, WaitMode};
use ipc_core::{Mechanism, RecvMsg, SendMsg};
use ipc_mq::sysv::{Key, Queue, QueueOptions, Receiver, Sender};

use super::many::{Common, Many, OurMessages, Receives, Sends};
use crate::link::{Link, Setup, adopt_ends, give_ends, run};
use crate::sys::as_told;
use crate::{Subject, VariantEntry};

/// The longest message where nobody has raised `/proc/sys/kernel/msgmax`.
const LONGEST: usize = 8192;

/// The row of the matrix.
pub(super) const SUBJECT: Subject = Subject {
    id: "sysv-mq",
    krate: "ipc-mq",
    summary: "System V message queue: messages with types, 16 KiB of room",
    caps: Sender::CAPS.max_message(LONGEST),
    variants: &[
        VariantEntry::of::<Ours>(Variant::Ours).adaptive().fan_in::<OurMany>().fan_out::<OurMany>(),
        VariantEntry::of::<Bare>(Variant::Raw)
            .adaptive()
            .fan_in::<BareMany>()
            .fan_out::<BareMany>(),
    ],
};

/// Our crate's ends.
struct Ours {
    rx: Receiver,
    tx: Sender,
    /// In the initiator: they are removed when it is done.
    _queues: Option<[Queue; 2]>,
}

/// What the keys of the benchmark's queues begin with; a pid and a number follow.
const PREFIX: u32 = 0x5c00_0000;

/// The mode of the benchmark's queues. The bit to execute means nothing, and marks them.
const MODE: u32 = 0o700;

/// Creates a queue that a later run removes if this one is killed: nobody else would.
fn create() -> Result<Queue> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed) % 8;
    if number == 0 {
        sweep()?;
    }
    let key = PREFIX | std::process::id() << 3 & 0x03ff_fff8 | number;
    Ok(QueueOptions::new().mode(MODE).create(Key::new(key.cast_signed())?)?)
}

/// Removes the queues of runs that were killed.
fn sweep() -> Result<()> {
    for entry in ipc_mq::sysv::queues()? {
        let key = entry.status.key.get().cast_unsigned();
        let pid = (key & 0x03ff_ffff) >> 3;
        let ours = key & 0xfc00_0000 == PREFIX && entry.status.mode == MODE;
        if ours && !Path::new("/proc").join(pid.to_string()).exists() {
            // Another user's is refused, and another sweeper's is gone already.
            if let Ok(queue) = QueueOptions::new().open_id(entry.id) {
                let _ = queue.unlink();
            }
        }
    }
    Ok(())
}

impl Link for Ours {
    type Offer = Self;

    fn offer(setup: &Setup, command: &mut Command) -> Result<Self> {
        let (back, there) = (create()?, create()?);
        give_ends(setup, command, there.receiver(), back.sender()?)?;
        let (rx, tx) = (back.receiver(), there.sender()?);
        Ok(Self { rx, tx, _queues: Some([back, there]) })
    }

    fn connect(offer: Self) -> Result<Self> {
        Ok(offer)
    }

    fn join(setup: &Setup) -> Result<Self> {
        let (rx, tx) = adopt_ends(setup)?;
        Ok(Self { rx, tx, _queues: None })
    }

    #[inline]
    fn send(&mut self, msg: &[u8], wait: WaitMode) -> Result<()> {
        // Apart, as a program that blocks has it: the call for this wait alone is compiled in.
        if wait == WaitMode::Block {
            return Ok(self.tx.send(msg)?);
        }
        run(wait, |wait| self.tx.send_with(msg, wait))
    }

    #[inline]
    fn recv(&mut self, buf: &mut [u8], wait: WaitMode) -> Result<usize> {
        if wait == WaitMode::Block {
            return Ok(self.rx.recv(buf)?);
        }
        run(wait, |wait| self.rx.recv_with(buf, wait))
    }
}

/// The same queues, used by bare system calls.
struct Bare {
    rx: Buffered,
    tx: Buffered,
    /// The initiator's ends keep the queues from being removed.
    _ends: Ours,
}

/// A queue by its id, and a message as the calls want it: a word for the type, then the bytes.
struct Buffered {
    id: i32,
    msg: Vec<c_long>,
}

impl Bare {
    fn new(setup: &Setup, ends: Ours) -> Self {
        let (rx, tx) = (Buffered::of(ends.rx.id(), setup), Buffered::of(ends.tx.id(), setup));
        Self { rx, tx, _ends: ends }
    }
}

fn flags(sleep: bool) -> i32 {
    if sleep { 0 } else { libc::IPC_NOWAIT }
}

/// What a call without sleep fails with when there is no message or no room.
fn not_yet(errno: i32) -> bool {
    matches!(errno, libc::EAGAIN | libc::ENOMSG)
}

impl Buffered {
    fn of(id: i32, setup: &Setup) -> Self {
        Self { id, msg: vec![1; 1 + setup.size.div_ceil(size_of::<c_long>())] }
    }

    /// How many bytes there is room for.
    fn room(&self) -> usize {
        (self.msg.len() - 1) * size_of::<c_long>()
    }

    /// The bytes behind the type.
    fn text(&mut self) -> *mut u8 {
        self.msg[1..].as_mut_ptr().cast()
    }

    /// `msgsnd`
    #[inline]
    fn send(&mut self, msg: &[u8], wait: WaitMode) -> Result<()> {
        let (id, len) = (self.id, msg.len());
        assert!(len <= self.room(), "a message of another size");
        self.msg[0] = 1;
        // SAFETY: there is room for the message behind the type, and nobody else has the buffer.
        unsafe { self.text().copy_from_nonoverlapping(msg.as_ptr(), len) };
        let data = self.msg.as_ptr();
        as_told(wait, not_yet, |sleep| {
            // SAFETY: the data are a type and `len` bytes.
            unsafe { libc::syscall(libc::SYS_msgsnd, id, data, len, flags(sleep)) as isize }
        })?;
        Ok(())
    }

    /// `msgrcv`
    #[inline]
    fn recv(&mut self, buf: &mut [u8], wait: WaitMode) -> Result<usize> {
        let (id, room) = (self.id, buf.len());
        assert!(room <= self.room(), "a buffer of another size");
        let data = self.msg.as_mut_ptr();
        let len = as_told(wait, not_yet, |sleep| {
            let flags = flags(sleep);
            // SAFETY: the data have room for a type and as many bytes as the buffer.
            unsafe { libc::syscall(libc::SYS_msgrcv, id, data, room, 0_i64, flags) as isize }
        })?;
        // SAFETY: the call has written `len` bytes behind the type, no more than the buffer has.
        unsafe { buf.as_mut_ptr().copy_from_nonoverlapping(self.text(), len) };
        Ok(len)
    }
}

impl Link for Bare {
    type Offer = Self;

    fn offer(setup: &Setup, command: &mut Command) -> Result<Self> {
        Ok(Self::new(setup, Ours::offer(setup, command)?))
    }

    fn connect(offer: Self) -> Result<Self> {
        Ok(offer)
    }

    fn join(setup: &Setup) -> Result<Self> {
        Ok(Self::new(setup, Ours::join(setup)?))
    }

    #[inline]
    fn send(&mut self, msg: &[u8], wait: WaitMode) -> Result<()> {
        self.tx.send(msg, wait)
    }

    #[inline]
    fn recv(&mut self, buf: &mut [u8], wait: WaitMode) -> Result<usize> {
        self.rx.recv(buf, wait)
    }
}

/// One queue that all senders fill, or from which each receiver takes its own.
struct OneQueue;

type OurMany = Many<OneQueue, OurMessages<Receiver>, OurMessages<Sender>>;
type BareMany = Many<OneQueue, Buffered, Buffered>;

impl Common for OneQueue {
    type Rx = Receiver;
    type Tx = Sender;
    /// Removed at the end.
    type Keep = Queue;

    fn make(_: &Setup) -> Result<(Receiver, Sender, Queue)> {
        let queue = create()?;
        Ok((queue.receiver(), queue.sender()?, queue))
    }

    // An end is no more than the queue's id.

    fn another_rx(rx: &Receiver) -> Result<Receiver> {
        Ok(QueueOptions::new().open_id(rx.id())?.receiver())
    }

    fn another_tx(tx: &Sender) -> Result<Sender> {
        Ok(QueueOptions::new().open_id(tx.id())?.sender()?)
    }
}

impl Sends for Buffered {
    type Of = Sender;

    fn new(tx: Sender, setup: &Setup) -> Result<Self> {
        Ok(Self::of(tx.id(), setup))
    }

    #[inline]
    fn send(&mut self, msg: &[u8], wait: WaitMode) -> Result<()> {
        self.send(msg, wait)
    }
}

impl Receives for Buffered {
    type Of = Receiver;

    fn new(rx: Receiver, setup: &Setup) -> Result<Self> {
        Ok(Self::of(rx.id(), setup))
    }

    #[inline]
    fn recv(&mut self, buf: &mut [u8], wait: WaitMode) -> Result<usize> {
        self.recv(buf, wait)
    }
}
