//! The answer in a few sentences, each within one placement and one way to wait.

use std::cmp::Ordering;
use std::fmt;

use ipc_bench_schema::results::{Cell, Interval};
use ipc_bench_schema::{Results, Topology};

use super::{Group, groups, interval_parts, label, setting, units};

/// One answer: who is best at what, in parts, so that a page can set the name and figure in bold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    /// `At 64 B on the same CPU, blocking, `
    pub(crate) before: String,
    /// The mechanism.
    pub(crate) name: String,
    /// ` has the lowest median round trip: `
    pub(crate) verb: String,
    /// `5.10 µs`
    pub(crate) value: String,
    /// The interval, and who is next.
    pub(crate) after: String,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { before, name, verb, value, after } = self;
        write!(f, "{before}{name}{verb}{value}{after}")
    }
}

/// What the figures say, an answer for each question that they answer.
pub(crate) fn answers(results: &Results) -> Vec<Answer> {
    let apart = groups(results).into_iter().flat_map(|group| match group.topology {
        Topology::Setup => by_kind(results, group),
        _ => vec![group],
    });
    apart.flat_map(|group| of_group(&group)).collect()
}

/// What is created for one message and nothing else, and the mechanisms that connect, which are created with a
/// process: the first is a part of the others, and no competitor.
fn by_kind<'a>(results: &Results, group: Group<'a>) -> Vec<Group<'a>> {
    let creates_only = |cell: &&Cell| {
        let of = results.mechanisms.iter().find(|it| it.id == cell.key.mechanism);
        of.is_some_and(|it| it.topologies == [Topology::Setup])
    };
    let Group { topology, placement, wait, setting, cells } = group;
    let (once, others): (Vec<_>, Vec<_>) = cells.into_iter().partition(creates_only);
    [once, others].map(|cells| Group { topology, placement, wait, setting, cells }).into()
}

/// What is ranked: the figure, how it reads, and whether less is better.
struct Measure {
    figure: fn(&Cell) -> Option<Interval>,
    unit: fn(f64) -> String,
    less: bool,
    best: &'static str,
    only: &'static str,
}

const TRIP: Measure = Measure {
    figure: |cell| cell.rtt_p50_interval,
    unit: units::time,
    less: true,
    best: "has the lowest median round trip",
    only: "has a median round trip of",
};
const SETUP: Measure = Measure {
    figure: |cell| cell.rtt_p50_interval,
    unit: units::time,
    less: true,
    best: "is created and answers soonest, in the median",
    only: "is created and answers, in the median, in",
};
const MESSAGES: Measure = Measure {
    figure: |cell| cell.msgs_per_s_interval,
    unit: |rate| format!("{} messages/s", units::per_s(rate)),
    less: false,
    best: "streams the most",
    only: "streams",
};
const BYTES: Measure = Measure {
    figure: |cell| {
        let by = cell.key.size as f64;
        let it = cell.msgs_per_s_interval?;
        Some(Interval { value: it.value * by, lo: it.lo * by, hi: it.hi * by })
    },
    unit: units::bytes_per_s,
    less: false,
    best: "moves the most",
    only: "moves",
};

fn of_group(group: &Group<'_>) -> Vec<Answer> {
    // What carries no payload is ranked among its like.
    let none = sentence(group, 0, &TRIP).filter(|_| group.topology == Topology::PingPong);
    let Some(small) = near(group, 64) else {
        return none.into_iter().collect();
    };
    let large = near(group, 65536).unwrap_or(small);
    match group.topology {
        Topology::PingPong => vec![none, sentence(group, small, &TRIP)],
        // Answers are for the questions that everybody has; the tables have the rest.
        Topology::IdleGap | Topology::FanIn | Topology::FanOut | Topology::OpenLoop => Vec::new(),
        Topology::Setup => vec![sentence(group, small, &SETUP)],
        Topology::Stream if small == large => vec![sentence(group, small, &MESSAGES)],
        Topology::Stream => {
            vec![sentence(group, small, &MESSAGES), sentence(group, large, &BYTES)]
        }
    }
    .into_iter()
    .flatten()
    .collect()
}

/// The measured size nearest to a wanted one, by ratio.
fn near(group: &Group<'_>, wanted: usize) -> Option<usize> {
    let distance = |size: usize| (size as f64 / wanted as f64).ln().abs();
    let sizes = group.cells.iter().map(|cell| cell.key.size).filter(|size| *size > 0);
    sizes.min_by(|a, b| distance(*a).total_cmp(&distance(*b)))
}

fn sentence(group: &Group<'_>, size: usize, measure: &Measure) -> Option<Answer> {
    let at_size = group.cells.iter().filter(|cell| cell.key.size == size);
    let mut ranked: Vec<_> =
        at_size.filter_map(|cell| Some((cell, (measure.figure)(cell)?))).collect();
    ranked.sort_by(|a, b| {
        let order = a.1.value.total_cmp(&b.1.value);
        if measure.less { order } else { order.reverse() }
    });
    let ((first, figure), rest) = ranked.split_first()?;
    let verb = if rest.is_empty() { measure.only } else { measure.best };
    let (value, ends) = interval_parts(figure, measure.unit);
    let mut after = format!(" ({ends})");
    let ties: Vec<_> = rest
        .iter()
        .filter(|(_, it)| overlap(figure, it))
        .map(|(cell, it)| format!("{} ({})", label(cell), (measure.unit)(it.value)))
        .collect();
    if let Some((last, others)) = ties.split_last() {
        let others = others.join(", ");
        let names = if others.is_empty() { last.clone() } else { format!("{others} and {last}") };
        after.push_str(&format!("; {names} cannot be told from it"));
    } else if let Some((cell, it)) = rest.first() {
        after.push_str(&format!("; next is {} with {}", label(cell), (measure.unit)(it.value)));
    }
    after.push('.');
    let what = if size == 0 { "With" } else { "At" };
    Some(Answer {
        before: format!("{what} {} {}, ", units::size(size), setting(group.placement, group.wait)),
        name: label(first),
        verb: format!(" {verb}{} ", if rest.is_empty() { "" } else { ":" }),
        value,
        after,
    })
}

/// Whether two intervals have a value in common.
pub(crate) fn overlap(a: &Interval, b: &Interval) -> bool {
    a.lo.partial_cmp(&b.hi) != Some(Ordering::Greater)
        && b.lo.partial_cmp(&a.hi) != Some(Ordering::Greater)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::example;

    #[test]
    fn the_best_is_named_with_its_interval_and_its_equals() {
        let sentences: Vec<_> =
            answers(&example::results()).iter().map(Answer::to_string).collect();
        assert_eq!(
            sentences[0],
            "At 64 B on the same CPU, blocking, pipe has the lowest median round trip: 5.10 µs \
             (4.90–5.30); fifo (5.20 µs) cannot be told from it."
        );
        assert!(sentences.iter().any(|it| it.contains("across CPUs")));
    }

    #[test]
    fn what_is_only_created_is_no_competitor_of_what_is_created_with_it() {
        let mut results = example::results();
        for cell in &mut results.cells {
            cell.key.topology = Topology::Setup;
        }
        let named = |results: &Results| {
            let names = answers(results).into_iter().map(|it| it.name);
            names.collect::<std::collections::BTreeSet<_>>().len()
        };
        assert_eq!(named(&results), 1, "pipe is sooner than fifo");
        let mechanism = serde_json::json!({
            "id": "fifo", "crate": "ipc-pipe", "summary": "", "variants": [], "topologies": ["setup"], "caps": []
        });
        results.mechanisms = vec![serde_json::from_value(mechanism).unwrap()];
        assert_eq!(named(&results), 2);
    }

    #[test]
    fn what_carries_no_payload_is_ranked_among_its_like() {
        let mut results = example::results();
        for cell in results.cells.iter_mut().filter(|it| it.key.mechanism == "fifo") {
            (cell.key.size, cell.bytes_per_s) = (0, None);
        }
        let sentences: Vec<_> = answers(&results).iter().map(Answer::to_string).collect();
        assert_eq!(
            sentences[..2],
            [
                "With no payload on the same CPU, blocking, fifo has a median round trip of 5.20 µs \
                 (5.00–5.40).",
                "At 64 B on the same CPU, blocking, pipe has a median round trip of 5.10 µs \
                 (4.90–5.30)."
            ]
        );
    }

    #[test]
    fn placements_are_never_ranked_against_each_other() {
        for sentence in answers(&example::results()).iter().map(Answer::to_string) {
            let places = ["on the same CPU", "across CPUs", "unpinned"];
            assert_eq!(places.iter().filter(|it| sentence.contains(**it)).count(), 1, "{sentence}");
        }
    }
}
