//! Direct communication: a mailbox that belongs to a process, and is addressed by its pid.
//!
//! | operation | direct communication calls it |
//! |---|---|
//! | [`Port::send_to`] a pid | `send(P, message)` |
//! | [`Port::recv_from`] `Some(pid)` | `receive(P, message)`: symmetric addressing |
//! | [`Port::recv_from`] `None`, which says who sent it | `receive(id, message)`: asymmetric addressing |
//!
//! [`Peer`] and [`OnlyFrom`] are one process to send to and to receive from, as
//! [`SendMsg`](ipc_core::SendMsg) and [`RecvMsg`](ipc_core::RecvMsg).
//!
//! # Examples
//!
//! ```
//! use ipc_core::{RecvMsg, Wait};
//! use ipc_sock::direct::PortOptions;
//!
//! # let dir = tempfile::tempdir().unwrap();
//! let mut port = PortOptions::new().directory(dir.path().join("ports")).open()?;
//! // What a child would do with the pid of its parent.
//! port.send_to(std::process::id(), b"hello", Wait::Forever)?;
//!
//! let mut buf = [0; 64];
//! let message = port.recv_from(None, &mut buf, Wait::Forever)?;
//! println!("process {} says {:?}", message.pid, &buf[..message.len]);
//! # Ok::<(), ipc_core::Error>(())
//! ```
//!
//! # How it is done
//!
//! A port is a Unix datagram socket named `PID.START` in a directory that only this user can write to:
//! `$XDG_RUNTIME_DIR/ipc-direct` or `/tmp/ipc-direct-UID`. `START` is field 22 of `/proc/PID/stat`, the
//! time at which the process started, so that a process that gets the pid of a dead one has another name.
//! It is not an abstract name, since anybody can take those first.
//!
//! A sender takes a pidfd of the process, reads its start from `/proc`, connects a socket to that name, and
//! then looks whether the process is still alive: if it is, nobody else can have had its pid meanwhile, and
//! the socket is its own. From then on the connection stands for that socket, whatever has the pid or the
//! name. One socket for each process to which one sends, and not `sendto` from the port: a receiver that
//! does not receive fills the sender's buffer, and with one buffer for all it would hold up what is
//! sent to others. Before each send the pidfd is looked at too, since a forked copy of a receiver that has
//! died may still have its socket open.
//!
//! **Any program can take part**, without this crate: `sendto` to [`Port::path`] reaches a port, and a
//! datagram socket of its own that is bound to `PID.START` in the directory, with mode 0600, is one.
//! `docs/` shows it in Python.
//!
//! # Trust
//!
//! The directory must belong to this user and be closed to others, or the port is not opened; it is never
//! followed when it is a symbolic link. So those who can send are this user's processes and root's. Each
//! message has its sender's pid and user from the kernel; those of other users are dropped and counted,
//! also root's unless they are [accepted](PortOptions::accept_root). Processes of one user can send
//! signals to each other, and so are not protected from each other here: one may remove another's name,
//! say.
//!
//! # Limitations
//!
//! - A pid in a message tells who sent it. By the time of an answer that process may have ended and
//!   another one may have its pid and a port. Make a [`Peer`] while the sender is known to be alive, as
//!   one is that waits for an answer. The same holds for a receive from one process: of two processes that
//!   had one pid, one after the other, messages that are in the queue together cannot be told apart.
//! - A process with `CAP_SYS_ADMIN` can send with any pid for its own, and one with `CAP_SETUID` with any
//!   user: the kernel lets root lie. Others cannot.
//! - A receive from one process keeps messages of others up to a limit, and then fails until they are
//!   received. Two processes that each wait for room in the other's queue, and do not receive meanwhile,
//!   wait for ever: receive, or send with a deadline. Whoever sends fastest gets most of the room, and
//!   nothing bounds how long another sender waits for it.
//! - Both processes must see the same directory, and each other's pids: with different pid namespaces a
//!   sender is dropped (its pid is 0 here), or its pid stands for nobody. With another
//!   `XDG_RUNTIME_DIR`, as in a job of `cron`, the port is elsewhere: name a
//!   [directory](PortOptions::directory).
//! - `XDG_RUNTIME_DIR` goes with the user's last session, and every port in it; `loginctl enable-linger` or
//!   another directory keeps them. Different time namespaces see different `START`s.
//! - A killed process leaves its name. The next port that is opened there removes it.
//! - Open a port after a change of user, not before. Where `/proc` is not mounted there are no ports.
//!
//! # References
//!
//! `unix`(7), `pidfd_open`(2), `proc_pid_stat`(5), `pid_namespaces`(7).

mod contacts;
mod directory;
mod kept;
mod only;
mod options;
mod peer;
mod port;
mod process;

use ipc_core::{Caps, Persistence, Shape};

pub use only::OnlyFrom;
pub use options::PortOptions;
pub use peer::Peer;
pub use port::Port;

/// What one receive brought.
///
/// # Examples
///
/// See [`Port::recv_from`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Message {
    /// How many bytes are in the buffer.
    pub len: usize,
    /// The process that sent it, as the kernel knows it.
    pub pid: u32,
}

/// What ports and their peers can do.
const CAPS: Caps = Caps::new(Shape::Message)
    .named()
    .persistence(Persistence::Process)
    .boundaries()
    .pollable()
    .empty_messages();
