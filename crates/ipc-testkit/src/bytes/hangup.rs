//! What happens when the other end goes away.

use ipc_core::{ErrorKind, ReadBytes, Wait, WriteBytes};

use super::{Bytes, pair, processes};
use crate::waits::{fails, works};
use crate::{Across, across, blocked, note, stream, sys};

pub(super) fn cases<B: Bytes>(case: &mut impl FnMut(&str, fn())) {
    if !B::CAPS.reports_peer_death {
        return;
    }
    case("read_after_writer_drop_drains_and_then_returns_zero", drain::<B>);
    case("blocked_read_returns_zero_when_the_writer_is_dropped", read_dropped::<B>);
    case("blocked_read_returns_zero_when_the_writer_is_killed", read_killed::<B>);
    case("write_after_reader_drop_is_disconnected", write_after_drop::<B>);
    case("blocked_write_is_disconnected_when_the_reader_is_dropped", write_dropped::<B>);
    case("blocked_write_is_disconnected_when_the_reader_is_killed", write_killed::<B>);
}

const READ: &str = "read of an empty stream";
const WRITE: &str = "write to a full stream";

fn drain<B: Bytes>() {
    let (mut tx, mut rx) = pair::<B>();
    let writer = blocked::start("the writer", move || stream::write(&mut tx, 0, 3000));
    let _ = writer.settle();
    note("the writer was dropped: if it hangs, read does not notice");
    stream::expect(&mut rx, 0, 3000);
    writer.join();
    for wait in [Wait::Forever, Wait::Never, Wait::Until(crate::waits::past())] {
        let what = format!("read after the writer was dropped with {wait:?}");
        assert_eq!(works(&what, rx.read_with(&mut [0; 64], wait)), 0, "{what} must be the end");
    }
}

fn read_dropped<B: Bytes>() {
    let (tx, mut rx) = pair::<B>();
    let blocked = blocked::block(READ, move || rx.read_with(&mut [0; 64], Wait::Forever));
    drop(tx);
    note("the writer was dropped: if it hangs, a blocked read does not notice");
    assert_eq!(works("blocked read whose writer was dropped", blocked.join()), 0);
}

fn read_killed<B: Bytes>() {
    across::require::<B::Across, B::Tx>();
    let (tx, mut rx) = pair::<B>();
    let peer = processes::holder::<B>("hold_tx", |command| B::Across::give(tx, command, "tx"));
    let mut byte = [0];
    works("read the peer's byte", rx.read_exact_with(&mut byte, Wait::Forever));
    let blocked = blocked::block(READ, move || rx.read_with(&mut [0; 64], Wait::Forever));
    peer.kill();
    note("the writing process was killed: if it hangs, a blocked read does not notice");
    assert_eq!(works("blocked read whose writer was killed", blocked.join()), 0);
}

fn write_after_drop<B: Bytes>() {
    sys::default_sigpipe();
    let (mut tx, rx) = pair::<B>();
    drop(rx);
    note("the reader was dropped: if SIGPIPE kills the process, write does not suppress it");
    for wait in [Wait::Forever, Wait::Never, Wait::Until(crate::waits::past())] {
        let what = format!("write after the reader was dropped with {wait:?}");
        fails(&what, tx.write_with(b"anybody?", wait), ErrorKind::Disconnected);
    }
}

fn write_dropped<B: Bytes>() {
    sys::default_sigpipe();
    let (mut tx, rx) = pair::<B>();
    stream::fill(&mut tx, B::SETTLES);
    let blocked = blocked::block(WRITE, move || tx.write_with(&[1], Wait::Forever));
    drop(rx);
    note("the reader was dropped: if it hangs, a blocked write does not notice");
    fails("blocked write whose reader was dropped", blocked.join(), ErrorKind::Disconnected);
}

fn write_killed<B: Bytes>() {
    across::require::<B::Across, B::Rx>();
    sys::default_sigpipe();
    let (mut tx, rx) = pair::<B>();
    let peer = processes::holder::<B>("hold_rx", |command| B::Across::give(rx, command, "rx"));
    stream::fill(&mut tx, B::SETTLES);
    let blocked = blocked::block(WRITE, move || tx.write_with(&[1], Wait::Forever));
    peer.kill();
    note("the reading process was killed: if it hangs, a blocked write does not notice");
    fails("blocked write whose reader was killed", blocked.join(), ErrorKind::Disconnected);
}
