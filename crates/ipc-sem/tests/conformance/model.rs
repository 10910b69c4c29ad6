//! Semaphores and locks against a model: what they do is what the rules say.

use ipc_core::{ErrorKind, Notified, Semaphore, Wait};
use ipc_sem::posix::{SemOptions, UnnamedSem};
use ipc_sem::sysv::{Op, SetOptions};
use ipc_sem::{Event, EventFdSem, Reset, RwLock, Shared};
use ipc_testkit::Harness;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::fixtures::fresh_name;

pub(crate) fn cases(harness: Harness) -> Harness {
    harness
        .test("model/semaphores_count", counters)
        .test("model/sets_do_all_or_nothing", sets)
        .test("model/events_are_set_or_not", events)
        .test("model/readers_and_writers_keep_apart", readers_and_writers)
}

fn runner() -> TestRunner {
    TestRunner::new(Config { failure_persistence: None, cases: 128, ..Config::default() })
}

fn counters() {
    let strategy = prop::collection::vec(any::<bool>(), 0..60);
    let result = runner().run(&strategy, |posts| {
        let named = SemOptions::new().value(2).create(&fresh_name()).expect("create");
        let unnamed = Shared::<UnnamedSem>::new(2).expect("new");
        let set = SetOptions::new().values(&[2]).private().expect("private");
        let sysv = set.sem(0).expect("sem");
        let eventfd = EventFdSem::new(2).expect("new");
        let all: [&dyn Semaphore; 4] = [&named, &unnamed, &sysv, &eventfd];
        let mut permits = 2_u32;
        for post in posts {
            for sem in all {
                if post {
                    prop_assert!(sem.post().is_ok());
                } else {
                    prop_assert_eq!(sem.try_wait().is_ok(), permits > 0);
                }
            }
            permits = if post { permits + 1 } else { permits.saturating_sub(1) };
            prop_assert_eq!((named.value(), unnamed.value()), (permits, permits));
            prop_assert_eq!(sysv.value().map(u32::from), Ok(permits));
        }
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
}

fn sets() {
    let op = (0..3_u16, -3..=3_i32);
    let strategy = prop::collection::vec(prop::collection::vec(op, 1..12), 0..40);
    let set = SetOptions::new().values(&[0; 3]).private().expect("private");
    let result = runner().run(&strategy, |steps| {
        let mut model = [1_i32, 2, 3];
        set.set_values(&[1, 2, 3]).expect("SETALL");
        for step in steps {
            let ops: Vec<_> = step
                .iter()
                .map(|&(num, change)| match u16::try_from(change) {
                    Ok(0) => Op::wait_zero(num),
                    Ok(permits) => Op::post(num, permits),
                    Err(_) => Op::wait(num, u16::try_from(-change).expect("small")),
                })
                .collect();
            let mut after = model;
            let can = step.iter().all(|&(num, change)| {
                let value = &mut after[usize::from(num)];
                let can = if change == 0 { *value == 0 } else { *value + change >= 0 };
                *value += change;
                can
            });
            let done = set.operate(&ops, Wait::Never).map_err(|error| error.kind());
            prop_assert_eq!(done, if can { Ok(()) } else { Err(ErrorKind::WouldBlock) });
            if can {
                model = after;
            }
            let values = set.values().expect("values");
            prop_assert!(values.iter().zip(model).all(|(is, must)| i32::from(*is) == must));
        }
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
}

fn events() {
    let strategy = (any::<bool>(), prop::collection::vec(0..3_u8, 0..60));
    let result = runner().run(&strategy, |(manual, steps)| {
        let reset = if manual { Reset::Manual } else { Reset::Auto };
        let event = Shared::<Event>::new(reset).expect("new");
        let mut set = false;
        for step in steps {
            match step {
                0 => {
                    event.set();
                    set = true;
                }
                1 => {
                    event.reset();
                    set = false;
                }
                _ => {
                    prop_assert_eq!(event.try_wait().is_ok(), set);
                    set &= manual;
                }
            }
            prop_assert_eq!(event.is_set(), set);
        }
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
}

fn readers_and_writers() {
    let strategy = prop::collection::vec(0..4_u8, 0..60);
    let result = runner().run(&strategy, |steps| {
        let lock = Shared::<RwLock<u32>>::new(0).expect("new");
        let (mut readers, mut writer) = (Vec::new(), None);
        for step in steps {
            match step {
                0 => match lock.try_read() {
                    Ok(reader) => {
                        prop_assert!(writer.is_none() && readers.len() < 16);
                        readers.push(reader);
                    }
                    Err(_) => prop_assert!(writer.is_some() || readers.len() == 16),
                },
                1 => drop(readers.pop()),
                2 => match lock.try_write() {
                    Ok(guard) => {
                        prop_assert!(writer.is_none() && readers.is_empty());
                        writer = Some(guard);
                    }
                    Err(_) => prop_assert!(writer.is_some() || !readers.is_empty()),
                },
                _ => writer = None,
            }
        }
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
}
