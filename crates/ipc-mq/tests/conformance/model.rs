//! Queues against a model: what comes out is what the rules say.

use std::collections::VecDeque;

use ipc_core::{SendMsg, Wait};
use ipc_mq::posix::{self, Priority};
use ipc_mq::sysv::{self, MessageType, Select};
use ipc_testkit::Harness;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

pub(crate) fn cases(harness: Harness) -> Harness {
    harness
        .test("model/posix_order_is_priority_then_age", posix_order)
        .test("model/sysv_selection_is_by_type_then_age", sysv_selection)
}

fn runner() -> TestRunner {
    TestRunner::new(Config { failure_persistence: None, cases: 256, ..Config::default() })
}

#[derive(Debug, Clone)]
enum Step {
    Send { tag: i64, len: usize },
    Receive { select: u8, tag: i64, room: usize },
}

fn steps(tags: i64) -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        (1..=tags, 0..40_usize).prop_map(|(tag, len)| Step::Send { tag, len }),
        (0..4_u8, 1..=tags, 0..50_usize).prop_map(|(select, tag, room)| Step::Receive {
            select,
            tag,
            room
        }),
    ];
    prop::collection::vec(step, 0..60)
}

fn body(number: usize, len: usize) -> Vec<u8> {
    (0..len).map(|at| (number * 31 + at) as u8).collect()
}

fn posix_order() {
    let strategy = steps(4);
    let result = runner().run(&strategy, |steps| {
        let (mut rx, tx) = posix::QueueOptions::new().message_size(40).pair().expect("pair");
        let capacity = rx.attributes().expect("attributes").capacity;
        let mut model: VecDeque<(u32, Vec<u8>)> = VecDeque::new();
        for (number, step) in steps.into_iter().enumerate() {
            match step {
                Step::Send { tag, len } => {
                    let (priority, body) = (u32::try_from(tag).expect("small"), body(number, len));
                    let sent = tx.send_priority(
                        &body,
                        Priority::new(priority).expect("it is one"),
                        Wait::Never,
                    );
                    prop_assert_eq!(sent.is_ok(), model.len() < capacity);
                    if sent.is_ok() {
                        // Behind all of its priority and above.
                        let at = model.iter().position(|(it, _)| *it < priority);
                        model.insert(at.unwrap_or(model.len()), (priority, body));
                    }
                }
                Step::Receive { room, .. } => {
                    let mut buf = vec![0; room];
                    let got = rx.recv_priority(&mut buf, Wait::Never);
                    match model.front() {
                        Some((_, body)) if body.len() > room => {
                            prop_assert!(got.is_err());
                            // It is kept: nothing overtakes it until it is received.
                            let kept = rx.recv_message(Wait::Never).expect("it is kept");
                            prop_assert_eq!(&kept.body, body);
                            model.pop_front();
                        }
                        Some((priority, body)) => {
                            let (len, got) = got.expect("there is one");
                            prop_assert_eq!((&buf[..len], got.get()), (&body[..], *priority));
                            model.pop_front();
                        }
                        None => prop_assert!(got.is_err()),
                    }
                }
            }
        }
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
}

/// Where in the model a receive takes its message.
fn pick(model: &VecDeque<(i64, Vec<u8>)>, select: u8, tag: i64) -> Option<usize> {
    match select {
        0 => (!model.is_empty()).then_some(0),
        1 => model.iter().position(|(it, _)| *it == tag),
        2 => model.iter().position(|(it, _)| *it != tag),
        _ => {
            let lowest = model.iter().map(|(it, _)| *it).filter(|it| *it <= tag).min()?;
            model.iter().position(|(it, _)| *it == lowest)
        }
    }
}

fn sysv_selection() {
    let strategy = steps(5);
    let result = runner().run(&strategy, |steps| {
        let (mut rx, mut tx) = sysv::QueueOptions::new().pair().expect("pair");
        let mut model: VecDeque<(i64, Vec<u8>)> = VecDeque::new();
        for (number, step) in steps.into_iter().enumerate() {
            match step {
                Step::Send { tag, len } => {
                    let body = body(number, len);
                    tx.set_type(MessageType::new(tag).expect("it is one"));
                    tx.try_send(&body).expect("there is room");
                    model.push_back((tag, body));
                }
                Step::Receive { select, tag, room } => {
                    let kind = MessageType::new(tag).expect("it is one");
                    let raw = [
                        Select::Any,
                        Select::Type(kind),
                        Select::Except(kind),
                        Select::LowestUpTo(kind),
                    ][usize::from(select)];
                    let mut buf = vec![0; room];
                    let got = rx.recv_select(raw, &mut buf, Wait::Never);
                    match pick(&model, select, tag) {
                        Some(at) if model[at].1.len() <= room => {
                            let (len, kind) = got.expect("there is one");
                            let (tag, body) = model.remove(at).expect("it was found");
                            prop_assert_eq!((&buf[..len], kind.get()), (&body[..], tag));
                        }
                        Some(at) => {
                            let len = model[at].1.len();
                            let expected = ipc_core::ErrorKind::MessageTooLarge { len, max: room };
                            prop_assert_eq!(got.expect_err("too long").kind(), expected);
                        }
                        None => prop_assert!(got.is_err()),
                    }
                }
            }
        }
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
}
