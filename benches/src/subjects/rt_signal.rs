//! A realtime signal with a value there and one back.
#![expect(unsafe_code, reason = "the raw variant exists to call the system without any help")]

use std::os::fd::{AsRawFd, OwnedFd};

use anyhow::Result;
use ipc_bench_schema::{Variant, WaitMode};
use ipc_core::Mechanism;
use ipc_signal::{Pid, RtReceiver, RtSender, Signal, Value};

use super::signal::{not_yet, set_of, take};
use super::signals::{Ends, Notifying, Turns};
use crate::link::run;
use crate::sys::until_ready;
use crate::{Subject, VariantEntry};

/// The row of the matrix.
pub(super) const SUBJECT: Subject = Subject {
    id: "rt-signal",
    krate: "ipc-signal",
    summary: "realtime signal with a value, by pidfd, and sigtimedwait: none is lost",
    caps: RtSender::CAPS,
    variants: &[
        VariantEntry::of::<Notifying<Ours>>(Variant::Ours).adaptive(),
        VariantEntry::of::<Notifying<Bare>>(Variant::Raw).adaptive(),
    ],
};

/// Our crate's ends. The values are numbers, and each must come in its turn.
struct Ours {
    rx: RtReceiver,
    tx: RtSender,
    turns: Turns,
}

/// The same signals by bare system calls.
struct Bare {
    tx: OwnedFd,
    set: u64,
    info: Info,
    turns: Turns,
}

/// `siginfo_t` of a queued signal on a machine of 64 bits.
#[derive(Clone, Copy)]
#[repr(C)]
struct Info {
    signal: i32,
    errno: i32,
    code: i32,
    padding: i32,
    pid: i32,
    uid: u32,
    value: usize,
    rest: [u64; 12],
}

const _: () = assert!(size_of::<Info>() == size_of::<libc::siginfo_t>());

impl Ends for Ours {
    type Sender = RtSender;

    fn signal() -> ipc_core::Result<Signal> {
        Signal::realtime(1)
    }

    fn open(tx: RtSender) -> Result<Self> {
        Ok(Self { rx: RtReceiver::new(Self::signal()?)?, tx, turns: Turns::default() })
    }

    #[inline]
    fn notify(&mut self, wait: WaitMode) -> Result<()> {
        let value = Value::from(self.turns.next());
        run(wait, |wait| self.tx.send(value, wait))
    }

    #[inline]
    fn wait(&mut self, wait: WaitMode) -> Result<()> {
        let origin = run(wait, |wait| self.rx.recv(wait))?;
        self.turns.check(origin.value().map(Value::as_usize))
    }
}

impl Ends for Bare {
    type Sender = RtSender;

    fn signal() -> ipc_core::Result<Signal> {
        Signal::realtime(2)
    }

    fn open(tx: RtSender) -> Result<Self> {
        let signal = Self::signal()?;
        let info = Info {
            signal: signal.number(),
            errno: 0,
            code: libc::SI_QUEUE,
            padding: 0,
            pid: Pid::this().get(),
            uid: rustix::process::getuid().as_raw(),
            value: 0,
            rest: [0; 12],
        };
        Ok(Self { tx: tx.into(), set: set_of(signal), info, turns: Turns::default() })
    }

    #[inline]
    fn notify(&mut self, _: WaitMode) -> Result<()> {
        self.info.value = self.turns.next();
        let (fd, signal, info) = (self.tx.as_raw_fd(), self.info.signal, &raw const self.info);
        until_ready(not_yet, || {
            // SAFETY: the descriptor is open, and the information has the 128 bytes that are read.
            unsafe { libc::syscall(libc::SYS_pidfd_send_signal, fd, signal, info, 0) as isize }
        })?;
        Ok(())
    }

    #[inline]
    fn wait(&mut self, wait: WaitMode) -> Result<()> {
        let mut info = Info { value: 0, ..self.info };
        // SAFETY: the information has the 128 bytes that are written.
        unsafe { take(self.set, wait, (&raw mut info).cast()) }?;
        self.turns.check((info.code == libc::SI_QUEUE).then_some(info.value))
    }
}
