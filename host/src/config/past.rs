//! Points in time as people type them: `1h` (ago), `09:00` (the last time it was), a date, RFC
//! 3339, or seconds since the epoch. All in UTC unless an offset says otherwise.

use super::duration::parse_ms;
use super::instant;
use livekit_webhook_core::time::Timestamp;

const DAY_S: i64 = 86_400;

/// Unix seconds from `1795435200` or `2026-11-23T12:00:00Z` (also with a fraction, or an offset
/// like `+01:00`).
///
/// # Errors
/// What would be right.
pub fn parse_seconds(text: &str) -> Result<i64, String> {
    absolute(text)
        .map(Timestamp::as_secs)
        .ok_or_else(|| "expected unix seconds or 2026-11-23T12:00:00Z".to_owned())
}

/// A time in the past, as seen from `now`: `15m`, `1h` or `2d` ago; `09:00` or `09:00:30`, the last
/// time the clock showed it; `2026-11-23`, its beginning; and what [`parse_seconds`] reads.
///
/// # Errors
/// What would be right.
pub fn parse(text: &str, now: Timestamp) -> Result<Timestamp, String> {
    let wrong = || {
        format!(
            "{text:?}: expected a span such as 15m or 1h (ago), a time such as 09:00, a date such \
             as 2026-11-23, or 2026-11-23T09:00:00Z"
        )
    };
    if let Ok(ago_ms) = parse_ms(text) {
        return Ok(now.plus_millis(-ago_ms));
    }
    if let Some(second) = time_of_day(text) {
        let today = now.as_secs().div_euclid(DAY_S);
        let at = Timestamp::from_millis((today * DAY_S + second) * 1_000);
        return Ok(if at > now { at.plus_millis(-DAY_S * 1_000) } else { at });
    }
    if text.len() == 10
        && let Some(at) = absolute(&format!("{text}T00:00:00Z"))
    {
        return Ok(at);
    }
    absolute(text).ok_or_else(wrong)
}

fn absolute(text: &str) -> Option<Timestamp> {
    match text.parse::<i64>() {
        Ok(seconds) => seconds.checked_mul(1_000).map(Timestamp::from_millis),
        Err(_) => instant::read(text),
    }
}

/// Seconds since midnight of `09:00` or `09:00:30`.
fn time_of_day(text: &str) -> Option<i64> {
    let parts: Vec<&str> = text.split(':').collect();
    let number = |part: &str, max: i64| -> Option<i64> {
        let is_number = part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| part.parse().ok())?.filter(|number| *number <= max)
    };
    match parts[..] {
        [hour, minute] => Some(number(hour, 23)? * 3_600 + number(minute, 59)? * 60),
        [hour, minute, second] => {
            Some(number(hour, 23)? * 3_600 + number(minute, 59)? * 60 + number(second, 59)?)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-23T12:00:00Z
    const NOON: Timestamp = Timestamp::from_millis(1_795_435_200_000);

    #[track_caller]
    fn check(text: &str, expected: Option<&str>) {
        let found = parse(text, NOON).ok().map(|at| at.to_string());
        assert_eq!(found.as_deref(), expected, "{text}");
    }

    #[test]
    fn a_span_is_ago_and_a_time_is_the_last_one() {
        check("1h", Some("2026-11-23T11:00:00.000Z"));
        check("0s", Some("2026-11-23T12:00:00.000Z"));
        check("2d", Some("2026-11-21T12:00:00.000Z"));
        check("09:00", Some("2026-11-23T09:00:00.000Z"));
        check("12:00", Some("2026-11-23T12:00:00.000Z"));
        check("12:00:01", Some("2026-11-22T12:00:01.000Z"));
        check("23:59", Some("2026-11-22T23:59:00.000Z"));
        check("2026-11-20", Some("2026-11-20T00:00:00.000Z"));
        check("2026-11-23T09:00:00Z", Some("2026-11-23T09:00:00.000Z"));
        check("2026-11-23 09:00:00+01:00", Some("2026-11-23T08:00:00.000Z"));
        check("2026-11-23T09:00:00.25Z", Some("2026-11-23T09:00:00.250Z"));
        check("1795435200", Some("2026-11-23T12:00:00.000Z"));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "now",
            "9:00",
            "24:00",
            "09:60",
            "09:00:",
            "2026-13-01",
            "2026-02-30",
            "2026-1-1",
            "2026-11-23T12:00:00",
            "2026-11-23T12:00:00.Z",
            "1h30m",
            "é",
            "-1h",
            "9223372036854775807",
        ] {
            check(text, None);
        }
    }

    #[test]
    fn what_is_printed_is_read_again() {
        for millis in [0, 1, 1_795_435_200_123, 951_827_696_789] {
            let at = Timestamp::from_millis(millis);
            assert_eq!(parse(&at.to_string(), NOON), Ok(at));
        }
    }
}
