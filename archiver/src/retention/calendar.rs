//! Periods and spans of the calendar, in UTC.

use std::fmt;
use std::str::FromStr;

use time::{Date, Duration, Month, OffsetDateTime};

use crate::entry::Timestamp;

/// Greatest number in front of one unit of a [`Span`].
const UNITS_MAX: u32 = 100_000;

/// What a rule counts: of each of the latest so many periods, the last snapshot is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Period {
    /// No period: every snapshot counts.
    Snapshot,
    /// An hour.
    Hour,
    /// A day.
    Day,
    /// A week that begins on Monday.
    Week,
    /// A month.
    Month,
    /// A year.
    Year,
}

/// A length of time by the calendar, such as `1y6m` or `14d`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    years: u32,
    months: u32,
    weeks: u32,
    days: u32,
    hours: u32,
}

/// A text that is no span.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "\"{0}\" is no length of time: write numbers with y, m, w, d or h behind each, such as 1y6m or 14d"
)]
pub struct MalformedSpan(String);

impl Period {
    /// Every period, the shortest first.
    pub const ALL: [Self; 6] =
        [Self::Snapshot, Self::Hour, Self::Day, Self::Week, Self::Month, Self::Year];

    /// The period's number, which ascends with time; `None` for [`Period::Snapshot`], of which no
    /// two share one.
    pub(super) fn number(self, time: Timestamp) -> Option<i64> {
        const HOUR: i64 = 3600;
        const DAY: i64 = 24 * HOUR;
        let days = time.seconds.div_euclid(DAY);
        Some(match self {
            Self::Snapshot => return None,
            Self::Hour => time.seconds.div_euclid(HOUR),
            Self::Day => days,
            // 1 January 1970 was a Thursday.
            Self::Week => (days + 3).div_euclid(7),
            Self::Month => months_of(date_of(time)),
            Self::Year => i64::from(date_of(time).year()),
        })
    }

    /// What a snapshot is called that is kept for its period.
    #[must_use]
    pub const fn adjective(self) -> &'static str {
        match self {
            Self::Snapshot => "last",
            Self::Hour => "hourly",
            Self::Day => "daily",
            Self::Week => "weekly",
            Self::Month => "monthly",
            Self::Year => "yearly",
        }
    }
}

impl Span {
    /// The time that lies this span before `time`. Where a month has no such day, its last one.
    #[must_use]
    pub fn before(&self, time: Timestamp) -> Timestamp {
        let date = date_of(time);
        let back = i64::from(self.years) * 12 + i64::from(self.months);
        let earlier = in_month(months_of(date).saturating_sub(back), date.day());
        let days = (date - earlier).whole_days() + i64::from(self.weeks) * 7 + i64::from(self.days);
        let seconds = days * Duration::DAY.whole_seconds()
            + i64::from(self.hours) * Duration::HOUR.whole_seconds();
        Timestamp { seconds: time.seconds.saturating_sub(seconds), ..time }
    }
}

/// The day of a time; the calendar's first or last one beyond its ends.
fn date_of(time: Timestamp) -> Date {
    let fallback = if time.seconds < 0 { Date::MIN } else { Date::MAX };
    OffsetDateTime::from_unix_timestamp(time.seconds).map_or(fallback, OffsetDateTime::date)
}

fn months_of(date: Date) -> i64 {
    i64::from(date.year()) * 12 + i64::from(u8::from(date.month())) - 1
}

/// Day `day` of the month with this number, or its last day where there is no such.
fn in_month(months: i64, day: u8) -> Date {
    let year = i32::try_from(months.div_euclid(12)).unwrap_or(i32::MIN);
    let number = u8::try_from(months.rem_euclid(12) + 1).unwrap_or(1);
    let month = Month::try_from(number).unwrap_or(Month::January);
    Date::from_calendar_date(year, month, day.min(month.length(year))).unwrap_or(Date::MIN)
}

impl FromStr for Span {
    type Err = MalformedSpan;

    fn from_str(text: &str) -> Result<Self, MalformedSpan> {
        let malformed = || MalformedSpan(text.to_owned());
        let mut span = Self::default();
        let mut rest = text;
        while !rest.is_empty() {
            let end = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(malformed)?;
            let (digits, unit) = rest.split_at(end);
            let count: u32 = digits.parse().map_err(|_| malformed())?;
            let mut unit = unit.chars();
            let field = match unit.next() {
                Some('y') => &mut span.years,
                Some('m') => &mut span.months,
                Some('w') => &mut span.weeks,
                Some('d') => &mut span.days,
                Some('h') => &mut span.hours,
                _ => return Err(malformed()),
            };
            if count > UNITS_MAX || *field != 0 {
                return Err(malformed());
            }
            *field = count;
            rest = unit.as_str();
        }
        if span == Self::default() { Err(malformed()) } else { Ok(span) }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { years, months, weeks, days, hours } = *self;
        for (count, unit) in [(years, 'y'), (months, 'm'), (weeks, 'w'), (days, 'd'), (hours, 'h')]
        {
            if count > 0 {
                write!(f, "{count}{unit}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use time::macros::datetime;

    use super::*;

    fn at(time: OffsetDateTime) -> Timestamp {
        Timestamp { seconds: time.unix_timestamp(), nanoseconds: 0 }
    }

    #[test]
    fn periods_begin_where_the_calendar_says() {
        // The second before and the second at which a new period begins.
        for (period, before, begin) in [
            (Period::Hour, datetime!(2024-02-29 22:59:59 UTC), datetime!(2024-02-29 23:00 UTC)),
            (Period::Day, datetime!(1969-12-31 23:59:59 UTC), datetime!(1970-01-01 0:00 UTC)),
            (Period::Week, datetime!(2026-11-22 23:59:59 UTC), datetime!(2026-11-23 0:00 UTC)),
            (Period::Month, datetime!(2024-02-29 23:59:59 UTC), datetime!(2024-03-01 0:00 UTC)),
            (Period::Year, datetime!(2023-12-31 23:59:59 UTC), datetime!(2024-01-01 0:00 UTC)),
        ] {
            let (before, begin) = (period.number(at(before)), period.number(at(begin)));
            assert_eq!(before.map(|number| number + 1), begin, "{period:?}");
        }
        let last = datetime!(2026-11-29 23:59:59 UTC);
        let first = datetime!(2026-11-23 0:00 UTC);
        assert_eq!(Period::Week.number(at(first)), Period::Week.number(at(last)));
    }

    #[test]
    fn spans_count_back_by_the_calendar() {
        for (span, wanted) in [
            ("1y", datetime!(2023-02-28 12:00 UTC)),
            ("1m", datetime!(2024-01-29 12:00 UTC)),
            ("12m", datetime!(2023-02-28 12:00 UTC)),
            ("1y1m", datetime!(2023-01-29 12:00 UTC)),
            ("2w1d", datetime!(2024-02-14 12:00 UTC)),
            ("25h", datetime!(2024-02-28 11:00 UTC)),
        ] {
            let from = at(datetime!(2024-02-29 12:00 UTC));
            assert_eq!(span.parse::<Span>().unwrap().before(from), at(wanted), "{span}");
        }
    }

    #[test]
    fn what_is_no_span_is_refused() {
        let most = format!("{UNITS_MAX}d");
        assert!(most.parse::<Span>().is_ok());
        let more = format!("{}d", UNITS_MAX + 1);
        for bad in ["", "0d", "7", "d", "-1d", "1x", "1d1d", "1d ", "99999999999y", more.as_str()] {
            assert!(bad.parse::<Span>().is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn any_span_before_any_time_is_earlier_and_reads_back(
            seconds in -10_i64.pow(12)..10_i64.pow(12),
            (years, months, weeks) in (0_u32..=UNITS_MAX, 0_u32..=UNITS_MAX, 0_u32..=UNITS_MAX),
            (days, hours) in (0_u32..=UNITS_MAX, 0_u32..=UNITS_MAX),
        ) {
            let span = Span { years, months, weeks, days, hours };
            let time = Timestamp { seconds, nanoseconds: 5 };
            prop_assert!(span.before(time) <= time);
            if span != Span::default() {
                prop_assert_eq!(span.to_string().parse::<Span>(), Ok(span));
            }
        }
    }
}
