//! What servers and clients of a matchmaker do.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use ipc_core::{Error, ErrorKind, Result, Wait};
use ipc_sock::unix::SocketOptions;

use super::registry::Entry;
use super::{Address, Locate, MatchmakingClient};
use crate::{CallError, CallOptions, Client, ClientOptions, ConnectError, WithFds};

/// A connection to a [`Matchmaker`](super::Matchmaker), to register a service or to find one.
///
/// # Examples
///
/// See the [module's documentation](super).
#[derive(Debug)]
pub struct Register {
    client: MatchmakingClient<Client<WithFds>>,
    path: PathBuf,
}

/// How long the matchmaker may take for an answer, which it gives at once unless it hangs.
const PATIENCE: Duration = Duration::from_secs(5);

impl Register {
    /// Connects to the matchmaker at this path.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] and [`ErrorKind::ConnectionRefused`] when there is none;
    /// [`ErrorKind::WrongType`] when something else is there.
    pub fn connect(path: impl AsRef<Path>, wait: Wait) -> Result<Self> {
        let path = path.as_ref().to_owned();
        // A long list comes as sealed memory.
        let link = WithFds::new(SocketOptions::new().connect_seqpacket(&path, wait)?);
        let options = ClientOptions::new().connect_timeout(PATIENCE);
        let mut client =
            MatchmakingClient::connect(link, &options).map_err(|error| match error {
                ConnectError::Transport(error) => error,
                ConnectError::Refused(_) => {
                    let found = "another server, or another version";
                    Error::new(ErrorKind::WrongType { expected: "a matchmaker", found }, "connect")
                }
            })?;
        client.set_options(CallOptions::new().timeout(PATIENCE));
        Ok(Self { client, path })
    }

    /// Registers a service, and renews its lease from a thread until the [`Registration`] is dropped. It uses up
    /// this connection, with which the entry goes: connect once for each service.
    ///
    /// A lease is 50 ms to an hour, and is renewed three times as often. A short one is noticed sooner if this process
    /// hangs; if it dies, that is noticed at once.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::AlreadyExists`] when somebody who is alive has this name and version;
    /// [`ErrorKind::InvalidInput`] for a name that is empty or longer than 255 bytes, and for a path that is longer
    /// than a socket's can be; [`ErrorKind::ResourceLimit`] when the register is full.
    pub fn register(
        mut self,
        name: &str,
        version: u32,
        address: &Address,
        lease: Duration,
    ) -> Result<Registration> {
        const OP: &str = "register service";
        let millis = u64::try_from(lease.as_millis()).unwrap_or(u64::MAX);
        let registered = self.client.register(name, version, address.clone(), millis);
        let number =
            registered.map_err(|error| failed(&error, OP))?.map_err(|refused| refused.error(OP))?;
        let pause = lease.clamp(Duration::from_millis(50), Duration::from_secs(3600)) / 3;
        let (end, ended) = channel();
        let thread = std::thread::Builder::new().name("rpc lease".to_owned());
        let renewing = thread.spawn(move || {
            while ended.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
                // A lease that is lost for good: the matchmaker is gone, or has thought this process was.
                if !matches!(self.client.renew(number), Ok(Ok(()))) {
                    return false;
                }
            }
            let _ = self.client.withdraw(number);
            true
        });
        let renewing =
            renewing.map_err(|error| Error::from_os("clone", error.raw_os_error().unwrap_or(0)))?;
        Ok(Registration { end: Some(end), renewing: Some(renewing) })
    }

    /// Waits until a service is registered, and says where it is.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] when it is not, in time; what the connection says.
    pub fn wait_for(&mut self, name: &str, version: u32, wait: Wait) -> Result<Address> {
        const TURN: Duration = Duration::from_millis(10);
        loop {
            match self.locate(name, version) {
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    if wait.remaining().is_some_and(|left| left.is_zero()) {
                        return Err(error);
                    }
                }
                found => return found,
            }
            // The matchmaker answers questions, and tells nobody of what comes later.
            std::thread::sleep(wait.remaining().map_or(TURN, |left| left.min(TURN)));
        }
    }

    /// All that is registered, by name and version.
    ///
    /// # Errors
    ///
    /// What the connection says.
    pub fn list(&mut self) -> Result<Vec<Entry>> {
        self.client.list().map_err(|error| failed(&error, "list services"))
    }

    /// The matchmaker's path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Locate for Register {
    fn locate(&mut self, name: &str, version: u32) -> Result<Address> {
        const OP: &str = "locate service";
        let found = self.client.find(name, version).map_err(|error| failed(&error, OP))?;
        found.map_err(|refused| refused.error(OP))
    }
}

/// A call to the matchmaker that failed.
fn failed(error: &CallError, op: &'static str) -> Error {
    match error {
        CallError::Transport { error, .. } => error.clone(),
        CallError::OutcomeUnknown => Error::new(ErrorKind::Disconnected, op)
            .with_note("the matchmaker was restarted: connect again"),
        _ => Error::new(ErrorKind::Other, op).with_note("the matchmaker did not do it"),
    }
}

/// A service that is registered, as long as this is not dropped.
///
/// # Examples
///
/// See the [module's documentation](super).
#[derive(Debug)]
#[must_use = "the service is withdrawn when this is dropped"]
pub struct Registration {
    end: Option<Sender<()>>,
    renewing: Option<JoinHandle<bool>>,
}

impl Registration {
    /// Whether the lease could be renewed so far. It cannot when the matchmaker is gone: connect and register
    /// again.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.renewing.as_ref().is_some_and(|it| !it.is_finished())
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(renewing) = self.renewing.take() {
            let _ = renewing.join();
        }
    }
}
