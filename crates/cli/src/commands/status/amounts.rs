//! Times and sizes as people read them.

/// Writes a time in milliseconds with its two largest units, such as `2 min 5 s`.
pub(crate) fn time(ms: u64) -> String {
    const UNITS: [(u64, &str); 4] = [(86_400, "d"), (3600, "h"), (60, "min"), (1, "s")];
    let seconds = ms / 1000;
    if ms == 0 {
        return "0 s".to_owned();
    }
    if seconds == 0 {
        return format!("{ms} ms");
    }
    if seconds < 10 {
        return format!("{seconds}.{} s", ms % 1000 / 100);
    }
    let mut rest = seconds;
    let mut words = Vec::new();
    for (size, unit) in UNITS {
        let count = rest / size;
        rest %= size;
        if count > 0 {
            words.push(format!("{count} {unit}"));
        } else if !words.is_empty() {
            break;
        }
    }
    words.truncate(2);
    words.join(" ")
}

/// Reads a time such as `500ms`, `90s`, `5min` or a number of seconds; in milliseconds.
pub(crate) fn parse_time_ms(word: &str) -> Result<u64, String> {
    let number = word.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &word[number.len()..] {
        "ms" => 1,
        "" | "s" => 1000,
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        _ => return Err("a time is needed, such as 90s or 5min".to_owned()),
    };
    let parsed = number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit));
    parsed.filter(|ms| *ms > 0).ok_or_else(|| "a time is needed, such as 90s or 5min".to_owned())
}

/// Writes a size in bytes with one binary unit, such as `12.3 MiB`.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [(u32, &str); 4] = [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")];
    for (shift, unit) in UNITS {
        if bytes >> shift > 0 {
            let tenths = ((u128::from(bytes) * 10) >> shift) as u64;
            return format!("{}.{} {unit}", tenths / 10, tenths % 10);
        }
    }
    format!("{bytes} B")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_has_its_two_largest_units() {
        let shown = [0, 7, 999, 1200, 65_000, 3_600_000, 3_661_000, 90_061_000].map(time);
        assert_eq!(shown, ["0 s", "7 ms", "999 ms", "1.2 s", "1 min 5 s", "1 h", "1 h 1 min", "1 d 1 h"]);
    }

    #[test]
    fn size_has_one_unit() {
        let shown = [0, 1023, 1536, 13 << 20, u64::MAX].map(size);
        assert_eq!(shown, ["0 B", "1023 B", "1.5 KiB", "13.0 MiB", "16777215.9 TiB"]);
    }

    #[test]
    fn time_is_read_with_and_without_a_unit() {
        let read = ["90", "90s", "500ms", "2min", "1h"].map(|word| parse_time_ms(word).unwrap());
        assert_eq!(read, [90_000, 90_000, 500, 120_000, 3_600_000]);
        for word in ["", "s", "0", "1d", "-1s", "99999999999999999999s"] {
            assert!(parse_time_ms(word).is_err(), "{word}");
        }
    }
}
