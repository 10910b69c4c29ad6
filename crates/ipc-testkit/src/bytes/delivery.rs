//! What arrives: every byte, once, in order.

use std::io::IoSlice;

use ipc_core::{ErrorKind, ReadBytes, Wait, WriteBytes};

use super::{Bytes, pair};
use crate::waits::{fails, works};
use crate::{blocked, note, stream};

pub(super) fn cases<B: Bytes>(case: &mut impl FnMut(&str, fn())) {
    case("eight_megabytes_arrive_in_order", in_order::<B>);
    case("vectored_writes_keep_the_order_of_their_slices", vectored::<B>);
    case("empty_writes_and_empty_buffers_do_nothing", empty::<B>);
    case("read_returns_what_is_there_without_waiting_for_more", short_read::<B>);
    case("read_exact_fills_its_buffer_from_several_writes", read_exact::<B>);
}

fn in_order<B: Bytes>() {
    const ALL: u64 = 8 << 20;
    let (mut tx, mut rx) = pair::<B>();
    let writer = blocked::start("the writer", move || stream::write(&mut tx, 0, ALL));
    note("eight megabytes are written: if it hangs, some were lost, or a wake-up was");
    stream::expect(&mut rx, 0, ALL);
    writer.join();
}

fn vectored<B: Bytes>() {
    const ALL: u64 = 64 << 10;
    let (mut tx, mut rx) = pair::<B>();
    let writer = blocked::start("the writer", move || {
        let mut at = 0;
        while at < ALL {
            let data = stream::bytes(at, 1000);
            let bufs = [&data[..0], &data[..1], &data[1..10], &data[10..10], &data[10..]];
            let bufs = bufs.map(IoSlice::new);
            let n = works("write_vectored", tx.write_vectored_with(&bufs, Wait::Forever));
            assert!((1..=1000).contains(&n), "write_vectored of 1000 bytes returned {n}");
            at += n as u64;
        }
        at
    });
    stream::expect(&mut rx, 0, ALL);
    assert!(writer.join() >= ALL);
}

fn empty<B: Bytes>() {
    let (mut tx, mut rx) = pair::<B>();
    note("an empty write and a read into an empty buffer: if it hangs, they block");
    for wait in [Wait::Never, Wait::Forever] {
        assert_eq!(works("write of nothing", tx.write_with(b"", wait)), 0);
        assert_eq!(works("write of no slices", tx.write_vectored_with(&[], wait)), 0);
        works("write_all of nothing", tx.write_all_with(b"", wait));
    }
    works("write_all", tx.write_all_with(b"abc", Wait::Forever));
    let n = works("read into an empty buffer", rx.read_with(&mut [], Wait::Forever));
    assert_eq!(n, 0);
    let mut buf = [0; 3];
    works("read_exact", rx.read_exact_with(&mut buf, Wait::Forever));
    assert_eq!(&buf, b"abc", "an empty write or read must leave the stream as it is");
}

fn short_read<B: Bytes>() {
    let (mut tx, mut rx) = pair::<B>();
    works("write_all", tx.write_all_with(b"little", Wait::Forever));
    note("six bytes are there and more are asked for: if it hangs, read waits for all of them");
    let mut buf = [0; 100];
    let mut n = 0;
    while n < 6 {
        let more = works("read", rx.read_with(&mut buf[n..], Wait::Forever));
        assert_ne!(more, 0, "the stream must not end before its writer is dropped");
        n += more;
    }
    assert_eq!(&buf[..n], b"little");
}

fn read_exact<B: Bytes>() {
    let (mut tx, mut rx) = pair::<B>();
    let reader = blocked::block("read_exact of 10 bytes", move || {
        let mut buf = [0; 10];
        works("read_exact", rx.read_exact_with(&mut buf, Wait::Forever));
        (buf, rx)
    });
    works("write_all", tx.write_all_with(b"half ", Wait::Forever));
    assert!(reader.settle(), "read_exact returned before its buffer was full");
    works("write_all", tx.write_all_with(b"whole, and half", Wait::Forever));
    let (buf, mut rx) = reader.join();
    assert_eq!(&buf, b"half whole");
    drop(tx);
    if B::CAPS.reports_peer_death {
        let result = rx.read_exact_with(&mut [0; 11], Wait::Forever);
        fails("read_exact of more than there is", result, ErrorKind::Disconnected);
    }
}
