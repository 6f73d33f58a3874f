//! Time: the only place that asks the operating system for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Serialize, Serializer};
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{Date, OffsetDateTime};

/// Milliseconds of one second.
const SECOND_MILLIS: i64 = 1_000;
/// Milliseconds of one day of 24 hours.
const DAY_MILLIS: i64 = 86_400 * SECOND_MILLIS;

/// Something that tells the time.
pub trait Clock: Send + Sync {
    /// The present instant.
    fn now(&self) -> Timestamp;
}

/// An instant, in milliseconds since 1970-01-01T00:00:00Z: the precision of the KMS's own dates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The instant `millis` milliseconds after the epoch.
    #[must_use]
    pub fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// The instant `seconds` seconds after the epoch, to the millisecond: how AWS JSON 1.1 writes a date.
    #[must_use]
    pub fn from_seconds(seconds: f64) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "the factor is small")]
        let millis = seconds * SECOND_MILLIS as f64;
        #[expect(clippy::cast_possible_truncation, reason = "it saturates at the ends of time")]
        Self(millis.round() as i64)
    }

    /// Milliseconds since the epoch.
    #[must_use]
    pub fn as_millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since the epoch.
    #[must_use]
    pub fn as_seconds(self) -> i64 {
        self.0.div_euclid(SECOND_MILLIS)
    }

    /// This instant and `days` days of 24 hours, at the end of time at most.
    #[must_use]
    pub fn plus_days(self, days: u32) -> Self {
        Self(self.0.saturating_add(i64::from(days).saturating_mul(DAY_MILLIS)))
    }

    /// This instant and `seconds` seconds (negative: before it).
    #[must_use]
    pub fn plus_seconds(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds.saturating_mul(SECOND_MILLIS)))
    }

    /// The extended ISO 8601 form in UTC, to the second, for example `2026-01-02T03:04:05Z`.
    #[must_use]
    pub fn to_iso8601(self) -> String {
        let format = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");
        OffsetDateTime::from_unix_timestamp(self.as_seconds())
            .ok()
            .and_then(|date| date.format(format).ok())
            .unwrap_or_default()
    }

    /// The form of dates within CloudTrail records, in UTC, for example `Jan 2, 2026, 3:04:05 PM`.
    #[must_use]
    pub fn to_cloudtrail_date(self) -> String {
        let format = format_description!(
            "[month repr:short] [day padding:none], [year], [hour repr:12 padding:none]:[minute]:[second] [period]"
        );
        OffsetDateTime::from_unix_timestamp(self.as_seconds())
            .ok()
            .and_then(|date| date.format(format).ok())
            .unwrap_or_default()
    }

    /// Reads a date as conditions of policies write it: `2026-01-02T03:04:05Z` (RFC 3339), a day alone,
    /// or seconds since the epoch.
    #[must_use]
    pub fn parse_iso8601_or_epoch(text: &str) -> Option<Self> {
        let seconds = if let Ok(seconds) = text.parse::<i64>() {
            seconds
        } else if let Ok(instant) = OffsetDateTime::parse(text, &Rfc3339) {
            return i64::try_from(instant.unix_timestamp_nanos() / 1_000_000).ok().map(Self);
        } else {
            let day = Date::parse(text, format_description!("[year]-[month]-[day]")).ok()?;
            day.midnight().assume_utc().unix_timestamp()
        };
        seconds.checked_mul(SECOND_MILLIS).map(Self)
    }

    /// The basic ISO 8601 form that SigV4 uses, for example `20260102T030405Z`.
    #[must_use]
    pub fn to_amz_date(self) -> String {
        let format = format_description!("[year][month][day]T[hour][minute][second]Z");
        OffsetDateTime::from_unix_timestamp(self.as_seconds())
            .ok()
            .and_then(|date| date.format(format).ok())
            .unwrap_or_default()
    }

    /// Reads the basic ISO 8601 form that SigV4 uses, and nothing else.
    #[must_use]
    pub fn parse_amz_date(text: &str) -> Option<Self> {
        let format = format_description!("[year][month][day]T[hour][minute][second]Z");
        // The parser of `time` takes signs and long years; the form has sixteen characters.
        let plain =
            text.len() == 16 && text.bytes().all(|b| b.is_ascii_digit() || b == b'T' || b == b'Z');
        if !plain {
            return None;
        }
        let date = time::PrimitiveDateTime::parse(text, format).ok()?;
        Some(Self(date.assume_utc().unix_timestamp().checked_mul(SECOND_MILLIS)?))
    }
}

/// AWS JSON 1.1 writes a date as seconds since the epoch, with the milliseconds behind the point.
impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[expect(clippy::cast_precision_loss, reason = "dates are far below 2^53 milliseconds")]
        serializer.serialize_f64(self.0 as f64 / SECOND_MILLIS as f64)
    }
}

/// The clock of the machine.
#[derive(Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let millis = match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(after) => i64::try_from(after.as_millis()).unwrap_or(i64::MAX),
            Err(before) => -i64::try_from(before.duration().as_millis()).unwrap_or(i64::MAX),
        };
        Timestamp(millis)
    }
}

/// A clock that runs like another one, ahead of it by as much as a test wants.
pub struct AdjustableClock {
    base: Arc<dyn Clock>,
    ahead_millis: AtomicI64,
}

impl AdjustableClock {
    /// A clock that agrees with `base`.
    #[must_use]
    pub fn new(base: Arc<dyn Clock>) -> Self {
        Self { base, ahead_millis: AtomicI64::new(0) }
    }

    /// Moves the clock forwards by `seconds`.
    pub fn advance_seconds(&self, seconds: i64) {
        self.ahead_millis.fetch_add(seconds.saturating_mul(SECOND_MILLIS), Ordering::SeqCst);
    }

    /// Makes the clock agree with its base again.
    pub fn reset(&self) {
        self.ahead_millis.store(0, Ordering::SeqCst);
    }
}

impl Clock for AdjustableClock {
    fn now(&self) -> Timestamp {
        let ahead = self.ahead_millis.load(Ordering::SeqCst);
        Timestamp(self.base.now().0.saturating_add(ahead))
    }
}

/// A clock that a test sets and moves.
#[derive(Debug)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// A clock that stands at `start`.
    #[must_use]
    pub fn new(start: Timestamp) -> Self {
        Self(AtomicI64::new(start.0))
    }

    /// Moves the clock by `seconds` (negative: backwards).
    pub fn advance_seconds(&self, seconds: i64) {
        self.0.fetch_add(seconds.saturating_mul(SECOND_MILLIS), Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amz_date_round_trips() {
        let date = Timestamp::parse_amz_date("20150830T123600Z").unwrap();
        assert_eq!(date.as_millis(), 1_440_938_160_000);
        assert_eq!(date.to_amz_date(), "20150830T123600Z");
    }

    #[test]
    fn amz_date_is_strict() {
        for text in
            ["", "2015-08-30T12:36:00Z", "20150830T123600", "20150830T123600z", "+0150830T123600Z"]
        {
            assert_eq!(Timestamp::parse_amz_date(text), None, "{text}");
        }
    }

    #[test]
    fn dates_of_policies() {
        for (text, seconds) in [
            ("2026-01-01T00:00:00Z", Some(1_767_225_600)),
            ("2026-01-01T01:30:00+01:30", Some(1_767_225_600)),
            ("2026-01-01", Some(1_767_225_600)),
            ("1767225600", Some(1_767_225_600)),
            ("2026-02-30", None),
            ("", None),
            ("9223372036854775807", None),
        ] {
            let read = Timestamp::parse_iso8601_or_epoch(text);
            assert_eq!(read.map(Timestamp::as_seconds), seconds, "{text}");
        }
        assert_eq!(Timestamp::from_millis(1_767_225_600_999).to_iso8601(), "2026-01-01T00:00:00Z");
    }

    #[test]
    fn serialises_as_seconds() {
        let date = Timestamp::from_millis(1_700_000_000_123);
        assert_eq!(serde_json::to_string(&date).unwrap(), "1700000000.123");
    }
}
