//! Broken message mechanisms: each is the reference with one defect.

mod content;
mod ends;
mod waiting;

use std::marker::PhantomData;
use std::os::fd::OwnedFd;
use std::process::Command;

use ipc_core::{Caps, Handoff, RecvMsg, Result, SendMsg, Wait};
use ipc_testkit::{Across, Harness, Messages};
use rustix::io::fcntl_dupfd_cloexec;

use self::{content::*, ends::*, waiting::*};

use crate::support::seqpacket::{self, Socket};

/// What is wrong with a mechanism; whatever it does not override is right.
pub(crate) trait Defect: Send + 'static {
    const NAME: &'static str;
    const CAPS: Caps = seqpacket::CAPS;

    fn pair() -> Result<(Socket, Socket)> {
        seqpacket::pair()
    }
    fn send(tx: &mut End<Self>, msg: &[u8], wait: Wait) -> Result<()> {
        tx.inner.send_with(msg, wait)
    }
    fn recv(rx: &mut End<Self>, buf: &mut [u8], wait: Wait) -> Result<usize> {
        rx.inner.recv_with(buf, wait)
    }
    fn give(end: End<Self>, command: &mut Command, key: &str) -> Result<()> {
        Ok(end.inner.give(command, key)?)
    }
    fn adopted(_: &Socket) {}
    fn kept_by_receiver(_: &Socket) -> Option<OwnedFd> {
        None
    }
}

/// An end of a broken mechanism, with room for what the defects need.
pub(crate) struct End<D: ?Sized> {
    inner: Socket,
    count: u64,
    held: Option<Vec<u8>>,
    #[expect(dead_code, reason = "it is only kept open")]
    kept: Option<OwnedFd>,
    defect: PhantomData<D>,
}

impl<D: ?Sized> std::fmt::Debug for End<D> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.inner.fmt(f)
    }
}

impl<D: Defect> End<D> {
    fn new(inner: Socket) -> Self {
        Self { inner, count: 0, held: None, kept: None, defect: PhantomData }
    }
}

impl<D: Defect> SendMsg for End<D> {
    fn max_len(&self) -> usize {
        self.inner.max_len()
    }
    fn send_with(&mut self, msg: &[u8], wait: Wait) -> Result<()> {
        self.count += 1;
        D::send(self, msg, wait)
    }
}

impl<D: Defect> RecvMsg for End<D> {
    fn recv_with(&mut self, buf: &mut [u8], wait: Wait) -> Result<usize> {
        D::recv(self, buf, wait)
    }
}

/// The fixture of a defect.
pub(crate) struct Broken<D>(PhantomData<D>);

impl<D: Defect> Messages for Broken<D> {
    const NAME: &'static str = D::NAME;
    const CAPS: Caps = D::CAPS;
    type Tx = End<D>;
    type Rx = End<D>;
    type Across = Self;

    fn pair() -> Result<(End<D>, End<D>)> {
        let (tx, rx) = D::pair()?;
        let kept = D::kept_by_receiver(&tx);
        Ok((End::new(tx), End { kept, ..End::new(rx) }))
    }
}

impl<D: Defect> Across<End<D>> for Broken<D> {
    fn give(end: End<D>, command: &mut Command, key: &str) -> Result<()> {
        D::give(end, command, key)
    }
    fn adopt(key: &str) -> Result<End<D>> {
        let socket = Socket::adopt(key)?;
        D::adopted(&socket);
        Ok(End::new(socket))
    }
}

fn duplicate(socket: &Socket) -> OwnedFd {
    fcntl_dupfd_cloexec(&socket.0, 0).expect("there are descriptors")
}

/// Collects what catches what.
struct Table(Harness);

impl Table {
    fn catch<D: Defect>(self, case: &str, says: &'static str) -> Self {
        let case = format!("messages/{}/{case}", D::NAME);
        Self(self.0.catches(Harness::messages::<Broken<D>>, &case, says))
    }

    fn hang<D: Defect>(self, case: &str, says: &'static str) -> Self {
        let case = format!("messages/{}/{case}", D::NAME);
        Self(self.0.catches_hang(Harness::messages::<Broken<D>>, &case, says))
    }
}

/// Which case of the suite catches which defect, and what it says.
pub(crate) fn add(harness: Harness) -> Harness {
    let order = "ten_thousand_messages_arrive_in_order";
    let recv_deadline = "recv_times_out_at_its_deadline_and_not_before";
    let send_deadline = "send_times_out_at_its_deadline_and_not_before";
    let past = "a_deadline_in_the_past_takes_what_is_possible_now";
    let signal = "signals_do_not_end_a_recv";
    let signals = "signals_do_not_move_the_deadline_of_a_recv";
    let killed = "blocked_recv_is_disconnected_when_the_sender_is_killed";
    let too_long = "a_message_over_max_len_is_refused_and_not_sent";
    let small = "a_buffer_that_is_too_small_keeps_the_message";
    let handoff = "an_end_given_to_a_child_reaches_that_child_alone";
    let empty = "an_empty_message_arrives_or_is_unsupported";
    let limit = "running_out_of_descriptors_is_a_resource_limit";
    let full = "try_send_on_full_would_block_and_what_was_accepted_arrives_once";
    Table(harness)
        .catch::<Reorders>(order, "the order is not kept")
        .catch::<Drops>(order, "message 999 was lost")
        .catch::<Duplicates>(order, "it was duplicated")
        .catch::<Truncates>(order, "was truncated: 4096 of its")
        .catch::<Merges>(order, "messages 1 and 2 were merged into one")
        .catch::<Corrupts>(order, "was corrupted at byte 100")
        .catch::<Spills>("boundaries_are_kept", "boundaries: \"one\" was sent")
        .catch::<SplitsOff>(
            "a_message_of_max_len_arrives_whole",
            "a message of max_len (8192) bytes came as one of 8191 bytes",
        )
        .catch::<SwallowsTooLong>(too_long, "must be MessageTooLarge")
        .catch::<SendsTooLong>(too_long, "bytes came of a message that was refused")
        .catch::<AcceptsEmpty>(empty, "must be Unsupported, and it returned")
        .catch::<SwallowsEmpty>(empty, "an empty message must neither vanish")
        .catch::<LosesTooLarge>(small, "must be MessageTooLarge { len: 1000")
        .catch::<WrongLength>(small, "must be MessageTooLarge { len: 1000")
        .hang::<IgnoresDeadline>(recv_deadline, "the deadline is ignored")
        .hang::<IgnoresDeadline>(send_deadline, "the deadline is ignored")
        .hang::<Blocks>("try_recv_on_empty_would_block", "it blocks")
        .catch::<TooEarly>(recv_deadline, "timed out too early")
        .catch::<TooEarly>(send_deadline, "timed out too early")
        .catch::<WrongKind>(
            "try_recv_on_empty_would_block",
            "must be WouldBlock, and it is: recv: the deadline passed",
        )
        .catch::<LooksAtThePast>(past, "recv with a deadline in the past: recv")
        .hang::<RestartsTimeout>(signals, "begins the timeout anew")
        .catch::<FailsBySignal>(signal, "was ended by a signal (EINTR)")
        .catch::<FailsBySignal>(signals, "(EINTR), must be TimedOut")
        .catch::<TimesOutBySignal>(signals, "timed out too early")
        .catch::<RefusesAndSends>(full, "a message arrived twice")
        .hang::<NeverWakes>("blocked_send_is_woken_by_a_recv", "nobody woke it")
        .catch::<ForgetsTheRest>(
            "recv_after_sender_drop_drains_and_is_then_disconnected",
            "message 0 never came",
        )
        .hang::<HangsWhenKilled>(killed, "a blocked recv does not notice")
        .catch::<SaysTimedOutWhenGone>(killed, "must be Disconnected")
        .catch::<Leaks>("a_hundred_cycles_leak_no_descriptor", "100 cycles leaked 100 descriptors")
        .catch::<ForgetsCloexec>("children_inherit_no_descriptor", "is not close-on-exec")
        .catch::<GivesToAll>(handoff, "is not close-on-exec")
        .catch::<AdoptsInheritable>(handoff, "is not close-on-exec")
        .catch::<LeavesFile>("nothing_is_left_behind", "was left behind")
        .catch::<LeavesFile>(order, "left these behind in its directory")
        .catch::<MisnamesLimit>(limit, "must be ResourceLimit")
        .catch::<LeaksInFailure>(limit, "failed and leaked descriptors")
        .0
}
