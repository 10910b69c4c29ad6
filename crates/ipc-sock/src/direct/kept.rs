//! Messages that a receive took from the kernel and could not hand out.

use std::collections::VecDeque;

use ipc_core::{Error, ErrorKind, Result};

use super::Message;

/// Messages of other senders, and those that were too long for a buffer, in the order in which they came.
#[derive(Debug)]
pub(super) struct Kept {
    messages: VecDeque<(u32, Vec<u8>)>,
    bytes: usize,
    max_messages: usize,
    max_bytes: usize,
}

impl Kept {
    pub(super) const fn new(max_messages: usize, max_bytes: usize) -> Self {
        Self { messages: VecDeque::new(), bytes: 0, max_messages, max_bytes }
    }

    pub(super) fn len(&self) -> usize {
        self.messages.len()
    }

    /// Whether a receive from one sender must not take any more messages of others.
    pub(super) fn is_full(&self) -> bool {
        self.messages.len() >= self.max_messages || self.bytes >= self.max_bytes
    }

    pub(super) fn push(&mut self, pid: u32, message: Vec<u8>) {
        self.bytes += message.len();
        self.messages.push_back((pid, message));
    }

    /// Hands out the oldest message, of this sender or of anybody; `None` if there is none.
    pub(super) fn take(&mut self, from: Option<u32>, buf: &mut [u8]) -> Option<Result<Message>> {
        let wanted = |(pid, _): &(u32, Vec<u8>)| from.is_none_or(|from| from == *pid);
        let at = self.messages.iter().position(wanted)?;
        let (pid, message) = &self.messages[at];
        let (pid, len) = (*pid, message.len());
        let Some(front) = buf.get_mut(..len) else {
            return Some(Err(too_large(len, buf.len())));
        };
        front.copy_from_slice(message);
        self.messages.remove(at);
        self.bytes -= len;
        Some(Ok(Message { len, pid }))
    }
}

pub(super) fn too_large(len: usize, max: usize) -> Error {
    Error::new(ErrorKind::MessageTooLarge { len, max }, "recv_from")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Against a list that is searched from its beginning.
        #[test]
        fn nothing_is_lost_or_overtaken(ops in prop::collection::vec(
            (prop::option::of(1_u32..4), prop::option::of(prop::collection::vec(any::<u8>(), 0..8))),
            0..100,
        )) {
            let mut kept = Kept::new(100, 1 << 20);
            let mut model: Vec<(u32, Vec<u8>)> = Vec::new();
            for (pid, message) in ops {
                if let Some(message) = message {
                    kept.push(pid.unwrap_or(9), message.clone());
                    model.push((pid.unwrap_or(9), message));
                    continue;
                }
                let mut buf = [0; 4];
                let at = model.iter().position(|(sender, _)| pid.is_none_or(|it| it == *sender));
                let got = kept.take(pid, &mut buf);
                let Some(at) = at else {
                    prop_assert!(got.is_none());
                    continue;
                };
                let (sender, expected) = &model[at];
                let (len, pid) = (expected.len(), *sender);
                if len > buf.len() {
                    prop_assert_eq!(got, Some(Err(too_large(len, buf.len()))));
                    continue;
                }
                prop_assert_eq!(got, Some(Ok(Message { len, pid })));
                prop_assert_eq!(&buf[..len], &expected[..]);
                model.remove(at);
            }
            prop_assert_eq!(kept.len(), model.len());
            prop_assert_eq!(kept.bytes, model.iter().map(|(_, it)| it.len()).sum::<usize>());
        }
    }

    #[test]
    fn messages_are_handed_out_by_sender_or_by_age() {
        let mut kept = Kept::new(3, 100);
        for (pid, message) in [(1, b"a".as_slice()), (2, b"bb"), (1, b"")] {
            kept.push(pid, message.to_vec());
        }
        assert!(kept.is_full());
        let mut buf = [0; 8];
        let mut take = |kept: &mut Kept, from| kept.take(from, &mut buf).map(Result::unwrap);
        assert_eq!(take(&mut kept, Some(3)), None);
        assert_eq!(take(&mut kept, Some(2)), Some(Message { len: 2, pid: 2 }));
        assert_eq!(take(&mut kept, Some(1)), Some(Message { len: 1, pid: 1 }));
        assert_eq!(take(&mut kept, None), Some(Message { len: 0, pid: 1 }));
        assert_eq!(take(&mut kept, None), None);
        assert_eq!((kept.bytes, kept.len()), (0, 0));
    }

    #[test]
    fn bytes_fill_it_too() {
        let mut kept = Kept::new(100, 10);
        kept.push(1, vec![0; 9]);
        assert!(!kept.is_full());
        kept.push(1, vec![0; 1]);
        assert!(kept.is_full());
    }
}
