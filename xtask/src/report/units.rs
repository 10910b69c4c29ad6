//! Figures as people read them: three significant digits and a unit.

/// Nanoseconds, as `63.0 ns`, `5.13 µs`, `1.20 ms`.
pub(crate) fn time(ns: f64) -> String {
    scaled(ns, 1000.0, &["ns", "µs", "ms", "s"])
}

/// A number of things a second, as `195 k` or `1.20 M`.
pub(crate) fn per_s(rate: f64) -> String {
    scaled(rate, 1000.0, &["", "k", "M", "G"]).trim_end().to_owned()
}

/// Bytes a second in powers of ten, as memory and network vendors count.
pub(crate) fn bytes_per_s(rate: f64) -> String {
    scaled(rate, 1000.0, &["B/s", "kB/s", "MB/s", "GB/s"])
}

/// A ratio, as `1.02` or `35.1`.
pub(crate) fn ratio(ratio: f64) -> String {
    if ratio < 10.0 { format!("{ratio:.2}") } else { digits(ratio) }
}

/// A count that need not be whole, as `2.00`.
pub(crate) fn count(count: f64) -> String {
    if count == 0.0 { "0".to_owned() } else { digits(count) }
}

/// A message size: exact, in binary units where it is a multiple of one; 0 is that of a mechanism whose
/// messages have no bytes.
pub(crate) fn size(bytes: usize) -> String {
    const KIB: usize = 1 << 10;
    const MIB: usize = 1 << 20;
    match bytes {
        0 => "no payload".to_owned(),
        MIB.. if bytes.is_multiple_of(MIB) => format!("{} MiB", bytes / MIB),
        KIB.. if bytes.is_multiple_of(KIB) => format!("{} KiB", bytes / KIB),
        _ => format!("{bytes} B"),
    }
}

/// A number with no more than three significant digits, and no zeros at its end: `2`, `0.5`.
pub(crate) fn short(value: f64) -> String {
    let text = digits(value);
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

fn scaled(value: f64, step: f64, units: &[&str]) -> String {
    let mut value = value;
    let mut left = units.iter();
    let mut unit = left.next().copied().unwrap_or("");
    // 999.5 shows as 1.00 of the next unit, not as 1000.
    while value >= step - 0.5 {
        let Some(next) = left.next() else { break };
        (value, unit) = (value / step, next);
    }
    format!("{} {unit}", digits(value))
}

fn digits(value: f64) -> String {
    match value.abs() {
        ..9.995 => format!("{value:.2}"),
        ..99.95 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_significant_digits() {
        let times = [0.5, 63.0, 5130.0, 9999.0, 999_600.0, 1.2e6, 3.456e9];
        let shown = times.map(time);
        assert_eq!(
            shown,
            ["0.50 ns", "63.0 ns", "5.13 µs", "10.0 µs", "1.00 ms", "1.20 ms", "3.46 s"]
        );
        assert_eq!(per_s(195_000.0), "195 k");
        assert_eq!(per_s(12.0), "12.0");
        assert_eq!(bytes_per_s(12.46e9), "12.5 GB/s");
        assert_eq!((ratio(1.018), ratio(35.123)), ("1.02".to_owned(), "35.1".to_owned()));
        assert_eq!(
            (short(2.0), short(0.5), short(120.0)),
            ("2".into(), "0.5".into(), "120".into())
        );
        assert_eq!((count(0.0), count(2.0)), ("0".to_owned(), "2.00".to_owned()));
    }

    #[test]
    fn sizes_are_exact() {
        let sizes = [0, 1, 8, 1000, 1024, 1025, 65536, 1 << 20, (1 << 20) + 1024].map(size);
        assert_eq!(
            sizes,
            [
                "no payload",
                "1 B",
                "8 B",
                "1000 B",
                "1 KiB",
                "1025 B",
                "64 KiB",
                "1 MiB",
                "1025 KiB"
            ]
        );
    }
}
