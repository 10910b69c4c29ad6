//! Message queues: POSIX and System V.
//!
//! | you want | take |
//! |---|---|
//! | priorities, a descriptor to poll, exact deadlines, notification | [`posix`] |
//! | types to receive by, or many short messages | [`sysv`] |
//! | a mailbox by name, whichever of the two it is | [`Mailbox`] |
//! | messages of one fixed length | [`Fixed`] around any end |
//!
//! Both keep messages apart, outlive their processes, and are open to any number of senders and
//! receivers.
//!
//! | | POSIX | System V |
//! |---|---|---|
//! | found by | name | key, or id |
//! | order | priority, then age | age, or type |
//! | receive some of the messages | no | by type |
//! | descriptor | yes: `poll`, `epoll`, [`ipc_core::Handoff`] | no |
//! | wait until a deadline | `ppoll` | by looking every 2 ms |
//! | tells that messages came | signal, descriptor | no |
//! | room, by default | 10 messages of 8192 bytes | 16384 bytes in messages of 8192 at most |
//! | removing it | takes the name, ends stay open | ends it for everybody |
//!
//! # Examples
//!
//! ```
//! use ipc_core::{Name, RecvMsg, SendMsg, Wait};
//! use ipc_mq::posix::{Priority, QueueOptions};
//!
//! let name = Name::new(format!("ipc-mq-doc-lib-{}", std::process::id()))?;
//! let queue = QueueOptions::new().create(&name)?;
//!
//! let mut tx = queue.sender()?;
//! tx.send(b"when there is time")?;
//! tx.send_priority(b"now!", Priority::from(9), Wait::Forever)?;
//!
//! let mut rx = queue.receiver()?;
//! assert_eq!(rx.recv_message(Wait::Never)?.body, b"now!");
//! assert_eq!(rx.recv_message(Wait::Never)?.body, b"when there is time");
//! # Ok::<(), ipc_core::Error>(())
//! ```
//!
//! # What the kernel promises, and what it does not
//!
//! - A message arrives whole, once, at one receiver, or stays in the queue. A process that is
//!   killed in the middle of a call has sent or received it, or not; there is no half.
//! - A process that is killed *after* it has received a message takes the message with it.
//! - Neither mechanism knows whether anybody is at the other end: no end of file, no broken pipe. A
//!   receiver whose senders have died waits; a sender fills the queue and then waits.
//! - Queues are not removed with their processes. See the *Limitations* of [`posix`] and [`sysv`].

mod fixed;
mod mailbox;
mod mailbox_end;
pub mod posix;
mod sys;
pub mod sysv;

pub use fixed::Fixed;
pub use mailbox::{Backend, Mailbox, MailboxOptions};
pub use mailbox_end::{MailboxReceiver, MailboxSender};
