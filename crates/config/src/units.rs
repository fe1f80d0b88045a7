//! Durations, sizes and shares as they are written in manifests.

/// Says why a text is no quantity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no {what}")]
pub struct UnitError {
    text: String,
    what: &'static str,
}

/// Reads a duration into milliseconds: `250ms`, `20s`, `5m`, `2h`; a bare number is seconds.
pub fn duration_ms(text: &str) -> Result<u64, UnitError> {
    let what = "duration; write `250ms`, `20s`, `5m` or `2h`";
    let units = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("", 1000)];
    quantity(text, &units).ok_or_else(|| UnitError { text: text.to_owned(), what })
}

/// Reads a size into bytes: `512M`, `2G`, `64KiB`; units are powers of 1024, a bare number is bytes.
pub fn size_bytes(text: &str) -> Result<u64, UnitError> {
    let what = "size; write `65536`, `64K`, `512M` or `2G`";
    let (kib, mib, gib, tib) = (1 << 10, 1 << 20, 1 << 30, 1 << 40);
    let upper = text.trim().to_ascii_uppercase();
    let bare = upper.strip_suffix("IB").or_else(|| upper.strip_suffix('B')).unwrap_or(&upper);
    quantity(bare, &[("K", kib), ("M", mib), ("G", gib), ("T", tib), ("", 1)])
        .ok_or_else(|| UnitError { text: text.to_owned(), what })
}

/// Reads a share into percent: `150%`; a bare number is percent too.
pub fn percent(text: &str) -> Result<u32, UnitError> {
    let bare = text.trim();
    bare.strip_suffix('%')
        .unwrap_or(bare)
        .trim_end()
        .parse()
        .map_err(|_| UnitError { text: text.to_owned(), what: "share; write `150%`" })
}

fn quantity(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let text = text.trim();
    let end =
        text.find(|character: char| !(character.is_ascii_digit() || character == '.')).unwrap_or(text.len());
    let (number, unit) = (&text[..end], text[end..].trim_start());
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let mut total = whole.parse::<u64>().ok()?.checked_mul(*factor)?;
    if !fraction.is_empty() {
        let places = u32::try_from(fraction.len()).ok().filter(|places| *places <= 9)?;
        total =
            total.checked_add(fraction.parse::<u64>().ok()?.checked_mul(*factor)? / 10_u64.pow(places))?;
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn quantities_with_units_are_read() {
        assert_eq!(duration_ms("250ms"), Ok(250));
        assert_eq!(duration_ms("1.5s"), Ok(1500));
        assert_eq!(duration_ms("2 h"), Ok(7_200_000));
        assert_eq!(duration_ms("20"), Ok(20_000));
        assert_eq!(size_bytes("512M"), Ok(512 << 20));
        assert_eq!(size_bytes("64KiB"), Ok(64 << 10));
        assert_eq!(size_bytes("100"), Ok(100));
        assert_eq!(percent("150%"), Ok(150));
    }

    #[test]
    fn quantities_that_make_no_sense_are_refused() {
        for text in ["", "s", "-1s", "1d", "1..5s", "99999999999999999999s", "18446744073709551615h"] {
            assert!(duration_ms(text).is_err(), "{text}");
        }
        assert!(size_bytes("1X").is_err());
        assert!(percent("half").is_err());
    }

    proptest! {
        #[test]
        fn quantities_of_any_text_never_panic(text in "[0-9.]{0,12}[a-zA-Z%]{0,3}") {
            let _outcomes = (duration_ms(&text), size_bytes(&text), percent(&text));
        }
    }
}
