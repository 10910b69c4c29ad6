//! The newest value, from one writer to any number of readers, who never wait for each other.
//!
//! ```
//! use ipc_core::Wait;
//! use ipc_shm::ring::{RingOptions, latest};
//!
//! let (mut position, mut reader) = latest::pair::<[f64; 3]>(&RingOptions::new())?;
//! position.write(&[0.0, 0.0, 0.0])?;
//! position.write(&[1.0, 0.5, 0.0])?;
//! let newest = reader.read(Wait::Never)?;
//! assert_eq!((newest.number, newest.value), (2, [1.0, 0.5, 0.0]));
//! # Ok::<(), ipc_core::Error>(())
//! ```
//!
//! What is a value says [`zerocopy`]: plain old data without padding, of which every pattern of bytes is one.
//! So a reader has a value, whatever the writer's process does.
//!
//! There is one writer at a time. When it has gone, or its process has ended, another one may take its place.
//! Readers are not known to anybody. A writer makes no system call unless a reader sleeps.

use std::marker::PhantomData;
use std::process::Command;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::time::Duration;

use ipc_core::{Error, ErrorKind, Handoff, RegionMut, Rejected, Result, Wait};
use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::dialogue::Bed;
use super::latest_core::{CAME, DATA, NoValue, SLOTS, VERSION, read, slot_len, write};
use super::layout::{ELEMENT, LENGTH, PRODUCER, PRODUCER_CPU};
use super::member::{Geometry, Member};
use super::memory::Memory;
use super::peers::GIVEN;
use super::places::free;
use super::seek::{Miss, Seek, runs_here, seek};
use super::sleepers::{rouse_all, want_fences};
use super::{RingOptions, Strategy, attach};
use crate::{Memfd, MemfdOptions};

const READ: &str = "read newest value";
const ATTACH: &str = "attach to newest value";

/// How often a reader looks before it takes the writer for one that breaks the rules.
const LOOKS: u32 = 100_000;

const MAGIC_VALUE: u64 = u64::from_be_bytes(*b"ipcltst\x01");

/// What can be such a value. It is implemented for everything that [`zerocopy`] can make of bytes and bytes of.
pub trait Value: FromBytes + IntoBytes + Immutable {}

impl<T: FromBytes + IntoBytes + Immutable> Value for T {}

fn lengths<T: Value>() -> Result<(usize, usize)> {
    let slot = slot_len(size_of::<T>());
    let whole = slot.and_then(|slot| slot.checked_mul(SLOTS as usize)?.checked_add(DATA));
    slot.zip(whole).ok_or_else(|| Error::new(ErrorKind::InvalidInput, "make newest value"))
}

/// What is written down of the type: another one of the same length and alignment is told from it by
/// [`RingOptions::element`] alone.
const fn element<T: Value>(options: &RingOptions) -> u64 {
    (size_of::<T>() as u64) << 8 ^ align_of::<T>() as u64 ^ options.element.rotate_left(32)
}

/// Makes memory for a value, its writer, and a reader.
///
/// # Errors
///
/// [`ErrorKind::ResourceLimit`] when memory or descriptors run out.
pub fn pair<T: Value>(options: &RingOptions) -> Result<(Writer<T>, Reader<T>)> {
    let one = MemfdOptions::new(region_len::<T>()?).create()?;
    let two = one.try_clone()?;
    init::<T>(&one, options)?;
    Ok((Writer::attach(one, options)?, Reader::attach(two, options)?))
}

/// How many bytes of memory it takes.
///
/// # Errors
///
/// [`ErrorKind::InvalidInput`] when there are not so many addresses.
pub fn region_len<T: Value>() -> Result<usize> {
    lengths::<T>().map(|(_, whole)| whole)
}

/// Prepares memory that nobody uses; its first [`region_len`] bytes are overwritten. Then a writer and readers
/// attach to it, in this process or others.
///
/// # Errors
///
/// [`ErrorKind::InvalidInput`] when the memory is too small or [private](crate::Private).
pub fn init<T: Value>(region: &impl RegionMut, options: &RingOptions) -> Result<()> {
    let (slot, whole) = lengths::<T>()?;
    attach::create(region, whole, MAGIC_VALUE, |memory| {
        memory.store(LENGTH, slot as u64, Relaxed);
        memory.store(ELEMENT, element::<T>(options), Relaxed);
    })
}

/// The length of a slot.
#[derive(Debug, Clone, Copy)]
struct Slots(usize);

impl Geometry for Slots {
    fn bury(self, memory: &impl Memory, mut is_dead: impl FnMut(u64) -> bool) {
        free(memory, PRODUCER, &mut is_dead);
    }
}

fn open<T: Value, R: RegionMut>(region: R, options: &RingOptions) -> Result<Member<R, Slots>> {
    let (slot, whole) = lengths::<T>()?;
    let element = element::<T>(options);
    let (memory, len) = attach::open(region, options.full_fences, MAGIC_VALUE, DATA, element)?;
    if len != slot || memory.len() < whole {
        return Err(Error::new(ErrorKind::Corrupted, ATTACH)
            .with_note("the length of a value makes no sense"));
    }
    Member::new(memory, Slots(slot), options)
}

/// Writes the newest value.
///
/// # Blocking
///
/// Never.
///
/// # Examples
///
/// See [`latest`](self).
#[derive(Debug)]
pub struct Writer<T: Value, R: RegionMut = Memfd> {
    end: Member<R, Slots>,
    number: u64,
    value: PhantomData<fn(T)>,
}

impl<T: Value, R: RegionMut> Writer<T, R> {
    /// Takes the writer's place in memory that [`init`] has prepared: a free one, or that of a process that
    /// has ended.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::NotFound`] when it is not prepared yet;
    /// - [`ErrorKind::Corrupted`] when there is something else;
    /// - [`ErrorKind::WrongType`] when it is for another kind of ring, a value of another length, alignment or
    ///   [element](RingOptions::element), or from another version of this crate;
    /// - [`ErrorKind::AlreadyExists`] when there is a writer;
    /// - [`ErrorKind::InvalidInput`] when the memory is too small, or [private](crate::Private).
    pub fn attach(region: R, options: &RingOptions) -> Result<Self> {
        Self::open(region, options, false)
    }

    fn open(region: R, options: &RingOptions, inherits: bool) -> Result<Self> {
        let mut end = open::<T, R>(region, options)?;
        let take = |end: &Member<R, Slots>, from| {
            end.memory.compare_exchange(PRODUCER, from, end.identity).ok()
        };
        if end.take(inherits, take).is_none() {
            return Err(Error::new(ErrorKind::AlreadyExists, ATTACH)
                .with_note("there is one writer at a time, and that lives"));
        }
        end.memory.store(CAME, 1, Release);
        let number = end.memory.load(VERSION, Acquire);
        Ok(Self { end, number, value: PhantomData })
    }

    /// Writes a value, which is the newest from now on; returns its number. The first is 1.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Corrupted`] when the numbers are used up: a peer has written nonsense.
    #[inline]
    pub fn write(&mut self, value: &T) -> Result<u64> {
        let Some(number) = self.number.checked_add(1) else {
            return Err(Error::new(ErrorKind::Corrupted, "write newest value"));
        };
        write(&self.end.memory, self.end.shape.0, number, value.as_bytes());
        self.number = number;
        Ok(number)
    }
}

impl<T: Value, R: RegionMut> Drop for Writer<T, R> {
    fn drop(&mut self) {
        if self.end.is_own() {
            self.end.memory.store(PRODUCER, self.end.heir, Release);
            rouse_all(&self.end.memory);
        }
    }
}

impl<T: Value> Handoff for Writer<T> {
    fn give(mut self, command: &mut Command, key: &str) -> Result<(), Rejected<Self>> {
        let copy = match self.end.memory.region().try_clone() {
            Ok(copy) => copy,
            Err(error) => return Err(Rejected { value: self, error }),
        };
        match copy.give(command, key) {
            Ok(()) => {
                // The place is the child's from now on.
                self.end.heir = GIVEN;
                Ok(())
            }
            Err(rejected) => Err(Rejected { value: self, error: rejected.error }),
        }
    }

    fn adopt(key: &str) -> Result<Self> {
        Self::open(Memfd::adopt(key)?, &RingOptions::new(), true)
    }
}

/// A value and its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Newest<T> {
    /// How many values were written until then: two that were read one after the other tell how many were
    /// not seen.
    pub number: u64,
    /// The value.
    pub value: T,
}

/// Reads the newest value.
///
/// # Blocking
///
/// Only to wait for a value. A writer that is stopped or killed in the middle of one keeps nobody up: there
/// is the one before.
///
/// # Errors
///
/// - [`ErrorKind::WouldBlock`] and [`ErrorKind::TimedOut`] as [`Wait`] says, when there is no value;
/// - [`ErrorKind::Disconnected`] when there is none and no writer any more;
/// - [`ErrorKind::Corrupted`] when somebody keeps writing nonsense into the memory.
///
/// # Examples
///
/// See [`latest`](self).
#[derive(Debug)]
pub struct Reader<T: Value, R: RegionMut = Memfd> {
    end: Member<R, Slots>,
    /// The number of the value that was read last.
    seen: u64,
    buf: Vec<u8>,
    value: PhantomData<fn() -> T>,
}

impl<T: Value, R: RegionMut> Reader<T, R> {
    /// A reader of the values in memory that [`init`] has prepared.
    ///
    /// # Errors
    ///
    /// Those of [`Writer::attach`], but [`ErrorKind::AlreadyExists`].
    pub fn attach(region: R, options: &RingOptions) -> Result<Self> {
        let end = open::<T, R>(region, options)?;
        if end.memory.full_fences() {
            want_fences(&end.memory);
        }
        Ok(Self { end, seen: 0, buf: vec![0; size_of::<T>()], value: PhantomData })
    }

    /// The newest value, also if it was read before. Waits for the first.
    ///
    /// # Errors
    ///
    /// See [`Reader`].
    pub fn read(&mut self, wait: Wait) -> Result<Newest<T>> {
        self.newer(0, wait)
    }

    /// The newest value, when it is another one than was read last.
    ///
    /// # Errors
    ///
    /// See [`Reader`].
    pub fn read_new(&mut self, wait: Wait) -> Result<Newest<T>> {
        self.newer(self.seen, wait)
    }

    fn newer(&mut self, than: u64, wait: Wait) -> Result<Newest<T>> {
        let number = match self.look(than) {
            Ok(number) => number,
            Err(miss) => {
                let newer = seek(Newer { reader: self, than }, wait, miss);
                // Another look may find a value that nobody overwrites at that moment.
                self.end.corrupted = false;
                newer?
            }
        };
        self.seen = number;
        match T::read_from_bytes(&self.buf) {
            Ok(value) => Ok(Newest { number, value }),
            Err(_) => Err(Error::new(ErrorKind::Corrupted, READ)),
        }
    }

    fn look(&mut self, than: u64) -> Result<u64, Miss> {
        let (memory, slot) = (&self.end.memory, self.end.shape.0);
        match read(memory, slot, than, &mut self.buf, LOOKS) {
            Ok(number) => Ok(number),
            Err(NoValue::Torn) => Err(Miss::Corrupted),
            Err(NoValue::Old) if memory.load(PRODUCER, Acquire) != 0 => Err(Miss::Nothing),
            // What was written before the last writer went is there now. If none has come yet, one will.
            Err(NoValue::Old) => {
                let more = memory.load(VERSION, Acquire) > than;
                let none_yet = memory.load(CAME, Acquire) == 0;
                Err(if more || none_yet { Miss::Nothing } else { Miss::Gone })
            }
        }
    }

    /// How this end waits from now on.
    pub fn set_strategy(&mut self, strategy: Strategy) {
        self.end.options.strategy = strategy;
    }
}

/// How far a reader is that has seen so many values, as far as that tells a stream from a dialogue.
const fn position(seen: u64) -> u64 {
    seen.wrapping_mul(64)
}

/// A reader that looks for a newer value.
struct Newer<'a, T: Value, R: RegionMut> {
    reader: &'a mut Reader<T, R>,
    than: u64,
}

impl<T: Value, R: RegionMut> Seek for Newer<'_, T, R> {
    type Region = R;
    type Shape = Slots;
    type Found = u64;
    const ROOM: bool = false;
    const OP: &'static str = READ;

    fn member(&mut self) -> &mut Member<R, Slots> {
        &mut self.reader.end
    }

    fn look(&mut self) -> Result<u64, Miss> {
        self.reader.look(self.than)
    }

    fn sleep(&mut self, time: Duration) -> bool {
        let Member { memory, dialogue, .. } = &mut self.reader.end;
        let position = position(self.than);
        dialogue.sleep(memory, Bed::Consumers, position, time, || {
            memory.load(VERSION, Acquire) > self.than || memory.load(PRODUCER, Acquire) == 0
        })
    }

    fn found(&mut self) {
        let Member { memory, dialogue, .. } = &mut self.reader.end;
        dialogue.found(memory, Bed::Consumers, position(self.than));
    }

    fn shares_cpu(&mut self) -> bool {
        runs_here(&self.reader.end.memory, PRODUCER_CPU)
    }
}

impl<T: Value, R: RegionMut> Drop for Reader<T, R> {
    fn drop(&mut self) {
        if self.end.is_own() {
            self.end.dialogue.end(&self.end.memory, Bed::Consumers);
        }
    }
}

impl<T: Value> Reader<T> {
    /// Another reader.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::ResourceLimit`] when descriptors run out.
    pub fn try_clone(&self) -> Result<Self> {
        Self::attach(self.end.memory.region().try_clone()?, &self.end.options)
    }
}

impl<T: Value> Handoff for Reader<T> {
    fn give(self, command: &mut Command, key: &str) -> Result<(), Rejected<Self>> {
        let copy = match self.end.memory.region().try_clone() {
            Ok(copy) => copy,
            Err(error) => return Err(Rejected { value: self, error }),
        };
        match copy.give(command, key) {
            Ok(()) => Ok(()),
            Err(rejected) => Err(Rejected { value: self, error: rejected.error }),
        }
    }

    fn adopt(key: &str) -> Result<Self> {
        Self::attach(Memfd::adopt(key)?, &RingOptions::new())
    }
}
