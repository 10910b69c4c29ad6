//! Faulty on purpose: what the harness must find, from a message to `results.json`.
//!
//! `ipc-peer list --planted` lists them, `cargo xtask self-test` measures them. They are no rows of the
//! matrix.

use std::process::Command;

use anyhow::Result;
use ipc_bench_schema::{Variant, WaitMode};
use ipc_core::Mechanism;
use ipc_sock::unix::Seqpacket;

use crate::subjects::SoundLink;
use crate::{Link, Setup, Subject, VariantEntry};

/// The faulty subjects, and a sound one that must not be suspected.
pub const ALL: &[Subject] = &[
    planted::<SOUND>("planted-sound", "loses nothing"),
    planted::<LOSSY>("planted-lossy", "loses a message"),
    planted::<DUPLICATING>("planted-duplicating", "sends a message twice"),
    planted::<CORRUPTING>("planted-corrupting", "changes a byte of a message"),
    planted::<HANGING>("planted-hanging", "sleeps for ever over a message"),
];

const SOUND: u8 = 0;
const LOSSY: u8 = 1;
const DUPLICATING: u8 = 2;
const CORRUPTING: u8 = 3;
const HANGING: u8 = 4;

/// Which message of those that the initiator sends goes wrong: one of the second batch, so that no run is too
/// short for it, and not the last of one, which nothing would come in place of.
const VICTIM: u64 = 20;

const fn planted<const FAULT: u8>(id: &'static str, summary: &'static str) -> Subject {
    Subject {
        id,
        krate: "ipc-benches",
        summary,
        caps: Seqpacket::CAPS,
        variants: const { &[VariantEntry::of::<Planted<FAULT>>(Variant::Ours)] },
    }
}

/// A sound link with one fault.
struct Planted<const FAULT: u8> {
    link: SoundLink,
    initiator: bool,
    sent: u64,
}

impl<const FAULT: u8> Link for Planted<FAULT> {
    type Offer = <SoundLink as Link>::Offer;

    fn offer(setup: &Setup, command: &mut Command) -> Result<Self::Offer> {
        SoundLink::offer(setup, command)
    }

    fn connect(offer: Self::Offer) -> Result<Self> {
        Ok(Self { link: SoundLink::connect(offer)?, initiator: true, sent: 0 })
    }

    fn join(setup: &Setup) -> Result<Self> {
        Ok(Self { link: SoundLink::join(setup)?, initiator: false, sent: 0 })
    }

    fn send(&mut self, msg: &[u8], wait: WaitMode) -> Result<()> {
        self.sent += 1;
        if !self.initiator || self.sent != VICTIM {
            return self.link.send(msg, wait);
        }
        match FAULT {
            // The next one comes in its place.
            LOSSY => return Ok(()),
            DUPLICATING => self.link.send(msg, wait)?,
            CORRUPTING => {
                let mut changed = msg.to_vec();
                if let Some(last) = changed.last_mut() {
                    *last ^= 1;
                }
                return self.link.send(&changed, wait);
            }
            HANGING => loop {
                std::thread::park();
            },
            _ => {}
        }
        self.link.send(msg, wait)
    }

    fn recv(&mut self, buf: &mut [u8], wait: WaitMode) -> Result<usize> {
        self.link.recv(buf, wait)
    }
}
