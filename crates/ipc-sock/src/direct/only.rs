//! One process to receive from.

use std::sync::Arc;

use ipc_core::{RecvMsg, Result, Wait};

use super::Port;
use super::port::RECV;
use super::process::Process;

/// Receives from one process only: [`Port::only_from`].
///
/// It stands for that process alone: once it has ended and all that it had sent was received,
/// [`Disconnected`](ipc_core::ErrorKind) is all that comes.
///
/// # Examples
///
/// ```
/// use ipc_core::{RecvMsg, Wait};
/// use ipc_sock::direct::PortOptions;
///
/// # let dir = tempfile::tempdir().unwrap();
/// let mut port = PortOptions::new().directory(dir.path().join("ports")).open()?;
/// port.send_to(std::process::id(), b"note to self", Wait::Forever)?;
/// let mut buf = [0; 64];
/// assert_eq!(port.only_from(std::process::id())?.recv(&mut buf)?, 12);
/// # Ok::<(), ipc_core::Error>(())
/// ```
#[derive(Debug)]
pub struct OnlyFrom<'port> {
    port: &'port mut Port,
    process: Arc<Process>,
}

impl<'port> OnlyFrom<'port> {
    pub(super) const fn new(port: &'port mut Port, process: Arc<Process>) -> Self {
        Self { port, process }
    }
}

impl RecvMsg for OnlyFrom<'_> {
    fn recv_with(&mut self, buf: &mut [u8], wait: Wait) -> Result<usize> {
        self.port.check_owner(RECV)?;
        self.port.recv_process(&self.process, buf, wait).map(|message| message.len)
    }
}
