//! Both passes with made-up rounds: what differs by nothing is never reported, what is 5 % slower always.

use ipc_bench_schema::{Payload, Placement, Setting, WaitMode};

use super::*;
use crate::compare::judge::Verdict;

fn contests(mechanisms: &[&str], sizes: usize) -> Vec<Contest> {
    let key = |mechanism: &str, size| CellKey {
        mechanism: mechanism.to_owned(),
        topology: Topology::PingPong,
        size,
        placement: Placement::SameCpu,
        wait: WaitMode::Block,
        payload: Payload::Touch,
        setting: Setting::None,
    };
    let all = mechanisms.iter().flat_map(|it| (1..=sizes).map(move |size| (it, size)));
    all.map(|(mechanism, size)| Contest::new(key(mechanism, size))).collect()
}

/// Runs that differ by some 4 %, one in thirty of which is disturbed; `slow` is slower by `by` after.
fn fill(cells: &mut [Contest], rounds: usize, rng: &mut fastrand::Rng, slow: &str, by: f64) {
    let mut run = |level: f64| {
        let normal = (0..12).map(|_| rng.f64()).sum::<f64>() - 6.0;
        let burst = if rng.u32(..30) == 0 { rng.f64() } else { 0.0 };
        level + 0.04 * normal + burst
    };
    for cell in cells {
        let shift = if cell.key.mechanism == slow { by.ln() } else { 0.0 };
        for _ in 0..rounds {
            cell.take([[run(8.0), run(8.0)], [run(8.0 + shift), run(8.0 + shift)]]);
        }
    }
}

/// Everything that `compare` does, with made-up figures.
fn campaign(seed: u64, slow: &str, by: f64) -> Vec<Row> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut cells = contests(&["pipe", "fifo", "udp", "tcp", "posix-mq"], 6);
    fill(&mut cells, ROUNDS, &mut rng, slow, by);
    let first = Judged::of(&cells, NOISE, seed);
    let suspects = first.suspects(&cells);
    let mut again: Vec<_> =
        suspects.iter().map(|&it| Contest::new(cells[it].key.clone())).collect();
    fill(&mut again, ROUNDS_AGAIN, &mut rng, slow, by);
    let mut rows = Judged::of(&again, NOISE, seed).confirmed();
    rows.extend(first.rows_but(&again));
    rows
}

#[test]
fn a_program_against_itself_is_silent_five_times_of_five() {
    for seed in 0..5 {
        let rows = campaign(seed, "nobody", 1.0);
        let said: Vec<_> = rows.iter().filter(|it| it.verdict != Verdict::Same).collect();
        assert!(said.is_empty(), "{said:?}");
        assert_eq!(rows.iter().filter(|it| it.cells == 1).count(), 30);
    }
}

#[test]
fn a_mechanism_five_per_cent_slower_is_reported_five_times_of_five_and_no_other() {
    for seed in 10..15 {
        let rows = campaign(seed, "fifo", 1.05);
        let slower: Vec<_> = rows.iter().filter(|it| it.verdict == Verdict::Slower).collect();
        assert!(slower.iter().any(|it| it.name.starts_with("fifo")), "{rows:?}");
        assert!(slower.iter().all(|it| it.name.starts_with("fifo")), "{slower:?}");
    }
}

#[test]
fn what_broke_is_told_from_what_was_never_whole() {
    let mut cells = contests(&["pipe", "fifo"], 1);
    let void = || Outcome::Void { reason: "message 7 came twice".to_owned() };
    cells[0].end(1, void());
    cells[1].end(0, void());
    assert_eq!(cells[0].broken.as_deref(), Some("message 7 came twice"));
    assert!(cells[1].excuse.as_deref().is_some_and(|it| it.contains("before, too")));
    assert!(Judged::of(&cells, NOISE, 1).rows.is_empty());
}
