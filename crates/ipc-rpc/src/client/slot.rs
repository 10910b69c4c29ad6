//! The calls that are under way.

use crate::Semantics;
use crate::fds::Beside;
use crate::wire::ReplyHead;

/// The most calls under way at once.
pub(crate) const WINDOW: usize = 64;

/// A call that is under way. Slots are used again, with the memory of their frames.
#[derive(Debug, Clone, Default)]
pub(super) struct Slot {
    pub(super) seq: u64,
    pub(super) state: State,
    pub(super) semantics: Semantics,
    /// By which token it went out last, 0 if it did not.
    pub(super) under: u64,
    pub(super) frame: Vec<u8>,
    pub(super) beside: Beside,
    pub(super) reply: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum State {
    #[default]
    Free,
    Waiting,
    /// The reply is in the slot.
    Answered(ReplyHead),
    /// Sent to a server that has forgotten it since.
    Lost,
}

impl Slot {
    /// Its call is over; its memory is kept for another one.
    #[inline]
    pub(super) fn free(&mut self) {
        /// No more than this.
        const KEPT: usize = 1 << 16;
        self.state = State::Free;
        self.beside = None;
        for memory in [&mut self.frame, &mut self.reply] {
            if memory.capacity() > KEPT {
                memory.clear();
                memory.shrink_to(KEPT);
            }
        }
    }
}

/// The place of a call.
#[inline]
pub(super) const fn index(seq: u64) -> usize {
    (seq % WINDOW as u64) as usize
}
