//! Many calls under way at once.

use serde::de::DeserializeOwned;

use super::{Client, Ticket};
use crate::{CallError, RecvFrame, SendFrame};

/// A client whose calls give tickets: many calls are under way at once, and each result is asked for when it is
/// wanted, in any order.
///
/// No thread is started: replies are received while a call is made or a result is asked for.
///
/// # Limits
///
/// As many calls as the server's [`HostOptions::window`](crate::HostOptions::window) says, 64 at most, counted
/// from the oldest whose result was not asked for. Making one more waits for room; if that oldest result has come
/// and only has to be asked for, it fails with [`ErrorKind::WouldBlock`](ipc_core::ErrorKind::WouldBlock).
///
/// # Examples
///
/// ```
/// use ipc_rpc::{Call, ClientOptions, Host, HostOptions, serve};
/// use ipc_sock::unix::SocketOptions;
///
/// ipc_rpc::service! {
///     #[service(name = "squares", version = 1, client = SquaresClient, server = SquaresServer)]
///     trait Squares {
///         fn square(&self, call: &Call<'_>, n: u64) -> u64;
///     }
/// }
///
/// struct Mathematician;
/// impl Squares for Mathematician {
///     fn square(&self, _: &Call<'_>, n: u64) -> u64 {
///         n * n
///     }
/// }
///
/// let (ours, theirs) = SocketOptions::new().pair_seqpacket()?;
/// let server = std::thread::spawn(move || {
///     serve(theirs, &Host::new(SquaresServer(Mathematician), &HostOptions::new())?)
/// });
///
/// let mut client = SquaresClient::connect(ours, &ClientOptions::new())?.pipelined();
/// let tickets = (1..=10).map(|n| client.square(n)).collect::<Result<Vec<_>, _>>()?;
/// let mut sum = 0;
/// for ticket in tickets {
///     sum += client.finish(ticket)?;
/// }
/// assert_eq!(sum, 385);
/// drop(client);
/// server.join().unwrap()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Pipelined<L>(Client<L>);

impl<L> Pipelined<L> {
    /// Makes calls by this client from now on.
    #[must_use]
    pub const fn new(client: Client<L>) -> Self {
        Self(client)
    }

    /// The client that makes the calls.
    pub const fn client_mut(&mut self) -> &mut Client<L> {
        &mut self.0
    }

    /// The client, to make its calls one after the other again.
    #[must_use]
    pub fn into_inner(self) -> Client<L> {
        self.0
    }
}

impl<L: SendFrame + RecvFrame> Pipelined<L> {
    /// Waits for the result of a call.
    ///
    /// # Errors
    ///
    /// What came of the call.
    pub fn finish<T: DeserializeOwned>(&mut self, ticket: Ticket<T>) -> Result<T, CallError> {
        self.0.finish(ticket)
    }

    /// Gives a call up: see [`Client::cancel`].
    pub fn cancel<T>(&mut self, ticket: Ticket<T>) {
        self.0.cancel(ticket);
    }
}
