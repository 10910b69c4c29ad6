//! Two saved results, made up: what is found, and what is not.

use ipc_bench_schema::results::Interval;

use super::*;
use crate::report::example;

/// A result of ten cells, each with the bare calls beside it, whose rounds differ by `spread` and whose machine is
/// `machine` times as slow; `ours` is how many times as slow our code is.
fn made_up(seed: u64, machine: f64, ours: f64, raw_too: bool) -> Results {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut results = example::results();
    let proto = results.cells[0].clone();
    results.cells.clear();
    for cell in 0..10 {
        let mut one = proto.clone();
        one.key.size = 1 << cell;
        let mut raw = Cell { variant: Variant::Raw, ratio_raw: None, ..one.clone() };
        for _ in 0..10 {
            let round = 5000.0 * machine * (1.0 + 0.06 * (rng.f64() - 0.5));
            raw.per_round_ns.push(round);
            one.per_round_ns.push(round * ours * (1.0 + 0.02 * (rng.f64() - 0.5)));
        }
        one.rtt_p50_interval = Some(Interval { value: 5000.0, lo: 4900.0, hi: 5100.0 });
        results.cells.push(one);
        if raw_too {
            results.cells.push(raw);
        }
    }
    results
}

fn compared(before: &Results, after: &Results) -> Comparison {
    compare(before, after, &Chosen::default(), None).unwrap()
}

#[test]
fn the_same_program_on_a_machine_that_got_slower_is_no_regression() {
    for try_ in 0..5 {
        let it = compared(&made_up(try_, 1.0, 1.0, true), &made_up(100 + try_, 1.1, 1.0, true));
        assert!(!it.regressed(), "{:?}", it.rows);
        assert!(it.notes.iter().any(|note| note.contains("bare system calls")), "{:?}", it.notes);
    }
}

#[test]
fn a_program_five_per_cent_slower_is_found_each_time() {
    for try_ in 0..5 {
        let it = compared(&made_up(try_, 1.0, 1.0, true), &made_up(100 + try_, 0.97, 1.05, true));
        assert!(it.regressed(), "{:?}", it.rows);
        let all = it.rows.iter().find(|row| row.cells == 10).unwrap();
        assert_eq!(all.verdict, Verdict::Slower, "the mechanism as a whole: {all:?}");
    }
}

#[test]
fn a_faster_one_is_no_regression() {
    let it = compared(&made_up(1, 1.0, 1.0, true), &made_up(2, 1.0, 0.9, true));
    assert!(!it.regressed() && it.rows.iter().any(|row| row.verdict == Verdict::Faster));
}

#[test]
fn without_the_bare_calls_a_large_difference_is_found() {
    let it = compared(&made_up(1, 1.0, 1.0, false), &made_up(2, 1.0, 1.3, false));
    assert!(it.regressed());
    let it = compared(&made_up(1, 1.0, 1.0, false), &made_up(2, 1.0, 1.0, false));
    assert!(!it.regressed(), "{:?}", it.rows);
}

#[test]
fn what_fails_now_is_a_regression_and_what_is_gone_is_named() {
    let before = made_up(1, 1.0, 1.0, true);
    let mut after = made_up(2, 1.0, 1.0, true);
    after.cells[0].status = Status::Void;
    after.cells[0].reason = Some("message 7 came twice".to_owned());
    after.cells.truncate(after.cells.len() - 2);
    let it = compared(&before, &after);
    assert!(it.regressed());
    assert!(
        it.rows.iter().any(|row| row.verdict == Verdict::Broken("message 7 came twice".to_owned()))
    );
    assert_eq!(it.left_out.len(), 1, "{:?}", it.left_out);
}

#[test]
fn results_with_nothing_in_common_are_a_usage_error() {
    let (before, mut after) = (made_up(1, 1.0, 1.0, true), made_up(2, 1.0, 1.0, true));
    after.cells.clear();
    let err = compare(&before, &after, &Chosen::default(), None).unwrap_err();
    assert!(err.is::<Usage>());
}
