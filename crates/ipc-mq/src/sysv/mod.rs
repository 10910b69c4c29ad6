//! System V message queues: messages with types, and receivers that choose among them.
//!
//! | you want | take |
//! |---|---|
//! | a queue that others find by a key | [`Key`], [`QueueOptions::create`], [`QueueOptions::open`] |
//! | a queue for a process and its children | [`QueueOptions::pair`] |
//! | to send with a type, and receive by type | [`Sender`], [`Receiver`], [`Select`] |
//! | to be sure that it is removed | [`RemovalGuard`] |
//! | to see what there is | [`Queue::status`], [`queues`], [`Limits`] |
//!
//! # Order
//!
//! Messages of one type are received in the order in which they were sent. [`Select`] says which
//! types a receive takes.
//!
//! # Waiting
//!
//! [`Wait::Forever`](ipc_core::Wait) is one `msgsnd` or `msgrcv` that sleeps, `Wait::Never` one
//! with `IPC_NOWAIT`. **The kernel has no call that waits until a deadline**, and a queue is no
//! descriptor that could be polled. What is left are a signal that interrupts the call, which would
//! take a signal, its handler and its races away from the program that uses this crate; a helper
//! thread that receives in the caller's place, which takes messages out of the queue that nobody
//! may want any more when they come; and looking again and again. Here it is the last: calls that
//! do not sleep, with naps in between that grow from 50 µs to **2 ms**. So with a deadline
//!
//! - a message is seen up to 2 ms late (and the time the kernel takes to wake a thread);
//! - a waiter uses 1.3 to 1.5 % of a CPU (measured on a virtual machine, where waking is dear:
//!   `recv_timeout` of 2 s on an empty queue, `/proc/self/schedstat`);
//! - no message is lost, since nobody takes one but the caller;
//! - the deadline is kept: the last nap ends there, and one last call is made;
//! - one who waits for ever comes first: a queue that blocked senders keep full may never have room
//!   in the moment in which a sender with a deadline looks.
//!
//! If that is too much, use [POSIX queues](crate::posix), which can be polled.
//!
//! # Limitations
//!
//! - A queue does not know its peers. When they die, a receiver waits and a sender fills the queue.
//! - A queue outlives everybody until it is removed or the machine restarts; `ipcs -q` and
//!   [`queues`] show it. A [`Queue`] that was created here is removed when the value is dropped,
//!   but not when the process is killed.
//! - Removing a queue is not like removing a name: it ends at once, for everybody, with all
//!   messages in it. Whoever is blocked gets [`ErrorKind::Disconnected`](ipc_core::ErrorKind).
//! - [`Key::from_path_id`] makes keys of 31 bits or less out of paths: two paths can have the same.
//!   Creating fails then; opening finds a stranger's queue, which is refused if another user made
//!   it.
//! - Limits are small by default: 16384 bytes in a queue, 8192 in a message, and a number of queues
//!   that depends on memory. [`Limits`] reads them, and each has an error of its own.

mod handoff;
mod limits;
mod listing;
mod options;
mod peek;
mod queue;
mod receiver;
mod removal;
mod select;
mod sender;
mod status;
mod transfer;

pub use ipc_sysv::Key;
pub use limits::Limits;
pub use listing::{QueueEntry, queues};
pub use options::QueueOptions;
pub use queue::Queue;
pub use receiver::{Message, Receiver, Truncated};
pub use removal::RemovalGuard;
pub use select::{MessageType, Select};
pub use sender::Sender;
pub use status::Status;

use ipc_core::{Caps, Persistence, Shape};

/// Of all types here.
const CAPS: Caps = Caps::new(Shape::Message)
    .named()
    .anonymous()
    .persistence(Persistence::Kernel)
    .boundaries()
    .priority()
    .empty_messages();
