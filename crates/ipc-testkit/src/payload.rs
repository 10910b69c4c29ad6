//! Messages whose content is known to both sides, and what is wrong with those that came.

use std::ops::Range;
use std::time::Duration;

use ipc_core::{ErrorKind, RecvMsg, SendMsg, Wait};

use crate::waits::{self, works};

/// How far from its place a message is looked for.
const NEAR: u64 = 2048;

/// A sequence of messages that every process computes alike: number `n` has a length and a content
/// that follow from `n`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Script {
    shortest: usize,
    longest: usize,
}

impl Script {
    /// Messages of mixed sizes, none longer than `max_len` or 8 KiB; with empty ones among them if
    /// the mechanism has those.
    pub(crate) fn mixed(max_len: usize, empty_messages: bool) -> Self {
        Self { shortest: usize::from(!empty_messages), longest: max_len.min(8192) }
    }

    /// Messages of one size, at most 1000 bytes.
    pub(crate) fn uniform(max_len: usize) -> Self {
        let len = max_len.min(1000);
        Self { shortest: len, longest: len }
    }

    /// Message number `n`: its number, as far as it fits, and noise.
    pub(crate) fn message(&self, n: u64) -> Vec<u8> {
        let mut state = mix(n);
        let spread = self.longest - self.shortest + 1;
        // Mostly short ones, now and then any length up to the longest.
        let spread = if state.is_multiple_of(32) { spread } else { spread.min(200) };
        let random = usize::try_from(state >> 32).expect("32 bits fit");
        let len = self.shortest + random % spread;
        let mut message = Vec::with_capacity(len + 8);
        message.extend_from_slice(&n.to_le_bytes());
        while message.len() < len {
            state = mix(state);
            message.extend_from_slice(&state.to_le_bytes());
        }
        message.truncate(len);
        message
    }

    /// Sends the messages of a range.
    #[track_caller]
    pub(crate) fn send(&self, tx: &mut impl SendMsg, range: Range<u64>) {
        for n in range {
            works("send", tx.send(&self.message(n)));
        }
    }

    /// Receives the messages of a range, each once and in order, or panics with what is wrong.
    #[track_caller]
    pub(crate) fn expect(&self, rx: &mut impl RecvMsg, range: Range<u64>) {
        // Longer than any message, so that two that were merged are seen whole.
        let mut buf = vec![0; 2 * self.longest + 64];
        for n in range.clone() {
            let got = match rx.recv(&mut buf) {
                Ok(len) => &buf[..len],
                Err(error) => panic!(
                    "message {n} never came: {error} (after {} of {} messages)",
                    n - range.start,
                    range.end - range.start,
                ),
            };
            if got != self.message(n) {
                let got = got.to_vec();
                panic!("{}", self.diagnose(rx, n, &got));
            }
        }
    }

    /// Says why `got` came where message `n` was due.
    fn diagnose(&self, rx: &mut impl RecvMsg, n: u64, got: &[u8]) -> String {
        let due = self.message(n);
        match self.identify(n, got) {
            Some(k) if k < n => {
                format!("message {k} came again where message {n} was due: it was duplicated")
            }
            Some(k) if self.comes_later(rx, &due) => {
                format!("message {k} came before message {n}: the order is not kept")
            }
            Some(k) => format!("message {n} was lost: message {k} came in its place"),
            None if due.starts_with(got) => {
                let (got, all) = (got.len(), due.len());
                format!("message {n} was truncated: {got} of its {all} bytes came")
            }
            None if got.starts_with(&due) && got[due.len()..].starts_with(&self.message(n + 1)) => {
                format!("messages {n} and {} were merged into one", n + 1)
            }
            None => {
                let same = got.iter().zip(&due).take_while(|(got, due)| got == due).count();
                let (got, all) = (got.len(), due.len());
                format!(
                    "message {n} was corrupted at byte {same}: {got} bytes came, {all} were sent"
                )
            }
        }
    }

    /// Which message near `n` this is, the nearest if several look alike.
    fn identify(&self, n: u64, got: &[u8]) -> Option<u64> {
        let near =
            (1..NEAR).flat_map(|distance| [n.checked_add(distance), n.checked_sub(distance)]);
        near.flatten().find(|k| self.message(*k) == got)
    }

    /// Whether a message comes soon.
    fn comes_later(&self, rx: &mut impl RecvMsg, due: &[u8]) -> bool {
        let mut buf = vec![0; 2 * self.longest + 64];
        (0..64).any(|_| {
            let wait = Wait::timeout(Duration::from_millis(200));
            rx.recv_with(&mut buf, wait).is_ok_and(|len| buf[..len] == *due)
        })
    }

    /// Sends messages from number 0 until there has been no room for one more for as long as `settles`;
    /// returns the number of the one that was refused.
    #[track_caller]
    pub(crate) fn fill(&self, tx: &mut impl SendMsg, settles: Duration) -> u64 {
        const MOST: u64 = 1 << 17;
        let mut n = 0;
        waits::until_settled(settles, || {
            let before = n;
            loop {
                match tx.try_send(&self.message(n)) {
                    Ok(()) => n += 1,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => return n > before,
                    Err(error) if error.kind() == ErrorKind::Unsupported => {
                        crate::skip(format!("a send cannot be tried here: {error}"))
                    }
                    Err(error) => panic!("send with Wait::Never: {error}"),
                }
                if n >= MOST {
                    crate::skip(format!("it is not full after {MOST} messages"));
                }
            }
        });
        n
    }
}

/// The finaliser of splitmix64.
pub(crate) fn mix(n: u64) -> u64 {
    let n = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ (n >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_has_every_length_it_may_have() {
        let script = Script::mixed(300, true);
        let lens: Vec<_> = (0..10_000).map(|n| script.message(n).len()).collect();
        assert_eq!(lens.iter().min(), Some(&0));
        assert_eq!(lens.iter().max(), Some(&300));
        let script = Script::mixed(1 << 20, false);
        let lens: Vec<_> = (0..10_000).map(|n| script.message(n).len()).collect();
        assert_eq!(lens.iter().min(), Some(&1));
        assert!(lens.iter().any(|len| *len > 8000));
    }

    #[test]
    fn messages_of_some_length_differ() {
        let script = Script::uniform(64);
        assert_eq!(script.message(7), script.message(7));
        assert_ne!(script.message(7), script.message(8));
        assert_eq!(script.identify(100, &script.message(90)), Some(90));
    }
}
