//! What a comparison found, and when a difference is one.

use ipc_bench_schema::results::Interval;

/// Names of what could not be judged, with the reasons.
pub(super) type LeftOut = Vec<(String, String)>;

/// Everything that a comparison says.
#[derive(Debug)]
pub(super) struct Comparison {
    /// What is compared: before and after.
    pub(super) names: [String; 2],
    /// How, in a sentence.
    pub(super) method: String,
    /// Differences up to this one are noise: 0.01 is one per cent.
    pub(super) noise: f64,
    /// What was judged.
    pub(super) rows: Vec<Row>,
    /// What could not be judged, and why.
    pub(super) left_out: LeftOut,
    /// What the reader must know.
    pub(super) notes: Vec<String>,
}

/// One cell, or all cells of a mechanism together.
#[derive(Debug, Clone)]
pub(super) struct Row {
    /// The cell's axes, or the mechanism.
    pub(super) name: String,
    /// How many cells it stands for.
    pub(super) cells: usize,
    /// The time of a message on both sides, in nanoseconds; none where cells are taken together.
    pub(super) ns: Option<[f64; 2]>,
    /// After by before: above 1 is slower.
    pub(super) ratio: Interval,
    /// How often chance alone does this, where it was tested.
    pub(super) chance: Option<f64>,
    /// What it amounts to.
    pub(super) verdict: Verdict,
}

/// What a difference amounts to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Slower, beyond interval and noise.
    Slower,
    /// Faster, beyond interval and noise.
    Faster,
    /// Nothing that could be told from noise.
    Same,
    /// It was measured before, and now it fails, for this reason.
    Broken(String),
}

impl Verdict {
    /// The word for reports and JSON.
    pub(super) fn as_str(&self) -> &'static str {
        match self {
            Self::Slower => "slower",
            Self::Faster => "faster",
            Self::Same => "same",
            Self::Broken(_) => "broken",
        }
    }

    /// The verdict of an interval alone.
    pub(super) fn of(ratio: Interval, noise: f64) -> Self {
        if ratio.lo > 1.0 + noise {
            Self::Slower
        } else if ratio.hi < 1.0 / (1.0 + noise) {
            Self::Faster
        } else {
            Self::Same
        }
    }
}

impl Row {
    /// A cell that was measured before and fails now.
    pub(super) fn broken(name: String, why: String) -> Self {
        let ratio = Interval { value: f64::NAN, lo: f64::NAN, hi: f64::NAN };
        Self { name, cells: 1, ns: None, ratio, chance: None, verdict: Verdict::Broken(why) }
    }
}

impl Comparison {
    /// Whether anything got worse.
    pub(super) fn regressed(&self) -> bool {
        self.rows.iter().any(|it| matches!(it.verdict, Verdict::Slower | Verdict::Broken(_)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_interval_beyond_the_noise_is_a_difference() {
        let of = |lo, hi| Verdict::of(Interval { value: 1.0, lo, hi }, 0.02);
        assert_eq!(of(1.03, 1.08), Verdict::Slower);
        assert_eq!(of(1.01, 1.08), Verdict::Same, "the interval reaches into the noise");
        assert_eq!(of(0.9, 1.1), Verdict::Same);
        assert_eq!(of(0.9, 0.97), Verdict::Faster);
        assert_eq!(of(0.9, 0.99), Verdict::Same);
    }
}
