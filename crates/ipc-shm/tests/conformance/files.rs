//! Files as memory.

use std::fs::File;
use std::io::Write;

use ipc_core::{ErrorKind, Region};
use ipc_shm::{Advice, FileMap, FileMapOptions, Private, RegionExt};
use ipc_testkit::{Harness, dir};

pub(crate) fn cases(harness: Harness) -> Harness {
    harness
        .test("files/shared_changes_are_in_the_file", shared)
        .test("files/private_changes_are_not", private)
        .test("files/a_part_is_mapped_from_its_offset", part)
        .test("files/a_shortened_file_is_an_error_and_no_signal", shortened)
        .test("files/a_far_corner_of_a_sparse_file", sparse)
        .test("files/a_mapping_makes_a_file_longer_and_never_shorter", grown)
        .test("files/only_what_is_mapped_is_reserved", reserved)
        .test("files/a_limit_on_files_is_an_error_and_no_signal", file_size)
        .role("maps_beyond_its_limit", maps_beyond_its_limit)
        .test("files/what_cannot_be_mapped_is_refused", refused)
        .test("files/flush_and_advise", flush)
}

fn scratch(contents: &[u8]) -> File {
    let path = dir().join("scratch");
    let mut options = File::options();
    let mut file =
        options.read(true).write(true).create(true).truncate(true).open(&path).expect("open");
    file.write_all(contents).expect("write");
    std::fs::remove_file(path).expect("remove");
    file
}

fn text(region: &impl Region, offset: usize, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    region.read_at(offset, &mut bytes).expect("read");
    bytes
}

fn shared() {
    let file = scratch(b"one two");
    let map = FileMap::shared(&file).expect("map");
    map.write_at(4, b"TWO").expect("write");
    assert_eq!(text(&FileMap::read_only(&file).expect("map"), 0, 7), b"one TWO");
    let mut contents = vec![0; 7];
    std::os::unix::fs::FileExt::read_exact_at(&file, &mut contents, 0).expect("pread");
    assert_eq!(contents, b"one TWO");
}

fn private() {
    let file = scratch(b"one two");
    let map: FileMap<Private> = FileMap::private(&file).expect("map");
    map.write_at(0, b"ONE").expect("write");
    assert_eq!(text(&map, 0, 7), b"ONE two");
    assert_eq!(text(&FileMap::read_only(&file).expect("map"), 0, 7), b"one two");
}

fn part() {
    let file = scratch(&[vec![1; 4096], vec![2; 4096], vec![3; 100]].concat());
    let options = FileMapOptions::new().offset(4096);
    let map = options.read_only(&file).expect("map");
    assert_eq!(map.len(), 4196);
    assert_eq!((text(&map, 0, 1), text(&map, 4195, 1)), (vec![2], vec![3]));
    assert_eq!(options.len(10).read_only(&file).expect("map").len(), 10);
}

fn shortened() {
    let file = scratch(&vec![7; 3 * 4096]);
    let map = FileMap::read_only(&file).expect("map");
    let mut buf = vec![0; 3 * 4096];
    map.read_checked(0, &mut buf).expect("it is whole");
    assert!(buf.iter().all(|byte| *byte == 7));
    file.set_len(4096).expect("shorten");
    map.read_checked(0, &mut buf[..4096]).expect("this much is left");
    let error = map.read_checked(0, &mut buf).expect_err("the rest is gone");
    assert_eq!(error.kind(), ErrorKind::Disconnected, "{error}");
    let error = map.read_checked(4096, &mut buf[..1]).expect_err("gone");
    assert_eq!(error.kind(), ErrorKind::Disconnected, "{error}");
    let error = map.read_checked(3 * 4096, &mut buf[..1]).expect_err("outside");
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    // In the middle of a page, of which the rest reads as zeros.
    file.set_len(100).expect("shorten");
    map.read_checked(0, &mut buf[..100]).expect("this much is left");
    let error = map.read_checked(0, &mut buf[..101]).expect_err("the rest is gone");
    assert_eq!(error.kind(), ErrorKind::Disconnected, "{error}");
    file.set_len(3 * 4096).expect("grow again");
    map.read_checked(4096, &mut buf[..1]).expect("there are zeros now");
    assert_eq!(buf[0], 0);
}

fn sparse() {
    const LEN: usize = 10 << 30;
    let file = scratch(b"");
    file.set_len(LEN as u64).expect("a sparse file of 10 GiB");
    let map = FileMap::shared(&file).expect("map");
    map.write_at(LEN - 3, b"end").expect("write");
    assert_eq!(text(&map, LEN - 5, 5), b"\0\0end");
}

fn grown() {
    let file = scratch(b"seven b");
    let long = FileMapOptions::new().len(100_000).shared(&file).expect("map");
    // What another process does that looked at the length before.
    let short = FileMapOptions::new().len(50_000).shared(&file).expect("map");
    assert_eq!(file.metadata().expect("stat").len(), 100_000);
    assert_eq!((text(&long, 0, 7), text(&short, 0, 7)), (b"seven b".to_vec(), b"seven b".to_vec()));
}

fn reserved() {
    use std::os::unix::fs::MetadataExt;
    let file = scratch(b"");
    let options = FileMapOptions::new().offset(64 << 20).len(4096).reserve(true);
    let _map = options.shared(&file).expect("map");
    let meta = file.metadata().expect("stat");
    assert_eq!(meta.len(), (64 << 20) + 4096);
    assert!(meta.blocks() * 512 < 1 << 20, "{} blocks are reserved", meta.blocks());
}

fn file_size() {
    ipc_testkit::Peer::cast("maps_beyond_its_limit").start().join();
}

fn maps_beyond_its_limit() {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let file = scratch(b"");
    let limit = Rlimit { current: Some(10_000), maximum: Some(10_000) };
    setrlimit(Resource::Fsize, limit).expect("setrlimit");
    for reserve in [false, true] {
        let options = FileMapOptions::new().len(20_000).reserve(reserve);
        let error = options.shared(&file).map(drop).expect_err("beyond the limit");
        let ErrorKind::ResourceLimit { knob, .. } = error.kind() else { panic!("{error}") };
        assert!(knob.contains("RLIMIT_FSIZE"), "{knob}");
    }
    let error = ipc_shm::MemfdOptions::new(20_000).create().map(drop).expect_err("beyond");
    assert!(matches!(error.kind(), ErrorKind::ResourceLimit { .. }), "{error}");
}

fn refused() {
    let map = |options: FileMapOptions, file: &File| {
        options.read_only(file).map(drop).map_err(|error| error.kind())
    };
    let file = scratch(b"seven b");
    assert_eq!(map(FileMapOptions::new().offset(1), &file), Err(ErrorKind::InvalidInput));
    assert_eq!(map(FileMapOptions::new().offset(4096), &file), Err(ErrorKind::InvalidInput));
    assert_eq!(map(FileMapOptions::new().len(8), &file), Err(ErrorKind::InvalidInput));
    assert_eq!(map(FileMapOptions::new().len(0), &file), Err(ErrorKind::InvalidInput));
    assert_eq!(map(FileMapOptions::new(), &scratch(b"")), Err(ErrorKind::InvalidInput));
    let directory = File::open(dir()).expect("open");
    let kind = map(FileMapOptions::new(), &directory).expect_err("no file");
    assert!(matches!(kind, ErrorKind::WrongType { found: "a directory", .. }), "{kind:?}");
    let read_only = File::open("/proc/self/exe").expect("open");
    let error = FileMap::shared(&read_only).map(drop).expect_err("not open for writing");
    assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
}

fn flush() {
    let file = scratch(&[0; 10_000]);
    let map = FileMap::shared(&file).expect("map");
    for advice in [Advice::Normal, Advice::Random, Advice::Sequential, Advice::WillNeed] {
        map.advise(advice).expect("advise");
    }
    map.write_at(5000, b"there").expect("write");
    map.flush(5000..5005).expect("flush");
    map.flush(0..10_000).expect("flush");
    map.flush(10_000..10_000).expect("flush nothing");
    #[expect(clippy::reversed_empty_ranges, reason = "it is bad input")]
    for range in [0..10_001, 5..4] {
        assert_eq!(map.flush(range).expect_err("outside").kind(), ErrorKind::InvalidInput);
    }
}
