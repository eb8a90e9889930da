//! Points in time as people write them: RFC 3339 with its offset, as a string or as TOML's own.

use super::reader::{Section, kind};
use livekit_webhook_core::time::{Timestamp, days_from_epoch};
use toml::Value;
use toml::value::{Datetime, Offset};

/// A member that holds a time. An error when a problem was noted.
pub fn take(section: &mut Section, key: &'static str) -> Result<Option<Timestamp>, ()> {
    let hint = "expected a time with its offset, such as \"2026-12-01T00:00:00Z\"";
    let parsed = match section.value(key) {
        None => return Ok(None),
        Some(Value::Datetime(datetime)) => timestamp(&datetime),
        Some(Value::String(text)) => read(&text),
        Some(other) => {
            section.problem(key, format_args!("{hint}, found {}", kind(&other)));
            return Err(());
        }
    };
    parsed.map(Some).ok_or_else(|| section.problem(key, hint))
}

/// RFC 3339 with its offset.
pub fn read(text: &str) -> Option<Timestamp> {
    text.parse().ok().as_ref().and_then(timestamp)
}

/// `None` without a date, a time of day or an offset: nobody could tell when it is.
fn timestamp(datetime: &Datetime) -> Option<Timestamp> {
    let (date, time) = (datetime.date?, datetime.time?);
    let offset_min = match datetime.offset? {
        Offset::Z => 0,
        Offset::Custom { minutes } => i64::from(minutes),
    };
    let days = days_from_epoch(date.year.into(), date.month.into(), date.day.into());
    let minutes = days * 1_440 + i64::from(time.hour) * 60 + i64::from(time.minute) - offset_min;
    let seconds = minutes * 60 + i64::from(time.second.unwrap_or(0));
    let millis = i64::from(time.nanosecond.unwrap_or(0)) / 1_000_000;
    Some(Timestamp::from_millis(seconds * 1_000 + millis))
}

/// The text that [`take`] reads as `at`, in UTC.
pub fn print(at: Timestamp) -> String {
    let (days, millis) =
        (at.as_millis().div_euclid(86_400_000), at.as_millis().rem_euclid(86_400_000));
    let (year, month, day) = civil(days);
    let (hour, minute) = (millis / 3_600_000, millis / 60_000 % 60);
    let (second, millis) = (millis / 1_000 % 60, millis % 1_000);
    let fraction = if millis == 0 { String::new() } else { format!(".{millis:03}") };
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}Z")
}

/// The reverse of [`days_from_epoch`]: the year is near its days by 365.2425, and the month and the
/// day are found by counting.
fn civil(days: i64) -> (i64, i64, i64) {
    let mut year = 1970 + days.saturating_mul(400) / 146_097;
    while days_from_epoch(year, 1, 1) > days {
        year -= 1;
    }
    while days_from_epoch(year + 1, 1, 1) <= days {
        year += 1;
    }
    let month = (2..=12).take_while(|&month| days_from_epoch(year, month, 1) <= days).last();
    let month = month.unwrap_or(1);
    (year, month, days - days_from_epoch(year, month, 1) + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn times_have_an_offset() {
        for (text, expect) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2026-12-01T00:00:00Z", Some(1_796_083_200_000)),
            ("2026-12-01 01:00:00.250+01:00", Some(1_796_083_200_250)),
            ("2024-02-29T23:59:59-00:30", Some(1_709_252_999_000)),
            ("2026-12-01T00:00:00", None),
            ("2026-12-01", None),
            ("00:00:00Z", None),
            ("2026-02-30T00:00:00Z", None),
            ("soon", None),
        ] {
            assert_eq!(read(text).map(Timestamp::as_millis), expect, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_again(millis in 0i64..253_402_300_800_000) {
            let at = Timestamp::from_millis(millis);
            prop_assert_eq!(read(&print(at)), Some(at));
        }
    }
}
