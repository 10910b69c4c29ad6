//! Broken regions: each is the reference with one defect.
#![expect(unsafe_code, reason = "breaking a promise that only unsafe code makes")]

use std::cell::UnsafeCell;
use std::marker::PhantomData;
use std::process::Command;
use std::ptr::NonNull;

use ipc_core::{Caps, Handoff, Region, RegionMut, Result, Shape};
use ipc_testkit::{Across, Harness, Regions};
use rustix::io::fcntl_dupfd_cloexec;
use rustix::mm::{MapFlags, ProtFlags, mmap};

use crate::support::memory::{self, View};

/// What is wrong; whatever it does not override is right.
trait Defect: Send + 'static {
    const NAME: &'static str;

    fn pair(len: usize) -> Result<(View, View)> {
        memory::pair(len)
    }
    fn base(view: &End<Self>) -> NonNull<u8> {
        view.inner.base
    }
}

struct End<D: ?Sized> {
    inner: View,
    /// Memory that moves with the value.
    inline: UnsafeCell<[u64; 2048]>,
    defect: PhantomData<D>,
}

impl<D: ?Sized> std::fmt::Debug for End<D> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.inner.fmt(f)
    }
}

impl<D: Defect> End<D> {
    fn new(inner: View) -> Self {
        Self { inner, inline: UnsafeCell::new([0; 2048]), defect: PhantomData }
    }
}

// SAFETY: none of what is promised; the memory is there nevertheless, for the length of the region,
// while the suite looks at it.
unsafe impl<D: Defect> Region for End<D> {
    fn base(&self) -> NonNull<u8> {
        D::base(self)
    }
    fn len(&self) -> usize {
        self.inner.len
    }
}

// SAFETY: the memory that is there is writable.
unsafe impl<D: Defect> RegionMut for End<D> {}

struct Broken<D>(PhantomData<D>);

impl<D: Defect> Regions for Broken<D> {
    const NAME: &'static str = D::NAME;
    const CAPS: Caps = Caps::new(Shape::Region);
    type View = End<D>;
    type Across = Self;

    fn pair(len: usize) -> Result<(End<D>, End<D>)> {
        let (one, two) = D::pair(len)?;
        Ok((End::new(one), End::new(two)))
    }
}

impl<D: Defect> Across<End<D>> for Broken<D> {
    fn give(end: End<D>, command: &mut Command, key: &str) -> Result<()> {
        Ok(end.inner.give(command, key)?)
    }
    fn adopt(key: &str) -> Result<End<D>> {
        Ok(End::new(View::adopt(key)?))
    }
}

struct Moves;

impl Defect for Moves {
    const NAME: &'static str = "moves-with-its-value";

    fn base(view: &End<Self>) -> NonNull<u8> {
        NonNull::new(view.inline.get()).expect("a field is not null").cast()
    }
}

struct Private;

impl Defect for Private {
    const NAME: &'static str = "is-a-private-copy";

    fn pair(len: usize) -> Result<(View, View)> {
        let (one, two) = memory::pair(len)?;
        let fd = fcntl_dupfd_cloexec(&one.fd, 0).expect("there are descriptors");
        let (prot, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE);
        // SAFETY: the kernel chooses an address that is free.
        let base = unsafe { mmap(std::ptr::null_mut(), len, prot, flags, &fd, 0) }.expect("mmap");
        let base = NonNull::new(base.cast()).expect("a mapping is not null");
        drop(one);
        Ok((View { base, len, fd }, two))
    }
}

struct Short;

impl Defect for Short {
    const NAME: &'static str = "is-shorter-than-asked-for";

    fn pair(len: usize) -> Result<(View, View)> {
        memory::pair(len.div_ceil(2))
    }
}

struct Unaligned;

impl Defect for Unaligned {
    const NAME: &'static str = "is-not-aligned";

    fn pair(len: usize) -> Result<(View, View)> {
        memory::pair(len + 8)
    }
    fn base(view: &End<Self>) -> NonNull<u8> {
        // SAFETY: the mapping has room for eight more bytes, and what is looked at is shorter by
        // far than a page.
        unsafe { view.inner.base.add(8) }
    }
}

struct Dirty;

impl Defect for Dirty {
    const NAME: &'static str = "is-not-zero";

    fn pair(len: usize) -> Result<(View, View)> {
        let (one, two) = memory::pair(len)?;
        // SAFETY: the region is at least one byte long, and nobody else has seen it yet.
        unsafe { one.base.write(1) };
        Ok((one, two))
    }
}

struct StaysMapped;

impl Defect for StaysMapped {
    const NAME: &'static str = "stays-mapped";

    fn pair(len: usize) -> Result<(View, View)> {
        let (one, two) = memory::pair(len)?;
        let fd = fcntl_dupfd_cloexec(&one.fd, 0).expect("there are descriptors");
        std::mem::forget(View::map(fd)?);
        Ok((one, two))
    }
}

/// Which case of the suite catches which defect, and what it says.
pub(crate) fn add(harness: Harness) -> Harness {
    let shape = "it_is_aligned_and_as_long_as_asked_for";
    Table(harness)
        .catch::<Moves>("its_address_stays_when_the_value_moves", "its base moved when")
        .catch::<Private>("two_mappings_see_the_same_bytes", "the mappings do not share")
        .catch::<Short>(shape, "64 bytes were asked for, and there are 32")
        .catch::<Unaligned>(shape, "is not a multiple of 64")
        .catch::<Dirty>("new_memory_is_zero", "a byte of new memory is not zero")
        .catch::<StaysMapped>("a_hundred_cycles_leave_no_mapping", "100 cycles left")
        .catch::<StaysMapped>("a_hundred_cycles_leak_no_descriptor", "leaked 100 descriptors")
        .0
}

struct Table(Harness);

impl Table {
    fn catch<D: Defect>(self, case: &str, says: &'static str) -> Self {
        let case = format!("regions/{}/{case}", D::NAME);
        Self(self.0.catches(Harness::regions::<Broken<D>>, &case, says))
    }
}
