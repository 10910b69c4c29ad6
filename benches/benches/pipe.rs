//! "Did this call get slower?": one write and one read of a pipe by one thread, nobody waiting, by
//! our crate and by the bare system calls.
#![expect(unsafe_code, reason = "the bare system calls are what ours are compared with")]

use std::hint::black_box;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ipc_core::{Framed, ReadBytes, RecvMsg, SendMsg, Wait, WriteBytes};
use ipc_pipe::PipeOptions;

const SIZES: [usize; 4] = [8, 64, 4096, 65536];

/// `write` and `read` without the C library's cancellation points.
fn raw(tx: BorrowedFd<'_>, rx: BorrowedFd<'_>, msg: &[u8], buf: &mut [u8]) {
    // SAFETY: the descriptor is open and the buffer is valid for reads of its length.
    let sent = unsafe { libc::syscall(libc::SYS_write, tx.as_raw_fd(), msg.as_ptr(), msg.len()) };
    // SAFETY: the descriptor is open and the buffer is valid for writes of its length.
    let got = unsafe { libc::syscall(libc::SYS_read, rx.as_raw_fd(), buf.as_mut_ptr(), buf.len()) };
    assert_eq!(sent, got, "a short count");
}

fn write_and_read(c: &mut Criterion) {
    let mut group = c.benchmark_group("pipe/write+read");
    for size in SIZES {
        group.throughput(Throughput::Bytes(size as u64));
        let (msg, mut buf) = (vec![7; size], vec![0; size]);
        let (mut rx, mut tx) = PipeOptions::new().open().expect("pipe");

        group.bench_function(BenchmarkId::new("raw", size), |b| {
            b.iter(|| raw(tx.as_fd(), rx.as_fd(), black_box(&msg), black_box(&mut buf)));
        });
        for (name, wait) in [("ours", Wait::Forever), ("ours-nonblocking", Wait::Never)] {
            group.bench_function(BenchmarkId::new(name, size), |b| {
                b.iter(|| {
                    let mut left = black_box(&msg[..]);
                    let mut got = 0;
                    // A non-blocking write of all that a pipe holds may be short by a page.
                    while !left.is_empty() {
                        let n = tx.write_with(left, wait).expect("write");
                        left = &left[n..];
                        rx.read_exact_with(&mut buf[got..got + n], wait).expect("read");
                        got += n;
                    }
                });
            });
        }
    }
    group.finish();
}

fn messages(c: &mut Criterion) {
    let mut group = c.benchmark_group("pipe/send+recv");
    for size in [8, 64, 4096] {
        group.throughput(Throughput::Bytes(size as u64));
        let (msg, mut buf) = (vec![7; size], vec![0; size]);
        let (mut rx, mut tx) = PipeOptions::new().open_packet().expect("pipe");
        group.bench_function(BenchmarkId::new("packet", size), |b| {
            b.iter(|| {
                tx.send(black_box(&msg)).expect("send");
                rx.recv(black_box(&mut buf)).expect("receive")
            });
        });
        let (rx, tx) = PipeOptions::new().open().expect("pipe");
        let (mut rx, mut tx) = (Framed::new(rx, 1 << 16), Framed::new(tx, 1 << 16));
        group.bench_function(BenchmarkId::new("framed", size), |b| {
            b.iter(|| {
                tx.send(black_box(&msg)).expect("send");
                rx.recv(black_box(&mut buf)).expect("receive")
            });
        });
    }
    group.finish();
}

criterion_group!(benches, write_and_read, messages);
criterion_main!(benches);
