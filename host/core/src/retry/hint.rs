//! `Retry-After`, as a number of milliseconds from now. RFC 9110, sections 10.2.3 and 5.6.7.

use crate::time::{Timestamp, days_from_epoch};

/// Longest value looked at, in bytes: the longest date has 33.
const BYTES_MAX: usize = 64;

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Reads seconds or an HTTP date in any of its three forms. `None` for what cannot be read and for
/// a date that is not in the future: both are ignored by the caller.
pub fn parse(value: &str, now: Timestamp) -> Option<i64> {
    let value = value.trim();
    if value.is_empty() || value.len() > BYTES_MAX || !value.is_ascii() {
        return None;
    }
    if value.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than an i64 holds still mean "very late"; the cap of the schedule does the
        // rest.
        return Some(value.parse::<i64>().unwrap_or(i64::MAX).saturating_mul(1000));
    }
    let at = Timestamp::from_millis(date_secs(value, now)?.checked_mul(1000)?);
    Some(at.millis_since(now)).filter(|&ms| ms > 0)
}

/// Unix seconds of `Sun, 06 Nov 1994 08:49:37 GMT`, `Sunday, 06-Nov-94 08:49:37 GMT` or `Sun Nov  6
/// 08:49:37 1994`.
fn date_secs(value: &str, now: Timestamp) -> Option<i64> {
    let words: Vec<&str> = value.split_ascii_whitespace().collect();
    match words[..] {
        [weekday, day, month, year, time, "GMT"] if weekday.ends_with(',') => {
            unix_secs(number(year, 4)?, month, number(day, 2)?, time)
        }
        [weekday, date, time, "GMT"] if weekday.ends_with(',') => {
            let [day, month, year] = split(date, '-')?;
            unix_secs(full_year(number(year, 2)?, now), month, number(day, 2)?, time)
        }
        [_, month, day, time, year] => {
            unix_secs(number(year, 4)?, month, number(day, day.len().min(2))?, time)
        }
        _ => None,
    }
}

/// A two-digit year more than 50 years ahead is the one a century before it.
fn full_year(two_digits: i64, now: Timestamp) -> i64 {
    let this_year = 1970 + now.as_secs().div_euclid(31_556_952);
    let year = this_year - this_year.rem_euclid(100) + two_digits;
    if year > this_year + 50 { year - 100 } else { year }
}

fn unix_secs(year: i64, month: &str, day: i64, time: &str) -> Option<i64> {
    let month = 1 + i64::try_from(MONTHS.iter().position(|name| *name == month)?).ok()?;
    let [hours, minutes, seconds] = split(time, ':')?;
    let (hours, minutes, seconds) = (number(hours, 2)?, number(minutes, 2)?, number(seconds, 2)?);
    // 60 is a leap second.
    if !(1..=31).contains(&day) || hours > 23 || minutes > 59 || seconds > 60 {
        return None;
    }
    Some(days_from_epoch(year, month, day) * 86_400 + hours * 3_600 + minutes * 60 + seconds)
}

fn split(text: &str, separator: char) -> Option<[&str; 3]> {
    let mut parts = text.split(separator);
    let found = [parts.next()?, parts.next()?, parts.next()?];
    parts.next().is_none().then_some(found)
}

fn number(text: &str, digits: usize) -> Option<i64> {
    let right = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
    if right { text.parse().ok() } else { None }
}
