//! FIFOs whose owner has died.

use std::fs;

use ipc_core::{ErrorKind, NameProblem, ReadBytes, Wait};
use ipc_pipe::FifoOptions;
use ipc_testkit::{Harness, Peer, block, dir, names_in_dir, say, wait_for_the_end};

pub(crate) fn cases(harness: Harness) -> Harness {
    harness
        .test("reclaim/a_dead_owners_fifo_is_replaced", dead_owners_fifo_is_replaced)
        .test("reclaim/a_living_owners_fifo_is_not", living_owners_fifo_is_not)
        .test("reclaim/a_fifo_of_unknown_origin_is_not", unknown_origin_is_not)
        .test("reclaim/another_fifo_in_its_place_is_not", another_fifo_in_its_place_is_not)
        .test("reclaim/peers_of_the_dead_owner_are_let_go", peers_are_let_go)
        .test("reclaim/a_half_done_reclaim_is_taken_over", half_done_reclaim_is_taken_over)
        .test("reclaim/files_of_strangers_are_left_alone", files_of_strangers_are_left_alone)
        .test(
            "reclaim/a_fifo_with_the_same_inode_number_is_not",
            a_fifo_with_the_same_inode_number_is_not,
        )
        .test(
            "reclaim/a_change_of_directory_does_not_matter",
            a_change_of_directory_does_not_matter,
        )
        .test(
            "reclaim/a_name_without_room_for_the_lock_is_too_long",
            a_name_without_room_for_the_lock_is_too_long,
        )
        .test("reclaim/owners_killed_at_any_moment_leave_it_reclaimable", killed_at_any_moment)
        .test("reclaim/what_is_not_a_fifo_is_left_alone", not_a_fifo_is_left_alone)
        .test("reclaim/a_clean_end_leaves_nothing", clean_end_leaves_nothing)
        .role("owns", owns)
        .role("owns_again_and_again", owns_again_and_again)
}

const RECLAIM: FifoOptions = FifoOptions::new().reclaim(true);

/// Starts an owner of `dir()/fifo` and waits until it is one.
fn owner() -> Peer {
    let mut owner = Peer::start("owns");
    owner.expect("mine");
    owner
}

fn owns() {
    let _fifo = RECLAIM.create(dir().join("fifo")).expect("create");
    say("mine");
    wait_for_the_end()
}

fn dead_owners_fifo_is_replaced() {
    owner().kill();
    assert_eq!(names_in_dir(), ["fifo", "fifo.fifo-lock"], "the owner cleaned up although killed");
    let plain = FifoOptions::new().create(dir().join("fifo")).expect_err("not without asking");
    assert_eq!(plain.kind(), ErrorKind::AlreadyExists);
    let fifo = RECLAIM.create(dir().join("fifo")).expect("reclaim");
    let (mut rx, tx) = fifo.open_both().expect("open");
    drop(tx);
    assert_eq!(rx.read_with(&mut [0; 8], Wait::Never), Ok(0), "it is not a new pipe");
}

fn living_owners_fifo_is_not() {
    let peer = owner();
    let error = RECLAIM.create(dir().join("fifo")).expect_err("the owner is alive");
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    FifoOptions::new().open(dir().join("fifo")).expect("it is still there");
    peer.kill();
    drop(RECLAIM.create(dir().join("fifo")).expect("the owner is dead"));
}

fn unknown_origin_is_not() {
    let mut stranger = FifoOptions::new().create(dir().join("fifo")).expect("create");
    stranger.keep();
    drop(stranger);
    let error = RECLAIM.create(dir().join("fifo")).expect_err("nothing proves that it is stale");
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    assert_eq!(names_in_dir(), ["fifo"]);
    fs::remove_file(dir().join("fifo")).expect("remove");
}

fn another_fifo_in_its_place_is_not() {
    owner().kill();
    // Both exist at once, so that the new one cannot have the old one's inode number.
    let mut stranger = FifoOptions::new().create(dir().join("other")).expect("create");
    stranger.keep();
    fs::rename(dir().join("other"), dir().join("fifo")).expect("rename");
    let error = RECLAIM.create(dir().join("fifo")).expect_err("this one is not the dead owner's");
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    fs::remove_file(dir().join("fifo")).expect("remove");
    drop(RECLAIM.create(dir().join("fifo")).expect("the place is free"));
}

fn peers_are_let_go() {
    let peer = owner();
    let reader = block("read the old FIFO", || {
        let fifo = FifoOptions::new().open(dir().join("fifo"))?;
        fifo.open_reader(Wait::Forever)?.read_with(&mut [0; 8], Wait::Forever)
    });
    peer.kill();
    let fifo = RECLAIM.create(dir().join("fifo")).expect("reclaim");
    assert_eq!(reader.join(), Ok(0), "the reader of the old FIFO does not see its end");
    drop(fifo);
}

/// As if the owner had been killed after it had made the new FIFO and before that was in place.
fn half_done_reclaim_is_taken_over() {
    owner().kill();
    let lock = dir().join("fifo.fifo-lock");
    let note = super::fixtures::read(&lock);
    assert!(note.contains("\nplaced\n"), "{note}");
    fs::write(&lock, note.replace("\nplaced\n", "\nmaking\n")).expect("write the note");
    let mut half = FifoOptions::new().create(dir().join("fifo.fifo-new")).expect("create");
    half.keep();
    drop(half);
    drop(RECLAIM.create(dir().join("fifo")).expect("reclaim"));
    assert!(names_in_dir().is_empty(), "left behind: {:?}", names_in_dir());
}

/// Nothing says that these are ours: they stay as they are.
fn files_of_strangers_are_left_alone() {
    let (lock, new) = (dir().join("fifo.fifo-lock"), dir().join("fifo.fifo-new"));
    fs::write(&lock, "somebody else's notes\n").expect("write a file");
    let error = RECLAIM.create(dir().join("fifo")).expect_err("the lock file is not ours");
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    assert_eq!(super::fixtures::read(&lock), "somebody else's notes\n");
    fs::remove_file(&lock).expect("remove");

    let stranger = FifoOptions::new().create(&new).expect("create");
    let error = RECLAIM.create(dir().join("fifo")).expect_err("the other name is taken");
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    assert_eq!(names_in_dir(), ["fifo.fifo-new"]);
    stranger.unlink().expect("it is still there");
}

/// A file system may give a dead owner's inode number to the next file.
fn a_fifo_with_the_same_inode_number_is_not() {
    owner().kill();
    fs::remove_file(dir().join("fifo")).expect("remove");
    let stranger = FifoOptions::new().create(dir().join("fifo")).expect("create");
    let error = RECLAIM.create(dir().join("fifo")).expect_err("this one was born later");
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    stranger.unlink().expect("it is still there");
    drop(RECLAIM.create(dir().join("fifo")).expect("the place is free"));
}

/// A path that was relative when the FIFO was created means the same place afterwards.
fn a_change_of_directory_does_not_matter() {
    let (here, there) = (dir().join("here"), dir().join("there"));
    fs::create_dir(&here).expect("mkdir");
    fs::create_dir(&there).expect("mkdir");
    std::env::set_current_dir(&here).expect("chdir");
    let ours = RECLAIM.create("fifo").expect("create");
    std::env::set_current_dir(&there).expect("chdir");
    let others = RECLAIM.create("fifo").expect("create");
    drop(ours);
    assert_eq!(fs::read_dir(&here).expect("list").count(), 0, "left behind");
    assert_eq!(fs::read_dir(&there).expect("list").count(), 2, "the other FIFO was removed");
    drop(others);
    fs::remove_dir(here).expect("rmdir");
    fs::remove_dir(there).expect("rmdir");
}

fn a_name_without_room_for_the_lock_is_too_long() {
    let error = RECLAIM.create(dir().join("x".repeat(250))).expect_err("no room");
    let problem = NameProblem::TooLong { len: 250, max: 245 };
    assert_eq!(error.kind(), ErrorKind::InvalidName(problem));
    drop(RECLAIM.create(dir().join("x".repeat(245))).expect("it just fits"));
}

/// Kills owners while they create, hold and remove the FIFO as fast as they can.
fn killed_at_any_moment() {
    let kills = std::env::var("IPC_PIPE_KILLS").map_or(100, |n| n.parse().expect("a number"));
    for round in 0..kills {
        let mut owner = Peer::start("owns_again_and_again");
        for _ in 0..round % 7 {
            owner.expect("mine");
        }
        owner.kill();
        let fifo = RECLAIM.create(dir().join("fifo")).unwrap_or_else(|error| {
            panic!("after kill {round} with {:?}: {error}", names_in_dir());
        });
        drop(fifo);
        assert!(names_in_dir().is_empty(), "left behind: {:?}", names_in_dir());
    }
}

fn owns_again_and_again() {
    loop {
        let fifo = RECLAIM.create(dir().join("fifo")).expect("create");
        say("mine");
        drop(fifo);
    }
}

fn not_a_fifo_is_left_alone() {
    fs::write(dir().join("fifo"), "text").expect("write a file");
    let error = RECLAIM.create(dir().join("fifo")).expect_err("it is a file");
    let found = "a regular file";
    assert_eq!(error.kind(), ErrorKind::WrongType { expected: "a FIFO", found });
    assert_eq!(names_in_dir(), ["fifo"]);
    fs::remove_file(dir().join("fifo")).expect("remove");

    std::os::unix::fs::symlink("/dev/null", dir().join("fifo.fifo-lock")).expect("make a link");
    let error = RECLAIM.create(dir().join("fifo")).expect_err("the lock file is a link");
    assert!(matches!(error.kind(), ErrorKind::WrongType { .. }), "{error}");
    fs::remove_file(dir().join("fifo.fifo-lock")).expect("remove");
}

fn clean_end_leaves_nothing() {
    let fifo = RECLAIM.create(dir().join("fifo")).expect("create");
    assert_eq!(names_in_dir(), ["fifo", "fifo.fifo-lock"]);
    drop(fifo);
    assert!(names_in_dir().is_empty(), "left behind: {:?}", names_in_dir());
    RECLAIM.create(dir().join("fifo")).expect("create").unlink().expect("unlink");
    assert!(names_in_dir().is_empty(), "left behind: {:?}", names_in_dir());
}
