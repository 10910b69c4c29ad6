//! What was measured of a mechanism, in the placement and with the wait that count.

use ipc_bench_schema::results::{Cell, Interval, Status};
use ipc_bench_schema::{MechanismInfo, Placement, Results, Setting, Topology, Variant, WaitMode};

use super::Evidence;
use super::needs::carries_payload;
use crate::cli::AdviseOptions;
use crate::report::{units, with_interval};

/// The size that a question is about, where it names none.
pub(super) fn size(options: &AdviseOptions, it: &MechanismInfo) -> usize {
    match options.size {
        _ if !carries_payload(it) => 0,
        Some(size) => size,
        None if options.bulk => it.max_message.unwrap_or(usize::MAX).min(65536),
        None => 64,
    }
}

/// The figures of a result.
#[derive(Debug)]
pub(super) struct Figures<'a> {
    pub(super) results: &'a Results,
    pub(super) placement: Placement,
    pub(super) wait: WaitMode,
}

impl Figures<'_> {
    /// The median round trip.
    pub(super) fn round_trip(
        &self,
        it: &MechanismInfo,
        size: usize,
    ) -> (Option<Interval>, Evidence) {
        let cell = self.cell(it, Topology::PingPong, size, |_| true);
        let figure = cell.and_then(|cell| cell.rtt_p50_interval);
        let text =
            |at: Interval| format!("median round trip {}", with_interval(Some(at), units::time));
        (figure, self.said(it, Topology::PingPong, cell, figure.map(text), size, "its round trip"))
    }

    /// Bytes a second, one way.
    pub(super) fn bandwidth(
        &self,
        it: &MechanismInfo,
        size: usize,
    ) -> (Option<Interval>, Evidence) {
        let cell = self.cell(it, Topology::Stream, size, |_| true);
        let figure = cell.and_then(|cell| {
            let (at, by) = (cell.msgs_per_s_interval?, cell.key.size as f64);
            Some(Interval { value: at.value * by, lo: at.lo * by, hi: at.hi * by })
        });
        let text =
            |at: Interval| format!("one way {}", with_interval(Some(at), units::bytes_per_s));
        (figure, self.said(it, Topology::Stream, cell, figure.map(text), size, "its stream"))
    }

    /// Whether it carries so many messages a second, of many senders if there are many.
    pub(super) fn carries(
        &self,
        it: &MechanismInfo,
        size: usize,
        many: Option<usize>,
        rate: f64,
    ) -> Evidence {
        let (topology, cell) = match many.filter(|many| *many > 1) {
            Some(many) => (Topology::FanIn, self.fan(it, size, many)),
            None => (Topology::Stream, self.cell(it, Topology::Stream, size, |_| true)),
        };
        let figure = cell.and_then(|cell| cell.msgs_per_s_interval);
        let text = figure.map(|at| {
            let sign = if at.lo >= rate { "at least" } else { "not surely" };
            format!(
                "{} messages/s, {sign} {}",
                with_interval(Some(at), units::per_s),
                units::per_s(rate)
            )
        });
        let mut evidence = self.said(it, topology, cell, text, size, "its rate");
        evidence.meets = figure.map(|at| at.lo >= rate);
        evidence
    }

    /// Messages of many senders.
    pub(super) fn fan_in(&self, it: &MechanismInfo, size: usize, many: usize) -> Evidence {
        let cell = self.fan(it, size, many);
        let figure = cell.and_then(|cell| cell.msgs_per_s_interval);
        let senders = |cell: &Cell| cell.key.setting.many();
        let text = cell.zip(figure).map(|(cell, at)| {
            format!(
                "{} messages/s of {} senders",
                with_interval(Some(at), units::per_s),
                senders(cell)
            )
        });
        self.said(it, Topology::FanIn, cell, text, size, "several senders")
    }

    /// Whether 99 of 100 messages come in time: under that load if it was measured, else of round trips with nothing
    /// else under way.
    pub(super) fn tail(
        &self,
        it: &MechanismInfo,
        size: usize,
        rate: Option<f64>,
        limit: f64,
    ) -> Evidence {
        let against = |value: f64| if value <= limit { "within" } else { "not within" };
        let poisson = |cell: &Cell| cell.key.setting == Setting::Poisson;
        let open = rate.and_then(|rate| {
            let cell = self
                .cell(it, Topology::OpenLoop, size, poisson)
                .or_else(|| self.cell(it, Topology::OpenLoop, size, |_| true))?;
            let load = cell.loads.iter().find(|load| load.offered_per_s >= rate)?;
            Some((cell, load, load.latency_ns.p99?))
        });
        if let Some((cell, load, p99)) = open {
            return Evidence {
                text: format!(
                    "p99 {} from the time to send, at {} messages/s ({} % load), {} {}",
                    units::time(p99),
                    units::per_s(load.offered_per_s),
                    load.percent,
                    against(p99),
                    units::time(limit)
                ),
                cell: Some(cell.key.to_string()),
                meets: Some(p99 <= limit),
            };
        }
        let cell = self.cell(it, Topology::PingPong, size, |_| true);
        let p99 = cell.and_then(|cell| cell.rtt_ns.as_ref()?.p99);
        let text = p99.map(|p99| {
            format!(
                "p99 of round trips {}, {} {}",
                units::time(p99),
                against(p99),
                units::time(limit)
            )
        });
        let mut evidence = self.said(
            it,
            Topology::PingPong,
            cell,
            text,
            size,
            "its p99, with too few samples for one",
        );
        evidence.meets = p99.map(|p99| p99 <= limit);
        evidence
    }

    fn said(
        &self,
        it: &MechanismInfo,
        topology: Topology,
        cell: Option<&Cell>,
        text: Option<String>,
        size: usize,
        what: &str,
    ) -> Evidence {
        let there = text.is_some();
        let asked = cell.filter(|cell| there && cell.key.size != size);
        let at = asked.map_or(String::new(), |cell| format!(", at {}", units::size(cell.key.size)));
        let text = text.map_or_else(
            || {
                // Why other cells were not measured says nothing of one that was.
                let why = if cell.is_some() { None } else { self.why_not(it, topology) };
                let why = why.map_or(String::new(), |why| format!(": {why}"));
                format!("not measured: {what}{why}")
            },
            |text| text + &at,
        );
        let cell = cell.filter(|_| there).map(|cell| cell.key.to_string());
        Evidence { text, cell, meets: there.then_some(true) }
    }

    /// The measured cell whose size is nearest, by ratio.
    fn cell(
        &self,
        it: &MechanismInfo,
        topology: Topology,
        size: usize,
        fits: fn(&Cell) -> bool,
    ) -> Option<&Cell> {
        let far =
            |cell: &&Cell| ((cell.key.size.max(1) as f64).ln() - (size.max(1) as f64).ln()).abs();
        let measured =
            self.cells(it, topology).filter(|cell| cell.status == Status::Ok && fits(cell));
        measured.min_by(|a, b| far(a).total_cmp(&far(b)))
    }

    /// The measured number of senders that is nearest.
    fn fan(&self, it: &MechanismInfo, size: usize, many: usize) -> Option<&Cell> {
        let measured = self.cells(it, Topology::FanIn).filter(|cell| cell.status == Status::Ok);
        let far =
            |cell: &&Cell| (cell.key.setting.many().abs_diff(many), cell.key.size.abs_diff(size));
        measured.min_by_key(far)
    }

    fn cells(&self, it: &MechanismInfo, topology: Topology) -> impl Iterator<Item = &Cell> {
        let of = move |cell: &&Cell| {
            let key = &cell.key;
            key.mechanism == it.id
                && cell.variant != Variant::Raw
                && (key.topology, key.placement, key.wait) == (topology, self.placement, self.wait)
        };
        self.results.cells.iter().filter(of)
    }

    /// What the result says of cells that were not measured.
    fn why_not(&self, it: &MechanismInfo, topology: Topology) -> Option<String> {
        self.cells(it, topology).find_map(|cell| cell.reason.clone())
    }
}
