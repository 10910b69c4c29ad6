//! POSIX message queues: priorities, a descriptor, a limit on everything.
//!
//! | you want | take |
//! |---|---|
//! | a queue that others find by name | [`QueueOptions::create`], [`QueueOptions::open`] |
//! | a queue for a process and its children | [`QueueOptions::pair`] |
//! | to send and receive | [`Sender`], [`Receiver`] |
//! | to be told of messages without waiting for them | [`Arrivals`], [`EventFdNotifier`], [`Receiver::notify_signal`] |
//! | to see what there is | [`queues`], [`Limits`] |
//!
//! # Order
//!
//! Highest [`Priority`] first; among messages of one priority, first in, first out. That holds for
//! the queue: which of several blocked receivers gets a message is the kernel's choice (the one
//! that has waited longest among those of the highest scheduling priority).
//!
//! # Waiting
//!
//! [`Wait::Forever`](ipc_core::Wait) is one `mq_send` or `mq_receive` that sleeps. `Wait::Never` is
//! one `mq_timedsend` or `mq_timedreceive` whose deadline is the beginning of 1970, which the
//! kernel answers at once: `O_NONBLOCK` is never switched on for a queue, since whoever shares the
//! open file description would be surprised. A deadline is such calls with `ppoll` in between: the
//! deadlines of the `mq_timed` calls are times of day, so that a wait of a second takes an hour
//! when somebody sets the clock back in the meantime; `ppoll` counts on the monotonic clock. It
//! costs two more system calls, if it has to wait at all.
//!
//! # Limitations
//!
//! - A queue does not know its peers. When they die, a receiver waits and a sender fills the queue:
//!   keep a deadline, or watch the peer by other means.
//! - A receiver that waits with a deadline is, to the kernel, not a waiting receiver: those that
//!   wait for ever get a message first, and a registered [signal](Receiver::notify_signal) is sent.
//! - A queue stays with its messages when everybody is dead, until it is unlinked or the machine
//!   restarts. [`queues`] finds it.
//! - Limits are small by default: 10 messages of 8192 bytes, 256 queues, 819200 bytes for each
//!   user. [`Limits`] reads them, and each has an error of its own.
//! - Names are those of the IPC namespace: two containers do not see each other's queues.

mod arrivals;
mod end;
mod eventfd;
mod handoff;
mod limits;
mod listing;
mod options;
mod priority;
mod queue;
mod receiver;
mod sender;
mod signal;

pub use arrivals::Arrivals;
pub use end::Attributes;
pub use eventfd::EventFdNotifier;
pub use limits::Limits;
pub use listing::{QueueEntry, Registered, queues, queues_in};
pub use options::{Access, QueueOptions};
pub use priority::Priority;
pub use queue::Queue;
pub use receiver::{Message, Receiver};
pub use sender::Sender;

use ipc_core::{Caps, Persistence, Shape};

/// Of all types here. The longest message is the kernel's hard limit; a queue's own is smaller.
const CAPS: Caps = Caps::new(Shape::Message)
    .named()
    .anonymous()
    .persistence(Persistence::Kernel)
    .boundaries()
    .priority()
    .pollable()
    .empty_messages()
    .max_message(limits::HARD_MSGSIZEMAX);
