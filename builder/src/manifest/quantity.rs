//! Sizes and durations as people write them: `64MiB`, `0x3000000`, `10s`.

/// Why a text is not a quantity.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    /// No digits at the start, or digits of the wrong kind.
    #[error("`{0}` does not begin with a number")]
    NotANumber(String),
    /// A unit that is not known here.
    #[error("`{unit}` is no unit here; the units are {known}")]
    UnknownUnit {
        /// The unit found.
        unit: String,
        /// The units known, for a message.
        known: &'static str,
        /// The unit that was probably meant.
        meant: Option<&'static str>,
    },
    /// A number with a fraction.
    #[error("`{text}` has a fraction; only whole numbers are understood")]
    Fraction {
        /// The text.
        text: String,
        /// The same quantity as a whole number of a smaller unit.
        meant: Option<String>,
    },
    /// The number passes 2^64.
    #[error("`{0}` is too large")]
    TooLarge(String),
}

const SIZE_UNITS: &[(&str, u64)] = &[("", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];
const DURATION_UNITS: &[(&str, u64)] = &[("", 1000), ("ms", 1), ("s", 1000), ("m", 60_000)];

/// A size in bytes: a decimal or `0x` number, with `KiB`, `MiB` or `GiB` or nothing behind it.
pub fn parse_size(text: &str) -> Result<u64, QuantityError> {
    parse(text, SIZE_UNITS, "KiB, MiB and GiB, or none for bytes")
}

/// A plain decimal or `0x` number.
pub fn parse_number(text: &str) -> Result<u64, QuantityError> {
    parse(text, &[("", 1)], "none: a plain number")
}

/// A duration in milliseconds: a number with `ms`, `s` or `m` behind it; without a unit it is seconds.
pub fn parse_duration(text: &str) -> Result<u64, QuantityError> {
    parse(text, DURATION_UNITS, "ms, s and m, or none for seconds")
}

fn parse(text: &str, units: &[(&'static str, u64)], known: &'static str) -> Result<u64, QuantityError> {
    let trimmed = text.trim();
    let (digits, radix) = match trimmed.strip_prefix("0x").or_else(|| trimmed.strip_prefix("0X")) {
        Some(digits) => (digits, 16),
        None => (trimmed, 10),
    };
    let end = digits.find(|character: char| !character.is_digit(radix)).unwrap_or(digits.len());
    let (number, unit) = digits.split_at(end);
    if number.is_empty() {
        return Err(QuantityError::NotANumber(text.to_owned()));
    }
    if radix == 10 && unit.starts_with(['.', ',']) {
        return Err(QuantityError::Fraction { text: text.to_owned(), meant: whole(number, unit, units) });
    }
    let unit = unit.trim_start();
    let Some((_, factor)) = units.iter().find(|(name, _)| *name == unit) else {
        return Err(QuantityError::UnknownUnit { unit: unit.to_owned(), known, meant: meant(unit, units) });
    };
    let number = u64::from_str_radix(number, radix).ok();
    number.and_then(|number| number.checked_mul(*factor)).ok_or_else(|| QuantityError::TooLarge(text.to_owned()))
}

/// `1536MiB` for `1.5GiB`: `rest` is what follows the whole part.
fn whole(number: &str, rest: &str, units: &[(&'static str, u64)]) -> Option<String> {
    let rest = rest.get(1..)?;
    let (digits, unit) = rest.split_at(rest.find(|character: char| !character.is_ascii_digit()).unwrap_or(rest.len()));
    let (_, factor) = units.iter().find(|(name, _)| *name == unit.trim_start())?;
    let denominator = 10_u64.checked_pow(u32::try_from(digits.len()).ok()?)?;
    let numerator: u64 = format!("{number}{digits}").parse().ok()?;
    let product = numerator.checked_mul(*factor)?;
    let amount = (product % denominator == 0).then_some(product / denominator)?;
    let fits = units.iter().filter(|(name, factor)| !name.is_empty() && amount % factor == 0);
    let largest = fits.max_by_key(|(_, factor)| *factor);
    Some(largest.map_or_else(|| amount.to_string(), |(name, factor)| format!("{}{name}", amount / factor)))
}

/// `M`, `MB` and `mib` all mean `MiB` to somebody.
fn meant(unit: &str, units: &[(&'static str, u64)]) -> Option<&'static str> {
    let first = unit.chars().next()?.to_ascii_lowercase();
    units.iter().map(|(name, _)| *name).find(|name| name.to_ascii_lowercase().starts_with(first))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_bytes_with_binary_units() {
        for (text, bytes) in [("0", 0), ("4096", 4096), ("0x1000", 4096), ("64MiB", 64 << 20), ("1 GiB", 1 << 30)] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn a_wrong_unit_leads_to_the_right_one() {
        for text in ["64MB", "64M", "64mib"] {
            let Err(QuantityError::UnknownUnit { meant, .. }) = parse_size(text) else { panic!("{text} was accepted") };
            assert_eq!(meant, Some("MiB"), "{text}");
        }
    }

    #[test]
    fn a_fraction_leads_to_a_smaller_unit() {
        let meant = |result| match result {
            Err(QuantityError::Fraction { meant, .. }) => meant,
            other => panic!("{other:?}"),
        };
        assert_eq!(meant(parse_duration("1.5s")).as_deref(), Some("1500ms"));
        assert_eq!(meant(parse_duration("0.5")).as_deref(), Some("500ms"));
        assert_eq!(meant(parse_size("1.5 GiB")).as_deref(), Some("1536MiB"));
        assert_eq!(meant(parse_size("0.1KiB")), None);
        assert_eq!(meant(parse_size("1.99999999999999999999999GiB")), None);
    }

    #[test]
    fn sizes_that_overflow_are_refused() {
        assert!(matches!(parse_size("0x10000000000000000"), Err(QuantityError::TooLarge(_))));
        assert!(matches!(parse_size("99999999999GiB"), Err(QuantityError::TooLarge(_))));
        assert!(matches!(parse_size("-1"), Err(QuantityError::NotANumber(_))));
    }

    #[test]
    fn durations_without_a_unit_are_seconds() {
        for (text, milliseconds) in [("10s", 10_000), ("500ms", 500), ("2m", 120_000), ("3", 3000)] {
            assert_eq!(parse_duration(text), Ok(milliseconds), "{text}");
        }
    }
}
