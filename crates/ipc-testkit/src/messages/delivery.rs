//! What arrives: everything, once, whole, in order.

use ipc_core::{ErrorKind, RecvMsg, SendMsg, Wait};

use super::{MANY, Messages, mixed, pair};
use crate::payload::Script;
use crate::waits::{fails, works};
use crate::{blocked, note};

/// The longest message that a test allocates.
const AFFORDABLE: usize = 64 << 20;

pub(super) fn cases<M: Messages>(case: &mut impl FnMut(&str, fn())) {
    case("ten_thousand_messages_arrive_in_order", in_order::<M>);
    case("boundaries_are_kept", boundaries::<M>);
    case("an_empty_message_arrives_or_is_unsupported", empty::<M>);
    case("a_message_of_max_len_arrives_whole", longest::<M>);
    case("a_message_over_max_len_is_refused_and_not_sent", too_long::<M>);
    case("a_buffer_that_is_too_small_keeps_the_message", small_buffer::<M>);
}

fn in_order<M: Messages>() {
    let (mut tx, mut rx) = pair::<M>();
    let script = mixed::<M>(&tx);
    let sender = blocked::start("the sender", move || script.send(&mut tx, 0..MANY));
    note("ten thousand messages are sent: if it hangs, some were lost, or a wake-up was");
    script.expect(&mut rx, 0..MANY);
    sender.join();
}

/// Messages that wait together are received one by one.
fn boundaries<M: Messages>() {
    let (mut tx, mut rx) = pair::<M>();
    let messages: [&[u8]; 4] = [b"one", b"two, which is longer", b"3", b"the fourth"];
    let sender = blocked::start("the sender", move || {
        for message in messages {
            works("send", tx.send(message));
        }
        tx
    });
    // Until they are all sent, or the channel is full.
    let _ = sender.settle();
    let mut buf = [0; 256];
    for message in messages {
        let len = works("recv", rx.recv(&mut buf));
        let (got, sent) = (buf[..len].escape_ascii(), message.escape_ascii());
        assert_eq!(buf[..len], *message, "boundaries: \"{sent}\" was sent, \"{got}\" came");
    }
    drop(sender.join());
}

fn empty<M: Messages>() {
    let (mut tx, mut rx) = pair::<M>();
    if !M::CAPS.empty_messages {
        fails("send of an empty message", tx.try_send(b""), ErrorKind::Unsupported);
        fails("send of an empty message", tx.send(b""), ErrorKind::Unsupported);
    }
    let messages: &[&[u8]] = match M::CAPS.empty_messages {
        true => &[b"before", b"", b"", b"after"],
        false => &[b"before", b"after"],
    };
    let sender = blocked::start("the sender", move || {
        for message in messages {
            works("send", tx.send(message));
        }
        tx
    });
    for message in messages {
        let mut buf = [0xee; 16];
        let len = works("recv", rx.recv(&mut buf));
        assert_eq!(&buf[..len], *message, "an empty message must neither vanish nor grow");
    }
    drop(sender.join());
}

fn longest<M: Messages>() {
    let (mut tx, mut rx) = pair::<M>();
    let max = tx.max_len();
    if max > AFFORDABLE {
        crate::skip(format!("a message of {max} bytes is too long for a test"));
    }
    if let Some(most) = M::CAPS.max_message {
        assert!(max <= most, "max_len is {max}, and Caps::max_message says {most}");
    }
    let message: Vec<u8> = (0..max).map(noise).collect();
    let expected = message.clone();
    let sender = blocked::start("the sender", move || {
        works("send of max_len bytes", tx.send(&message));
        works("send after it", tx.send(b"after"));
        tx
    });
    let mut buf = vec![0; max];
    let len = works("recv into max_len bytes", rx.recv(&mut buf));
    assert_eq!(len, max, "a message of max_len ({max}) bytes came as one of {len} bytes");
    let same = buf.iter().zip(&expected).take_while(|(got, sent)| got == sent).count();
    assert_eq!(same, max, "a message of max_len bytes was corrupted at byte {same}");
    let mut buf = vec![0; max.max(8)];
    let len = works("recv after it", rx.recv(&mut buf));
    assert_eq!(&buf[..len], b"after");
    drop(sender.join());
}

#[expect(clippy::cast_possible_truncation, reason = "the low byte is meant")]
fn noise(at: usize) -> u8 {
    crate::payload::mix(at as u64 / 8) as u8
}

fn too_long<M: Messages>() {
    let (mut tx, mut rx) = pair::<M>();
    let max = tx.max_len();
    let Some(len) = max.checked_add(1).filter(|len| *len <= AFFORDABLE) else {
        crate::skip(format!("a message of more than {max} bytes is too long for a test"));
    };
    let message = vec![7; len];
    let refused = ErrorKind::MessageTooLarge { len, max };
    note("a message over max_len is sent: if it hangs, it was not refused");
    for wait in [Wait::Forever, Wait::Until(crate::waits::past()), Wait::Never] {
        let what = format!("send of max_len + 1 bytes with {wait:?}");
        fails(&what, tx.send_with(&message, wait), refused);
    }
    let sender = blocked::start("the sender", move || {
        works("send after it", tx.send(b"next"));
        tx
    });
    let mut buf = vec![0; len];
    let len = works("recv", rx.recv(&mut buf));
    assert!(buf[..len] == *b"next", "{len} bytes came of a message that was refused");
    drop(sender.join());
}

fn small_buffer<M: Messages>() {
    let (mut tx, mut rx) = pair::<M>();
    let script = Script::uniform(tx.max_len());
    let (first, mut second) = (script.message(1), script.message(2));
    // Of another length, to tell the two apart by it.
    second.truncate(second.len().div_ceil(2));
    let sender = {
        let (first, second) = (first.clone(), second.clone());
        blocked::start("the sender", move || {
            works("send", tx.send(&first));
            works("send", tx.send(&second));
            tx
        })
    };
    note("a message is received into small buffers: if it hangs, the message was lost");
    let len = first.len();
    for max in [len - 1, 0, len / 2] {
        let result = rx.recv(&mut vec![0; max]);
        let what = format!("recv of {len} bytes into a buffer of {max}");
        fails(&what, result, ErrorKind::MessageTooLarge { len, max });
    }
    for expected in [first, second] {
        let mut buf = vec![0; len];
        let got = works("recv into a buffer that is long enough", rx.recv(&mut buf));
        assert!(buf[..got] == expected, "the message was lost after a buffer that was too small");
    }
    drop(sender.join());
}
