//! The suite for regions.

use std::fmt::Debug;
use std::fs;

use ipc_core::{Caps, Region, RegionMut, Result};

use crate::across::Across;
use crate::payload::mix;
use crate::peer::{hear, say};
use crate::sys::{load, store};
use crate::waits::works;
use crate::{Descriptors, Harness, Peer, across, blocked, environment, resources};

/// Shared memory, as the suite sees it.
pub trait Regions: 'static {
    /// What the cases are named after: `regions/NAME/…`.
    const NAME: &'static str;
    /// What the mechanism can do.
    const CAPS: Caps;
    /// Whether new memory is zero.
    const ZEROED: bool = true;
    /// One mapping.
    type View: RegionMut + Send + Debug + 'static;
    /// How a mapping reaches another process.
    type Across: Across<Self::View>;

    /// Two writable mappings of the same new memory, at least `len` bytes long.
    ///
    /// # Errors
    ///
    /// What the mechanism reports.
    fn pair(len: usize) -> Result<(Self::View, Self::View)>;

    /// What the mechanism has put where other processes see it: by default, files in the case's
    /// directory. For a namespace of the kernel see [`names_in`](crate::names_in).
    fn traces() -> Vec<String> {
        environment::names_in_dir()
    }
}

/// The length of most regions here: not a multiple of a page.
const LEN: usize = 3 * 4096 + 17;

#[track_caller]
fn pair<R: Regions>(len: usize) -> (R::View, R::View) {
    works("create a region", R::pair(len))
}

/// The byte that belongs at an offset in round `round`.
#[expect(clippy::cast_possible_truncation, reason = "the low byte is meant")]
fn noise(at: usize, round: u64) -> u8 {
    mix(at as u64 ^ (round << 48)) as u8
}

fn write_all(view: &impl RegionMut, round: u64) {
    (0..view.len()).for_each(|at| store(view, at, noise(at, round)));
}

#[track_caller]
fn expect_all(view: &impl RegionMut, round: u64, whose: &str) {
    let wrong = (0..view.len()).find(|at| load(view, *at) != noise(*at, round));
    if let Some(at) = wrong {
        panic!("byte {at} that {whose} wrote is not seen: the mappings do not share their memory");
    }
}

impl Harness {
    /// Applies the suite for regions.
    #[must_use]
    pub fn regions<R: Regions>(self) -> Self {
        let mut harness = self;
        let mut case = |name: &str, body: fn()| {
            let whole = format!("regions/{}/{name}", R::NAME);
            harness = std::mem::take(&mut harness).test(whole, body);
        };
        case("it_is_aligned_and_as_long_as_asked_for", shape::<R>);
        case("new_memory_is_zero", zeroed::<R>);
        case("its_address_stays_when_the_value_moves", moves::<R>);
        case("two_mappings_see_the_same_bytes", shared::<R>);
        case("dropping_one_mapping_leaves_the_other", dropped::<R>);
        case("two_processes_see_the_same_bytes", processes::<R>);
        case("bytes_outlive_the_process_that_wrote_them", killed::<R>);
        case("a_hundred_cycles_leave_no_mapping", no_mapping_leaks::<R>);
        case("children_inherit_no_descriptor", || {
            resources::children_inherit_nothing(|| R::pair(LEN));
        });
        case("a_hundred_cycles_leak_no_descriptor", || resources::no_descriptor_leaks(cycle::<R>));
        case("running_out_of_descriptors_is_a_resource_limit", || {
            resources::descriptors_run_out(|| R::pair(LEN));
        });
        case("nothing_is_left_behind", || resources::no_traces(R::traces, cycle::<R>));
        harness.role(format!("regions/{}/write", R::NAME), writer::<R>)
    }
}

/// Creates a region, uses it and drops it.
fn cycle<R: Regions>() {
    let (ours, theirs) = pair::<R>(LEN);
    store(&ours, LEN - 1, 7);
    assert_eq!(load(&theirs, LEN - 1), 7);
}

fn shape<R: Regions>() {
    for len in [1, 64, 4096, 4097, 1 << 20] {
        let (ours, theirs) = pair::<R>(len);
        for view in [&ours, &theirs] {
            assert!(view.len() >= len, "{len} bytes were asked for, and there are {}", view.len());
            assert!(!view.is_empty());
            let base = view.base().addr().get();
            assert!(base.is_multiple_of(64), "its address {base:#x} is not a multiple of 64");
        }
        assert_eq!(ours.len(), theirs.len(), "two mappings of one memory differ in length");
        write_all(&ours, 0);
    }
}

fn zeroed<R: Regions>() {
    if !R::ZEROED {
        crate::skip("the fixture says that new memory is not zero");
    }
    let (ours, theirs) = pair::<R>(LEN);
    for view in [&ours, &theirs] {
        let dirty = (0..view.len()).find(|at| load(view, *at) != 0);
        assert_eq!(dirty, None, "a byte of new memory is not zero");
    }
}

fn moves<R: Regions>() {
    let (ours, theirs) = pair::<R>(LEN);
    let before = (ours.base(), ours.len());
    store(&ours, 0, 77);
    let check = |view: &R::View, how: &str| {
        let now = (view.base(), view.len());
        assert_eq!(now, before, "its base moved when the value was moved {how}");
        assert_eq!(load(view, 0), 77);
    };
    let boxed = Box::new(ours);
    check(&boxed, "into a box");
    let mut vec = vec![*boxed];
    check(&vec[0], "into a vector");
    vec.push(theirs);
    check(&vec[0], "by a vector that grew");
    let there = vec.swap_remove(0);
    let (base, there) = blocked::start("a thread", move || {
        let base = there.base().addr();
        (base, there)
    })
    .join();
    assert_eq!(base, before.0.addr(), "its base moved when the value was moved to a thread");
    check(&there, "from a thread");
}

fn shared<R: Regions>() {
    let (ours, theirs) = pair::<R>(LEN);
    write_all(&ours, 1);
    expect_all(&theirs, 1, "the first mapping");
    write_all(&theirs, 2);
    expect_all(&ours, 2, "the second mapping");
}

fn dropped<R: Regions>() {
    let (ours, theirs) = pair::<R>(LEN);
    write_all(&ours, 1);
    drop(ours);
    expect_all(&theirs, 1, "the dropped mapping");
    write_all(&theirs, 2);
    expect_all(&theirs, 2, "the mapping that is left");
}

/// Starts a peer that has seen round 1 and written round 2.
fn start_writer<R: Regions>() -> (R::View, Peer) {
    across::require::<R::Across, R::View>();
    let before = Descriptors::now();
    let (ours, theirs) = pair::<R>(LEN);
    let opened = Descriptors::now().since(&before);
    write_all(&ours, 1);
    let mut peer = Peer::cast(format!("regions/{}/write", R::NAME));
    works("give", R::Across::give(theirs, peer.command(), "region"));
    resources::all_close_on_exec(&Descriptors::now().since(&before));
    resources::bystander_has_none_of(&opened);
    let mut peer = peer.start();
    peer.expect("written");
    (ours, peer)
}

fn writer<R: Regions>() {
    let view = works("adopt", <R::Across as Across<R::View>>::adopt("region"));
    assert!(view.len() >= LEN, "{LEN} bytes were given, and {} came", view.len());
    expect_all(&view, 1, "the other process");
    write_all(&view, 2);
    say("written");
    assert_eq!(hear(), "again");
    expect_all(&view, 3, "the other process");
}

fn processes<R: Regions>() {
    let (ours, mut peer) = start_writer::<R>();
    expect_all(&ours, 2, "the other process");
    write_all(&ours, 3);
    peer.tell("again");
    peer.join();
}

fn killed<R: Regions>() {
    let (ours, peer) = start_writer::<R>();
    peer.kill();
    expect_all(&ours, 2, "the other process");
    write_all(&ours, 3);
    expect_all(&ours, 3, "this process");
}

fn no_mapping_leaks<R: Regions>() {
    let mappings = || {
        let maps = fs::read_to_string("/proc/self/maps").expect("read /proc/self/maps");
        maps.lines().count()
    };
    cycle::<R>();
    let before = mappings();
    (0..100).for_each(|_| cycle::<R>());
    let after = mappings();
    // The allocator may have grown by a few of its own.
    assert!(after < before + 50, "100 cycles left {} mappings behind", after - before);
}
