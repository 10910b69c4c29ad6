//! The mechanisms of this crate, as the suite sees them.
//!
//! A signal is addressed to a process. So an end that notifies is an address, and when the end that is
//! notified goes to another process, the address changes. Here the new process writes its pid into a
//! file, and the sender looks there when it is used next.

use std::fmt::Debug;
use std::fs;
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use ipc_core::{Caps, Handoff, Mechanism, Notified, Notify, Result, Wait};
use ipc_signal::{Pid, RtReceiver, RtSender, Signal, SignalFd, SignalReceiver, SignalSender};
use ipc_testkit::{Across, Notifications, dir};

/// A signal that no pair of this process has used lately.
fn next_signal(realtime: bool) -> Signal {
    static COUNTER: AtomicUsize = AtomicUsize::new(0);
    let count = COUNTER.fetch_add(1, Ordering::Relaxed);
    if realtime {
        return Signal::realtime(count as u32 % 20).expect("a realtime signal");
    }
    // SIGUSR1 is the harness's.
    [Signal::USR2, Signal::URG, Signal::WINCH, Signal::IO, Signal::HUP][count % 5]
}

/// Makes the two ends for a signal.
pub(crate) trait Ends: Debug + 'static {
    const REALTIME: bool;
    type Tx: Notify + Handoff + Send + Sync + Debug;
    type Rx: Notified + Send + Debug;

    fn to(pid: Pid, signal: Signal) -> Result<Self::Tx>;
    fn receive(signal: Signal) -> Result<Self::Rx>;

    /// What goes to the other process, besides the address.
    fn give(_: Self::Rx, _: &mut Command, _key: &str) -> Result<()> {
        Ok(())
    }

    fn adopt(_key: &str, signal: Signal) -> Result<Self::Rx> {
        Self::receive(signal)
    }
}

#[derive(Debug)]
pub(crate) struct Standard;

impl Ends for Standard {
    const REALTIME: bool = false;
    type Tx = SignalSender;
    type Rx = SignalReceiver;

    fn to(pid: Pid, signal: Signal) -> Result<SignalSender> {
        SignalSender::to(pid, signal)
    }

    fn receive(signal: Signal) -> Result<SignalReceiver> {
        SignalReceiver::new(signal)
    }
}

#[derive(Debug)]
pub(crate) struct Realtime;

impl Ends for Realtime {
    const REALTIME: bool = true;
    type Tx = RtSender;
    type Rx = RtReceiver;

    fn to(pid: Pid, signal: Signal) -> Result<RtSender> {
        RtSender::to(pid, signal)
    }

    fn receive(signal: Signal) -> Result<RtReceiver> {
        RtReceiver::new(signal)
    }
}

#[derive(Debug)]
pub(crate) struct Descriptor;

impl Ends for Descriptor {
    const REALTIME: bool = false;
    type Tx = SignalSender;
    type Rx = SignalFd;

    fn to(pid: Pid, signal: Signal) -> Result<SignalSender> {
        SignalSender::to(pid, signal)
    }

    fn receive(signal: Signal) -> Result<SignalFd> {
        SignalFd::open(signal.into())
    }

    fn give(rx: SignalFd, command: &mut Command, key: &str) -> Result<()> {
        Ok(rx.give(command, key)?)
    }

    fn adopt(key: &str, signal: Signal) -> Result<SignalFd> {
        let rx = SignalFd::adopt(key)?;
        assert_eq!(rx.set(), signal.into());
        Ok(rx)
    }
}

/// Where the end that is notified has gone to: a file that will have its pid.
type Gone = Arc<Mutex<Option<PathBuf>>>;

/// The end that notifies.
#[derive(Debug)]
pub(crate) struct Tx<E: Ends> {
    signal: Signal,
    end: Mutex<E::Tx>,
    gone: Gone,
}

/// The end that is notified.
#[derive(Debug)]
pub(crate) struct Rx<E: Ends> {
    signal: Signal,
    end: E::Rx,
    gone: Gone,
}

impl<E: Ends> Tx<E> {
    /// The sender to where the other end is now.
    fn current(&self) -> Result<MutexGuard<'_, E::Tx>> {
        let mut end = self.end.lock().expect("nobody panics with it");
        if let Some(file) = self.gone.lock().expect("nobody panics with it").take() {
            let pid = loop {
                match fs::read_to_string(&file) {
                    Ok(pid) => break pid.parse().expect("a number"),
                    Err(_) => std::thread::yield_now(),
                }
            };
            fs::remove_file(file).expect("remove the address");
            *end = E::to(Pid::new(pid)?, self.signal)?;
        }
        Ok(end)
    }
}

impl<E: Ends> Notify for Tx<E> {
    fn notify(&self) -> Result<()> {
        self.current()?.notify()
    }
}

impl<E: Ends> Notified for Rx<E> {
    fn wait_with(&self, wait: Wait) -> Result<NonZeroU64> {
        self.end.wait_with(wait)
    }
}

/// By the address, or by what the crate hands over itself.
pub(crate) struct ByAddress;

fn variable(key: &str) -> String {
    format!("RECEIVER_{key}")
}

impl<E: Ends> Across<Tx<E>> for ByAddress {
    fn give(tx: Tx<E>, command: &mut Command, key: &str) -> Result<()> {
        command.env(variable(key), tx.signal.to_string());
        Ok(tx.end.into_inner().expect("nobody panics with it").give(command, key)?)
    }

    fn adopt(key: &str) -> Result<Tx<E>> {
        let signal = std::env::var(variable(key)).expect("it was given").parse()?;
        Ok(Tx { signal, end: Mutex::new(E::Tx::adopt(key)?), gone: Gone::default() })
    }
}

impl<E: Ends> Across<Rx<E>> for ByAddress {
    fn give(rx: Rx<E>, command: &mut Command, key: &str) -> Result<()> {
        let file = dir().join(format!("pid-{key}-{}", rx.signal));
        command.env(variable(key), rx.signal.to_string());
        *rx.gone.lock().expect("nobody panics with it") = Some(file);
        E::give(rx.end, command, key)
    }

    fn adopt(key: &str) -> Result<Rx<E>> {
        let signal: Signal = std::env::var(variable(key)).expect("it was given").parse()?;
        let end = E::adopt(key, signal)?;
        let file = dir().join(format!("pid-{key}-{signal}"));
        // All of it or nothing is there.
        let unfinished = file.with_extension("new");
        fs::write(&unfinished, Pid::this().to_string()).expect("write the address");
        fs::rename(unfinished, file).expect("publish the address");
        Ok(Rx { signal, end, gone: Gone::default() })
    }
}

/// Two ends in this process.
fn pair<E: Ends>() -> Result<(Tx<E>, Rx<E>)> {
    let signal = next_signal(E::REALTIME);
    let gone = Gone::default();
    let rx = Rx { signal, end: E::receive(signal)?, gone: Arc::clone(&gone) };
    Ok((Tx { signal, end: Mutex::new(E::to(Pid::this(), signal)?), gone }, rx))
}

/// The fixtures differ in their ends alone.
macro_rules! notifications {
    ($($ends:ident: $name:literal, $rx:ident;)+) => {$(
        impl Notifications for $ends {
            const NAME: &'static str = $name;
            const CAPS: Caps = $rx::CAPS;
            type Tx = Tx<Self>;
            type Rx = Rx<Self>;
            type Across = ByAddress;

            fn pair() -> Result<(Tx<Self>, Rx<Self>)> {
                pair()
            }
        }
    )+};
}

notifications! {
    Standard: "signal", SignalReceiver;
    Realtime: "rt-signal", RtReceiver;
    Descriptor: "signalfd", SignalFd;
}
