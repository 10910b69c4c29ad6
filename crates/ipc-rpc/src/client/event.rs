//! What a session says of the frames that come.

use crate::Refusal;
use crate::wire::ReplyHead;

/// What a frame meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event<'a> {
    /// Nothing that is waited for.
    Nothing,
    /// The server has let this client in. Send every call of [`Session::unanswered`](super::session::Session::unanswered) again.
    Opened {
        /// Whether it remembers what this client has called.
        remembered: bool,
    },
    /// The server has not let this client in.
    Refused(Refusal),
    /// The server does not know this client: send a [`Session::hello`](super::session::Session::hello).
    Unknown,
    /// The reply to a call that is waited for. [`Session::finish`](super::session::Session::finish) the call, or [`Session::keep`](super::session::Session::keep) the reply.
    Reply(ReplyHead, &'a [u8]),
}

/// What came of a call, once that is known.
#[derive(Debug)]
#[non_exhaustive]
pub enum Finished<'a> {
    /// There is a reply: its result, and the kept descriptors are with who called [`Session::keep`](super::session::Session::keep).
    Reply(ReplyHead, &'a [u8]),
    /// The server was restarted, or has forgotten the client.
    Lost,
}
