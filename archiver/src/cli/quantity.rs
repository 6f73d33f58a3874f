//! Sizes and times as they are written on a command line.

use strongroom::entry::Timestamp;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{Date, OffsetDateTime};

/// A number of bytes: digits, and k, M, G or T for powers of 1000, Ki, Mi, Gi or Ti for powers of
/// 1024; a B behind that says nothing more.
pub(super) fn bytes(text: &str) -> Result<u64, String> {
    let malformed = || "it is no size such as 500k, 10M or 4GiB".to_owned();
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    let number: u64 = digits.parse().map_err(|_| malformed())?;
    let factor: u64 = match unit.strip_suffix('B').unwrap_or(unit) {
        "" => 1,
        "k" | "K" => 1000,
        "M" => 1000 * 1000,
        "G" => 1000 * 1000 * 1000,
        "T" => 1000 * 1000 * 1000 * 1000,
        "Ki" => 1 << 10,
        "Mi" => 1 << 20,
        "Gi" => 1 << 30,
        "Ti" => 1 << 40,
        _ => return Err(malformed()),
    };
    number.checked_mul(factor).ok_or_else(|| "it is too large".to_owned())
}

/// A day, or a time as RFC 3339 writes it; a day begins at midnight UTC.
pub(super) fn time(text: &str) -> Result<Timestamp, String> {
    let day = Date::parse(text, format_description!("[year]-[month]-[day]"));
    let time = match day {
        Ok(day) => day.midnight().assume_utc(),
        Err(_) => OffsetDateTime::parse(text, &Rfc3339).map_err(
            |_| "it is no day such as 2026-11-30 and no time such as 2026-11-30T12:00:00Z",
        )?,
    };
    Ok(Timestamp { seconds: time.unix_timestamp(), nanoseconds: time.nanosecond() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_decimal_and_binary_units() {
        for (text, size) in [
            ("0", 0),
            ("7B", 7),
            ("500k", 500_000),
            ("10MB", 10_000_000),
            ("4GiB", 4 << 30),
            ("2Ti", 2 << 40),
            ("18446744073709551615", u64::MAX),
        ] {
            assert_eq!(bytes(text), Ok(size), "{text}");
        }
        for bad in ["", "M", "-1", "1.5G", "1 k", "1m", "18446744073709551616", "99999999999T"] {
            assert!(bytes(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn times_are_days_or_rfc_3339() {
        let seconds = |text| time(text).map(|time| time.seconds);
        assert_eq!(seconds("1970-01-02"), Ok(86_400));
        assert_eq!(seconds("1970-01-01T01:00:00+01:00"), Ok(0));
        for bad in ["", "yesterday", "1970-13-01", "1970-01-01T00:00"] {
            assert!(time(bad).is_err(), "{bad:?}");
        }
    }
}
