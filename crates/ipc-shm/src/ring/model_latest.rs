//! The protocol of the newest value under a model checker.

use loom::sync::Arc;

use super::latest_core::{DATA, NoValue, SLOTS, VERSION, read, slot_len, write};
use super::layout::CONSUMER_SLEEPS;
use super::model::check_within;
use super::model_many::in_a_child;
use super::model_memory::{Fences, Model};

/// A checker tries every number of looks that fail.
const LOOKS: u32 = 3;

/// A writer goes round while a reader reads.
fn go_round(fences: Fences) {
    let len = slot_len(16).expect("a length");
    let slots = (0..SLOTS as usize).flat_map(|it| [0, 8, 16].map(|at| DATA + it * len + at));
    let memory = Model::new([VERSION, CONSUMER_SLEEPS].into_iter().chain(slots), fences);
    write(&*memory, len, 1, &[1; 16]);
    let there = Arc::clone(&memory);
    let writer = loom::thread::spawn(move || {
        for number in 2..=5 {
            write(&*there, len, number, &[number as u8; 16]);
        }
    });
    let mut value = [0; 16];
    // One that is overtaken again and again gives up.
    if let Ok(number) = read(&*memory, len, 0, &mut value, LOOKS) {
        assert_eq!(value, [number as u8; 16]);
    }
    writer.join().expect("join");
    assert_eq!(read(&*memory, len, 0, &mut value, LOOKS), Ok(5));
    assert_eq!(read(&*memory, len, 5, &mut value, LOOKS), Err(NoValue::Old));
}

#[test]
fn a_value_is_whole_while_the_writer_goes_round() {
    check_within(2, || go_round(Fences::All));
}

#[test]
fn without_fences_a_value_is_torn_and_the_checker_sees_it() {
    let name = "model_latest::without_fences_a_value_is_torn_and_the_checker_sees_it";
    if let Some(said) = in_a_child(name, || check_within(2, || go_round(Fences::None))) {
        assert!(said.contains("left == right"), "{said}");
    }
}
