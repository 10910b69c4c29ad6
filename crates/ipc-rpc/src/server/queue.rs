//! A bounded queue of work, between threads.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A queue that holds so much and no more, and that can be closed.
#[derive(Debug)]
pub(super) struct Queue<T> {
    state: Mutex<State<T>>,
    max: usize,
    filled: Condvar,
    emptied: Condvar,
}

#[derive(Debug)]
struct State<T> {
    items: VecDeque<T>,
    closed: bool,
}

impl<T> Queue<T> {
    pub(super) fn new(max: usize) -> Self {
        let items = VecDeque::with_capacity(max.min(1024));
        Self {
            state: Mutex::new(State { items, closed: false }),
            max: max.max(1),
            filled: Condvar::new(),
            emptied: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // Nothing panics with the lock held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts an item in, if there is room; otherwise it comes back.
    pub(super) fn try_push(&self, item: T) -> Result<(), T> {
        let mut state = self.lock();
        if state.closed || state.items.len() >= self.max {
            return Err(item);
        }
        state.items.push_back(item);
        drop(state);
        self.filled.notify_one();
        Ok(())
    }

    /// Waits a while for room. Whether there is some, or the queue is closed, is seen by trying.
    pub(super) fn wait_for_room(&self, timeout: Duration) {
        let state = self.lock();
        if !state.closed && state.items.len() >= self.max {
            drop(self.emptied.wait_timeout(state, timeout));
        }
    }

    /// Takes an item, and waits for one. `None` once the queue is closed and empty.
    pub(super) fn pop(&self) -> Option<T> {
        let mut state = self.lock();
        loop {
            if let Some(item) = state.items.pop_front() {
                drop(state);
                self.emptied.notify_one();
                return Some(item);
            }
            if state.closed {
                return None;
            }
            state = self.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// How many items there are.
    pub(super) fn len(&self) -> usize {
        self.lock().items.len()
    }

    /// Takes nothing more in; what is there is taken out yet.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.filled.notify_all();
        self.emptied.notify_all();
    }
}
