//! `siginfo_t` and `signalfd_siginfo`: what the kernel tells of a signal.
//!
//! `siginfo_t` is a union whose fields depend on the code. It is kept here as the words it is made
//! of, so that reading a field that is not there yields a number and not undefined behaviour.

use crate::origin::Origin;

/// How many bytes the kernel copies for each signal, either way.
pub(crate) const INFO_BYTES: usize = 128;

/// Where the fields begin that depend on the code, in words: they are aligned as a pointer is.
const FIELDS: usize = if size_of::<usize>() == 8 { 4 } else { 3 };

/// A pointer in words.
const POINTER: usize = size_of::<usize>() / 4;

/// `siginfo_t`, as words.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(8))]
pub(crate) struct SigInfo {
    words: [u32; INFO_BYTES / 4],
}

impl SigInfo {
    pub(crate) const ZERO: Self = Self { words: [0; INFO_BYTES / 4] };

    /// What `sigqueue` sends.
    pub(crate) fn queued(signal: i32, pid: i32, uid: u32, value: usize) -> Self {
        let mut info = Self::ZERO;
        info.words[0] = signal.cast_unsigned();
        info.words[2] = libc::SI_QUEUE.cast_unsigned();
        info.words[FIELDS] = pid.cast_unsigned();
        info.words[FIELDS + 1] = uid;
        info.set_value(value);
        info
    }

    /// Changes the value of a queued signal.
    #[inline]
    pub(crate) fn set_value(&mut self, value: usize) {
        let bytes = value.to_ne_bytes();
        let (words, _) = bytes.as_chunks::<4>();
        for (to, word) in self.words[FIELDS + 2..].iter_mut().zip(words) {
            *to = u32::from_ne_bytes(*word);
        }
    }

    /// A field of a pointer's length.
    fn pointer(&self, at: usize) -> usize {
        let mut bytes = [0; size_of::<usize>()];
        for (to, word) in bytes.as_chunks_mut::<4>().0.iter_mut().zip(&self.words[at..]) {
            *to = word.to_ne_bytes();
        }
        usize::from_ne_bytes(bytes)
    }

    /// What it says.
    pub(crate) fn origin(&self) -> Origin {
        let int = |at: usize| self.words[at].cast_signed();
        Origin {
            number: int(0),
            code: int(2),
            pid: int(FIELDS),
            uid: self.words[FIELDS + 1],
            value: self.pointer(FIELDS + 2),
            overrun: int(FIELDS + 1),
            status: int(FIELDS + 2),
            band: self.pointer(FIELDS).cast_signed() as i64,
            fd: int(FIELDS + POINTER),
        }
        .tidy()
    }
}

/// `signalfd_siginfo`, as bytes.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(8))]
pub(crate) struct FdInfo {
    bytes: [u8; INFO_BYTES],
}

impl FdInfo {
    pub(crate) const ZERO: Self = Self { bytes: [0; INFO_BYTES] };

    /// What a read would have brought for this signal.
    pub(crate) fn of(origin: &Origin) -> Self {
        let mut info = Self::ZERO;
        // The kernel keeps the low half of the events here as well.
        let band = origin.band as u32;
        for (at, word) in [
            (0, origin.number.cast_unsigned()),
            (8, origin.code.cast_unsigned()),
            (12, origin.pid.cast_unsigned()),
            (16, origin.uid),
            (20, origin.fd.cast_unsigned()),
            (28, band),
            (32, origin.overrun.cast_unsigned()),
            (40, origin.status.cast_unsigned()),
        ] {
            info.bytes[at..at + 4].copy_from_slice(&word.to_ne_bytes());
        }
        info.bytes[48..56].copy_from_slice(&(origin.value as u64).to_ne_bytes());
        info
    }

    fn word(&self, at: usize) -> u32 {
        let mut word = [0; 4];
        word.copy_from_slice(&self.bytes[at..at + 4]);
        u32::from_ne_bytes(word)
    }

    /// What it says.
    pub(crate) fn origin(&self) -> Origin {
        let int = |at: usize| self.word(at).cast_signed();
        let mut pointer = [0; 8];
        pointer.copy_from_slice(&self.bytes[48..56]);
        Origin {
            number: int(0),
            code: int(8),
            pid: int(12),
            uid: self.word(16),
            value: u64::from_ne_bytes(pointer) as usize,
            overrun: int(32),
            status: int(40),
            band: i64::from(self.word(28)),
            fd: int(20),
        }
        .tidy()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layouts_are_those_of_the_c_library() {
        assert_eq!(size_of::<SigInfo>(), size_of::<libc::siginfo_t>());
        assert_eq!(size_of::<FdInfo>(), size_of::<libc::signalfd_siginfo>());
        assert_eq!(std::mem::offset_of!(libc::siginfo_t, si_code), 8);
        for (ours, theirs) in [
            (12, std::mem::offset_of!(libc::signalfd_siginfo, ssi_pid)),
            (16, std::mem::offset_of!(libc::signalfd_siginfo, ssi_uid)),
            (20, std::mem::offset_of!(libc::signalfd_siginfo, ssi_fd)),
            (28, std::mem::offset_of!(libc::signalfd_siginfo, ssi_band)),
            (32, std::mem::offset_of!(libc::signalfd_siginfo, ssi_overrun)),
            (40, std::mem::offset_of!(libc::signalfd_siginfo, ssi_status)),
            (48, std::mem::offset_of!(libc::signalfd_siginfo, ssi_ptr)),
        ] {
            assert_eq!(ours, theirs);
        }
    }

    #[test]
    fn a_queued_signal_says_what_was_put_in() {
        let mut info = SigInfo::queued(40, 77, 1000, 1);
        info.set_value(usize::MAX - 5);
        let origin = info.origin();
        assert_eq!((origin.number, origin.code), (40, libc::SI_QUEUE));
        assert_eq!((origin.pid, origin.uid, origin.value), (77, 1000, usize::MAX - 5));
    }
}
