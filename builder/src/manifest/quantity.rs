//! Sizes, addresses and durations as people write them: `64MiB`, `0x3000000`, `10s`. How each is read, and the one form in
//! which it is written.

use super::yaml::Node;

/// Why a text is no such number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoNumber {
    /// What is wrong with it.
    pub reason: String,
    /// What to write instead.
    pub help: Option<String>,
}

/// A way to write numbers of one sort.
#[derive(Debug)]
pub struct Notation {
    /// What a person can write, for messages.
    pub wanted: &'static str,
    /// Units and what they stand for; the empty one is a number alone.
    units: &'static [(&'static str, u64)],
    /// More units, in which nothing is written.
    only_read: &'static [(&'static str, u64)],
    /// The units, for messages.
    known: &'static str,
    /// Whether people know such numbers by their hexadecimal form.
    hexadecimal: bool,
}

/// Bytes: a decimal or `0x` number, with `KiB`, `MiB` or `GiB` or nothing behind it.
pub const SIZE: Notation = Notation {
    wanted: "a size such as 64MiB or 0x10000",
    units: &[("", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)],
    only_read: &[],
    known: "KiB, MiB and GiB, or none for bytes",
    hexadecimal: false,
};
/// An address or what is in a register, which may be written as a size.
pub const ADDRESS: Notation = Notation { wanted: "a number such as 0x100000 or 1MiB", hexadecimal: true, ..SIZE };
/// A duration in milliseconds: a number with `ms`, `s`, `m` or `h` behind it; without a unit it is seconds.
pub const DURATION: Notation = Notation {
    wanted: "a duration such as 10s or 500ms",
    units: &[("", 1000), ("ms", 1), ("s", 1000), ("m", 60_000)],
    // Not written: the manifests in images are as they always were.
    only_read: &[("h", 3_600_000)],
    known: "ms, s, m and h, or none for seconds",
    hexadecimal: false,
};
/// A decimal or `0x` number.
pub const NUMBER: Notation =
    Notation { wanted: "a whole number", units: &[("", 1)], known: "none: a plain number", ..SIZE };
/// The number of an I/O port.
pub const PORT: Notation = Notation { wanted: "a port number such as 0xF4", hexadecimal: true, ..NUMBER };

impl Notation {
    /// The number that `text` stands for.
    pub fn parse(&self, text: &str) -> Result<u64, NoNumber> {
        let wrong = |reason: String, help| Err(NoNumber { reason, help });
        let trimmed = text.trim();
        let (digits, radix) = match trimmed.strip_prefix("0x").or_else(|| trimmed.strip_prefix("0X")) {
            Some(digits) => (digits, 16),
            None => (trimmed, 10),
        };
        let end = digits.find(|character: char| !character.is_digit(radix)).unwrap_or(digits.len());
        let (number, unit) = digits.split_at(end);
        if number.is_empty() {
            return wrong(format!("`{text}` does not begin with a number"), None);
        }
        if radix == 10 && unit.starts_with(['.', ',']) {
            let help = self.whole(number, unit).map(|whole| format!("write `{whole}`"));
            return wrong(format!("`{text}` has a fraction; only whole numbers are understood"), help);
        }
        let unit = unit.trim_start();
        let Some(factor) = self.factor(unit) else {
            let without = text.trim_end().trim_end_matches(unit).trim_end();
            let help = self.meant(unit).map(|meant| format!("did you mean `{without}{meant}`?"));
            return wrong(format!("`{unit}` is no unit here; the units are {}", self.known), help);
        };
        let number = u64::from_str_radix(number, radix).ok().and_then(|number| number.checked_mul(factor));
        number.map_or_else(|| wrong(format!("`{text}` is too large"), None), Ok)
    }

    /// The one form of `value`: hexadecimal, or in the largest unit that divides it.
    pub fn write(&self, value: u64) -> Node {
        if self.hexadecimal {
            return Node::Text(format!("{value:#x}"));
        }
        match self.in_largest_unit(value).filter(|_| value > 0) {
            Some(text) => Node::Text(text),
            None => Node::Integer(value.into()),
        }
    }

    /// The regular expression, as JSON Schema has them, of the texts that are such a number.
    pub fn pattern(&self) -> String {
        let units: Vec<&str> = self.named_units().chain(self.only_read.iter().copied()).map(|(name, _)| name).collect();
        let unit = if units.is_empty() { String::new() } else { format!(r"\s*({})?", units.join("|")) };
        format!(r"^\s*(0[xX][0-9a-fA-F]+|[0-9]+){unit}\s*$")
    }

    fn named_units(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.units.iter().copied().filter(|(name, _)| !name.is_empty())
    }

    fn factor(&self, unit: &str) -> Option<u64> {
        self.units.iter().chain(self.only_read).find(|(name, _)| *name == unit).map(|(_, factor)| *factor)
    }

    /// `M`, `MB` and `mib` all mean `MiB` to somebody.
    fn meant(&self, unit: &str) -> Option<&'static str> {
        let first = unit.chars().next()?.to_ascii_lowercase();
        self.named_units().map(|(name, _)| name).find(|name| name.to_ascii_lowercase().starts_with(first))
    }

    fn in_largest_unit(&self, value: u64) -> Option<String> {
        let fits = self.named_units().filter(|(_, factor)| value.is_multiple_of(*factor));
        let (name, factor) = fits.max_by_key(|(_, factor)| *factor)?;
        Some(format!("{}{name}", value / factor))
    }

    /// `1536MiB` for `1.5GiB`: `rest` is what follows the whole part.
    fn whole(&self, number: &str, rest: &str) -> Option<String> {
        // Where there are no units, there is no smaller one.
        self.named_units().next()?;
        let rest = rest.get(1..)?;
        let (digits, unit) =
            rest.split_at(rest.find(|character: char| !character.is_ascii_digit()).unwrap_or(rest.len()));
        let factor = self.factor(unit.trim_start())?;
        let denominator = 10_u64.checked_pow(u32::try_from(digits.len()).ok()?)?;
        let numerator: u64 = format!("{number}{digits}").parse().ok()?;
        let product = numerator.checked_mul(factor)?;
        let amount = (product % denominator == 0).then_some(product / denominator)?;
        Some(self.in_largest_unit(amount).unwrap_or_else(|| amount.to_string()))
    }
}

/// The text of a number, with or without a unit. A plain integer means the same as its digits, so that `timeout: 10` and
/// `timeout: "10"` agree.
pub fn digits(node: &Node) -> Option<String> {
    match node {
        Node::Text(text) => Some(text.clone()),
        Node::Integer(number) => Some(number.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_bytes_with_binary_units() {
        for (text, bytes) in [("0", 0), ("4096", 4096), ("0x1000", 4096), ("64MiB", 64 << 20), ("1 GiB", 1 << 30)] {
            assert_eq!(SIZE.parse(text), Ok(bytes), "{text}");
        }
    }

    fn help(result: Result<u64, NoNumber>) -> Option<String> {
        result.unwrap_err().help
    }

    #[test]
    fn a_wrong_unit_leads_to_the_right_one() {
        for text in ["64MB", "64M", "64mib", "64 MB "] {
            assert_eq!(help(SIZE.parse(text)).as_deref(), Some("did you mean `64MiB`?"), "{text}");
        }
        assert_eq!(help(SIZE.parse("64x")), None);
    }

    #[test]
    fn a_fraction_leads_to_a_smaller_unit() {
        assert_eq!(help(DURATION.parse("1.5s")).as_deref(), Some("write `1500ms`"));
        assert_eq!(help(DURATION.parse("0.5")).as_deref(), Some("write `500ms`"));
        assert_eq!(help(SIZE.parse("1.5 GiB")).as_deref(), Some("write `1536MiB`"));
        assert_eq!(help(SIZE.parse("0.1KiB")), None);
        assert_eq!(help(SIZE.parse("1.99999999999999999999999GiB")), None);
        assert_eq!(help(PORT.parse("1.0")), None);
    }

    #[test]
    fn a_number_has_one_written_form() {
        let text = |text: &str| Node::Text(text.to_owned());
        for (notation, value, written) in [
            (SIZE, 64 << 20, text("64MiB")),
            (SIZE, 1536 << 20, text("1536MiB")),
            (SIZE, 1025, Node::Integer(1025)),
            (SIZE, 0, Node::Integer(0)),
            (ADDRESS, 64 << 20, text("0x4000000")),
            (DURATION, 120_000, text("2m")),
            (DURATION, 61_000, text("61s")),
            (DURATION, 1500, text("1500ms")),
            (PORT, 0xf4, text("0xf4")),
        ] {
            assert_eq!(notation.write(value), written);
            assert_eq!(notation.parse(&digits(&written).unwrap()), Ok(value));
        }
    }

    #[test]
    fn sizes_that_overflow_are_refused() {
        for text in ["0x10000000000000000", "99999999999GiB"] {
            assert_eq!(SIZE.parse(text).unwrap_err().reason, format!("`{text}` is too large"));
        }
        assert_eq!(SIZE.parse("-1").unwrap_err().reason, "`-1` does not begin with a number");
    }

    #[test]
    fn durations_without_a_unit_are_seconds() {
        for (text, milliseconds) in [("10s", 10_000), ("500ms", 500), ("2m", 120_000), ("24h", 86_400_000), ("3", 3000)]
        {
            assert_eq!(DURATION.parse(text), Ok(milliseconds), "{text}");
        }
    }
}
