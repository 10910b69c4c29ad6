//! A file as memory against file operations: `mmap`, `pread` and a `BufReader`, from the beginning to the end
//! and here and there. The file is in the page cache: what is measured is the way to it.

use std::fs::File;
use std::hint::black_box;
use std::io::{BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ipc_shm::{Advice, FileMap, FileMapOptions, ReadOnly, RegionExt};

const LEN: usize = 64 << 20;
/// What is read at a time.
const BLOCK: usize = 4096;

fn file() -> File {
    let mut file = tempfile::tempfile().expect("a temporary file");
    let block: Vec<u8> = (0..1 << 20).map(|it: u32| it as u8).collect();
    for _ in 0..LEN / block.len() {
        file.write_all(&block).expect("write");
    }
    file
}

fn map(file: &File, advice: Advice) -> FileMap<ReadOnly> {
    let map = FileMapOptions::new().read_only(file).expect("map");
    map.advise(advice).expect("madvise");
    map
}

/// Places that are far from each other and never the same, the same ones in each run.
fn places() -> impl Iterator<Item = usize> {
    let blocks = LEN / BLOCK;
    // An odd step visits each block once.
    (0..1024).map(move |it| (it * 6151 % blocks) * BLOCK)
}

fn sequential(c: &mut Criterion) {
    let mut group = c.benchmark_group("file/sequential");
    group.throughput(Throughput::Bytes(LEN as u64)).sample_size(10);
    let file = file();
    let mut buf = vec![0; BLOCK];
    group.bench_function("mmap", |b| {
        // Mapped anew each time: the faults are a part of the price.
        b.iter(|| {
            let map = map(&file, Advice::Sequential);
            for at in (0..LEN).step_by(BLOCK) {
                map.read_at(at, black_box(&mut buf)).expect("read");
            }
        });
    });
    let kept = map(&file, Advice::Sequential);
    group.bench_function("mmap-kept", |b| {
        b.iter(|| {
            for at in (0..LEN).step_by(BLOCK) {
                kept.read_at(at, black_box(&mut buf)).expect("read");
            }
        });
    });
    group.bench_function("pread", |b| {
        b.iter(|| {
            for at in (0..LEN).step_by(BLOCK) {
                file.read_exact_at(black_box(&mut buf), at as u64).expect("pread");
            }
        });
    });
    group.bench_function("BufReader", |b| {
        b.iter(|| {
            let mut reader = BufReader::with_capacity(1 << 16, &file);
            reader.seek(SeekFrom::Start(0)).expect("seek");
            for _ in 0..LEN / BLOCK {
                reader.read_exact(black_box(&mut buf)).expect("read");
            }
        });
    });
    group.finish();
}

fn random(c: &mut Criterion) {
    for len in [8, BLOCK] {
        let mut group = c.benchmark_group(format!("file/random-{len}"));
        group.throughput(Throughput::Elements(1024)).sample_size(10);
        let file = file();
        let mut buf = vec![0; len];
        let kept = map(&file, Advice::Random);
        group.bench_function("mmap-kept", |b| {
            b.iter(|| {
                for at in places() {
                    kept.read_at(at, black_box(&mut buf)).expect("read");
                }
            });
        });
        group.bench_function("pread", |b| {
            b.iter(|| {
                for at in places() {
                    file.read_exact_at(black_box(&mut buf), at as u64).expect("pread");
                }
            });
        });
        let mut reader = BufReader::new(&file);
        group.bench_function("BufReader", |b| {
            b.iter(|| {
                for at in places() {
                    reader.seek(SeekFrom::Start(at as u64)).expect("seek");
                    reader.read_exact(black_box(&mut buf)).expect("read");
                }
            });
        });
        group.finish();
    }
}

criterion_group!(benches, sequential, random);
criterion_main!(benches);
