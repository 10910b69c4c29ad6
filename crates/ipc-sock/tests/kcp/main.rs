//! The conformance suites, applied to KCP over a good network and over a bad one, and what only KCP does.
//!
//! It needs the feature `kcp`. `cargo test --workspace` has it, since the benchmark of this workspace
//! measures KCP and features are united in one build; for this crate alone it is
//! `cargo test -p ipc-sock --features kcp`.

#[cfg(feature = "kcp")]
mod fixtures;
#[cfg(feature = "kcp")]
mod goodbye;
#[cfg(feature = "kcp")]
mod hostile;
#[cfg(feature = "kcp")]
mod kills;
#[cfg(feature = "kcp")]
mod opening;
#[cfg(feature = "kcp")]
mod proxy;

use std::process::ExitCode;

/// Cases that fill a queue and take it for granted that it stays full until somebody receives, or that
/// what was sent has come. They run over the good network.
#[cfg(feature = "kcp")]
const NEVER_FULL_FOR_GOOD: &[&str] = &[
    "bytes/kcp-stream-lossy/a_deadline_in_the_past_takes_what_is_possible_now",
    "bytes/kcp-stream-lossy/a_write_that_is_out_in_part_returns_the_count_and_not_an_error",
    "bytes/kcp-stream-lossy/blocked_write_is_disconnected_when_the_reader_is_dropped",
    "bytes/kcp-stream-lossy/blocked_write_is_woken_by_a_read",
    "bytes/kcp-stream-lossy/signals_do_not_end_a_write",
    "bytes/kcp-stream-lossy/signals_do_not_move_the_deadline_of_a_write",
    "bytes/kcp-stream-lossy/try_write_on_full_would_block_and_what_was_accepted_arrives_once",
    "bytes/kcp-stream-lossy/write_times_out_at_its_deadline_and_not_before",
    "messages/kcp-messages-lossy/a_deadline_in_the_past_takes_what_is_possible_now",
    "messages/kcp-messages-lossy/blocked_send_is_disconnected_when_the_receiver_is_dropped",
    "messages/kcp-messages-lossy/blocked_send_is_woken_by_a_recv",
    "messages/kcp-messages-lossy/send_times_out_at_its_deadline_and_not_before",
    "messages/kcp-messages-lossy/signals_do_not_end_a_send",
    "messages/kcp-messages-lossy/signals_do_not_move_the_deadline_of_a_send",
    "messages/kcp-messages-lossy/try_send_on_full_would_block_and_what_was_accepted_arrives_once",
];

#[cfg(feature = "kcp")]
fn main() -> ExitCode {
    let mut harness = ipc_testkit::Harness::new()
        .bytes::<fixtures::Streams>()
        .bytes::<fixtures::LossyStreams>()
        .messages::<fixtures::Conversations>()
        .messages::<fixtures::LossyConversations>()
        .listeners::<fixtures::StreamListener>()
        .listeners::<fixtures::MessagesListener>()
        .except(
            "bytes/kcp-stream/blocked_read_returns_zero_when_the_writer_is_killed",
            "silence is all that a killed process leaves, and no end of a stream: it is an error",
        );
    for case in NEVER_FULL_FOR_GOOD {
        harness = harness.except(
            case,
            "what is on its way over a bad network makes room when it arrives, or is late",
        );
    }
    for part in [goodbye::cases, hostile::cases, kills::cases, opening::cases] {
        harness = part(harness);
    }
    harness.run()
}

#[cfg(not(feature = "kcp"))]
fn main() -> ExitCode {
    println!(
        "SKIP every test of KCP: this build is without the feature; \
         cargo test -p ipc-sock --features kcp"
    );
    ExitCode::SUCCESS
}
