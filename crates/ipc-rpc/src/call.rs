//! What a method knows of the call that it serves.

use std::any::Any;
use std::cell::RefCell;
use std::fmt;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::fds::{self, Beside};
use crate::marshal::{self, NotEncoded};
use crate::{ClientId, Semantics};

/// The call that a method serves: who makes it, until when, and in which transaction.
///
/// # Examples
///
/// ```
/// use ipc_rpc::Call;
///
/// fn sum(call: &Call<'_>, numbers: &[u64]) -> u64 {
///     // Nobody waits any more: leave off.
///     numbers.iter().take_while(|_| !call.is_over()).sum()
/// }
/// ```
pub struct Call<'a> {
    pub(crate) client: ClientId,
    pub(crate) connection: u64,
    pub(crate) seq: u64,
    pub(crate) semantics: Semantics,
    pub(crate) deadline: Option<Instant>,
    pub(crate) cancelled: Option<&'a AtomicBool>,
    pub(crate) transaction: Option<&'a dyn Any>,
    pub(crate) fds: RefCell<Vec<OwnedFd>>,
}

impl Call<'_> {
    /// Who makes it.
    #[must_use]
    pub const fn client(&self) -> ClientId {
        self.client
    }

    /// Which connection it came by: [`Connection::id`](crate::Connection::id).
    #[must_use]
    pub const fn connection(&self) -> u64 {
        self.connection
    }

    /// Its number, by which the client counts its calls.
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.seq
    }

    /// What is promised of it.
    #[must_use]
    pub const fn semantics(&self) -> Semantics {
        self.semantics
    }

    /// Until when the client waits.
    #[must_use]
    pub const fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// How long the client still waits; `None` for ever.
    #[must_use]
    pub fn remaining(&self) -> Option<Duration> {
        self.deadline.map(|it| it.saturating_duration_since(Instant::now()))
    }

    /// Whether the client has cancelled it or its deadline has passed. A method that takes long looks now and
    /// then.
    ///
    /// A server that serves one call after the other ([`serve`](crate::serve)) sees a cancellation only after the
    /// call; a [`Pool`](crate::Pool) sees it at once.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.cancelled.is_some_and(|it| it.load(Ordering::Relaxed))
            || self.deadline.is_some_and(|it| it <= Instant::now())
    }

    /// The journal's transaction, of an exactly-once call: what is changed in it is changed if and only if the
    /// call is recorded. `None` in another call, or if it is of another type.
    #[must_use]
    pub fn transaction<T: 'static>(&self) -> Option<&T> {
        self.transaction?.downcast_ref()
    }

    /// Reads the arguments.
    #[doc(hidden)]
    #[inline]
    pub fn arguments<'b, T: Deserialize<'b>>(&self, bytes: &'b [u8]) -> Option<T> {
        fds::with_incoming(&mut self.fds.borrow_mut(), || marshal::read(bytes))
    }
}

impl fmt::Debug for Call<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("client", &self.client)
            .field("connection", &self.connection)
            .field("seq", &self.seq)
            .field("semantics", &self.semantics)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

/// Where a method's result goes.
#[doc(hidden)]
#[derive(Debug)]
pub struct Results<'a> {
    pub(crate) out: &'a mut Vec<u8>,
    pub(crate) max: usize,
    pub(crate) beside: Beside,
}

/// What a dispatcher says.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dispatched {
    Done,
    UnknownMethod,
    Malformed,
    TooLong(usize),
    BadResult,
}

impl Results<'_> {
    /// Writes the result.
    #[inline]
    pub fn put<T: Serialize>(&mut self, result: &T) -> Dispatched {
        let written = marshal::append(result, self.out, self.max);
        self.beside = fds::take_outgoing();
        match written {
            Ok(()) => Dispatched::Done,
            Err(NotEncoded::TooLong(len)) => Dispatched::TooLong(len),
            Err(NotEncoded::Refused) => Dispatched::BadResult,
        }
    }
}
