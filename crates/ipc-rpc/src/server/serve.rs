//! Serving one connection in the calling thread.

use std::os::fd::OwnedFd;
use std::time::Duration;

use ipc_core::{Error, ErrorKind, Result, Wait};

use crate::{Connection, Host, RecvFrame, SendFrame, Serve};

/// Serves one connection until its other end is gone: receives, executes, answers, one call after the other, in
/// this thread.
///
/// # Blocking
///
/// It waits for requests for ever. [`serve_while`] looks now and then whether it is to end.
///
/// # Errors
///
/// What the link says, other than [`ErrorKind::Disconnected`]; [`ErrorKind::ResourceLimit`] when descriptors came for
/// which this process has no room. What a client sends is no reason to end: what is no frame is ignored.
///
/// # Examples
///
/// See [`service!`](crate::service).
pub fn serve<S: Serve>(link: impl SendFrame + RecvFrame, host: &Host<S>) -> Result<()> {
    serve_with(link, host, None, || true)
}

/// Serves one connection until its other end is gone, or `go_on` says no, which is asked every 50 ms and after each
/// call.
///
/// # Errors
///
/// Those of [`serve`].
///
/// # Examples
///
/// ```
/// use std::sync::atomic::{AtomicBool, Ordering};
/// use ipc_rpc::{Host, HostOptions, serve_while};
/// use ipc_sock::unix::SocketOptions;
/// # ipc_rpc::service! {
/// #     #[service(name = "echo", version = 1, client = EchoClient, server = EchoServer)]
/// #     trait Echo { fn echo(&self, call: &Call<'_>, n: u8) -> u8; }
/// # }
/// # struct Same;
/// # impl Echo for Same { fn echo(&self, _: &ipc_rpc::Call<'_>, n: u8) -> u8 { n } }
///
/// let (_client, link) = SocketOptions::new().pair_seqpacket()?;
/// let host = Host::new(EchoServer(Same), &HostOptions::new())?;
/// let stopped = AtomicBool::new(true);
/// serve_while(link, &host, || !stopped.load(Ordering::Relaxed))?;
/// # Ok::<(), ipc_core::Error>(())
/// ```
pub fn serve_while<S: Serve>(
    link: impl SendFrame + RecvFrame,
    host: &Host<S>,
    go_on: impl FnMut() -> bool,
) -> Result<()> {
    serve_with(link, host, Some(Duration::from_millis(50)), go_on)
}

fn serve_with<S: Serve>(
    link: impl SendFrame + RecvFrame,
    host: &Host<S>,
    turn: Option<Duration>,
    go_on: impl FnMut() -> bool,
) -> Result<()> {
    serve_connection(link, host, host.connection(), turn, go_on)
}

/// Serves a connection that is known already.
pub(crate) fn serve_connection<S: Serve>(
    mut link: impl SendFrame + RecvFrame,
    host: &Host<S>,
    mut connection: Connection,
    turn: Option<Duration>,
    mut go_on: impl FnMut() -> bool,
) -> Result<()> {
    let passes_fds = link.passes_fds();
    connection.set_limits(link.max_frame(), passes_fds);
    let mut buf = vec![0; host.options.max_frame as usize];
    let mut fds = Vec::new();
    while go_on() {
        let wait = turn.map_or(Wait::Forever, Wait::timeout);
        let len = match link.recv_frame(&mut buf, &mut fds, wait) {
            Ok(len) => len,
            Err(error) => match after(&error, &mut link, passes_fds)? {
                After::GoOn => continue,
                After::End => return Ok(()),
            },
        };
        let Some(answer) = host.handle(&mut connection, &buf[..len], &mut fds) else { continue };
        loop {
            let wait = turn.map_or(Wait::Forever, Wait::timeout);
            match link.send_frame(answer.bytes, answer.fds, wait) {
                Ok(()) => break,
                // The same frame again, which may have begun to go out.
                Err(error) if is_full(&error) && go_on() => {}
                Err(error) if is_full(&error) => break,
                // A client of a datagram socket that is gone. Another may come to its address.
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => break,
                Err(error) if error.kind() == ErrorKind::Disconnected => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}

pub(super) fn is_full(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::WouldBlock)
}

/// What to do after an error.
pub(super) enum After {
    GoOn,
    End,
}

/// What an error of receiving means for a server.
#[cold]
pub(super) fn after(
    error: &Error,
    link: &mut (impl RecvFrame + ?Sized),
    passes_fds: bool,
) -> Result<After> {
    /// A frame that is longer is not waited for.
    const LONGEST: usize = 1 << 20;
    /// Of a stream's frame only the length may have come: who sends no more must not keep this thread busy.
    const TURN: Duration = Duration::from_millis(50);
    match error.kind() {
        // `ConnectionRefused`: a client of a datagram socket is gone. Another may come to its address.
        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::ConnectionRefused => {
            Ok(After::GoOn)
        }
        ErrorKind::Disconnected => Ok(After::End),
        // It stays where it is until somebody takes it.
        ErrorKind::MessageTooLarge { len, .. } if len <= LONGEST => {
            let mut fds: Vec<OwnedFd> = Vec::new();
            match link.recv_frame(&mut vec![0; len], &mut fds, Wait::timeout(TURN)) {
                Err(error) if error.kind() == ErrorKind::Disconnected => Ok(After::End),
                Err(error) if !is_full(&error) => Err(error),
                _ => Ok(After::GoOn),
            }
        }
        // Descriptors that this process has no room for. Their frame is lost, and its sender would wait for an answer
        // without end: the end of the connection is one.
        ErrorKind::ResourceLimit { .. } if !passes_fds => Ok(After::GoOn),
        _ => Err(error.clone()),
    }
}
