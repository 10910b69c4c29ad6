//! What is promised of a call.

use std::time::Duration;

/// How often the server executes a call that was made once.
///
/// | | executed | the request is sent again | after a restart of the server |
/// |---|---|---|---|
/// | [`Maybe`](Self::Maybe) | 0 or 1 times | no | not known |
/// | [`AtLeastOnce`](Self::AtLeastOnce) | once or more often | until there is a reply | sent again |
/// | [`AtMostOnce`](Self::AtMostOnce) | 0 or 1 times; once if there is a reply | until there is a reply | [`OutcomeUnknown`](crate::CallError::OutcomeUnknown) |
/// | [`ExactlyOnce`](Self::ExactlyOnce) | once if there is a reply, also if the server was killed meanwhile | until there is a reply | sent again, and executed or answered from the [journal](crate::Journal) |
///
/// A call that ends without a reply (a deadline that passes, a link that breaks for good) may have been executed
/// or not, whatever the semantics: [`CallError::outcome`](crate::CallError::outcome) says which where it is known.
///
/// # Examples
///
/// ```
/// use ipc_rpc::Semantics;
/// assert_eq!(Semantics::default(), Semantics::AtMostOnce);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Semantics {
    /// Sent once. The reply may never come: set a deadline.
    Maybe,
    /// Sent until there is a reply, and executed whenever it arrives: for methods that may be executed twice.
    AtLeastOnce,
    /// The server remembers what it has executed, and answers again without executing again.
    #[default]
    AtMostOnce,
    /// The server records the call in one transaction with its effect.
    ExactlyOnce,
}

/// How one call is made.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use ipc_rpc::{CallOptions, Semantics};
///
/// let options = CallOptions::new().semantics(Semantics::Maybe).timeout(Duration::from_millis(20));
/// # let _ = options;
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[must_use = "options do nothing until a call is made with them"]
pub struct CallOptions {
    pub(crate) semantics: Semantics,
    pub(crate) timeout: Option<Duration>,
}

impl CallOptions {
    /// At most once, without a deadline.
    pub const fn new() -> Self {
        Self { semantics: Semantics::AtMostOnce, timeout: None }
    }

    /// What is promised.
    pub const fn semantics(mut self, semantics: Semantics) -> Self {
        self.semantics = semantics;
        self
    }

    /// How long the call may take, from when it is made. The time left goes with the request, so that the server
    /// does not begin what nobody waits for any more.
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }
}
