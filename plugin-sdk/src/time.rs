//! Times as text. A plugin has no clock; these are the times that events tell.

/// Days from 0000-03-01 to 1970-01-01 in the proleptic Gregorian calendar.
const DAYS_TO_1970: i64 = 719_468;
/// Days of 400 years, after which the calendar repeats.
const DAYS_OF_ERA: i64 = 146_097;
const NS_OF_SECOND: i64 = 1_000_000_000;

/// RFC 3339 in UTC, of milliseconds since 1970: `2026-11-23T20:34:25.137Z`, without the fraction
/// when it is zero.
pub fn rfc3339_ms(ms: u64) -> String {
    let seconds = i64::try_from(ms / 1000).unwrap_or(i64::MAX);
    write(seconds, (ms % 1000) * 1_000_000)
}

/// RFC 3339 in UTC, of nanoseconds since 1970, with as many digits as are needed.
pub fn rfc3339_ns(ns: i64) -> String {
    write(ns.div_euclid(NS_OF_SECOND), ns.rem_euclid(NS_OF_SECOND).unsigned_abs())
}

fn write(seconds: i64, ns: u64) -> String {
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = date(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let mut text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
    if ns > 0 {
        let fraction = format!(".{ns:09}");
        // Groups of three, as other programs write them.
        let digits = match ns {
            ns if ns % 1_000_000 == 0 => 4,
            ns if ns % 1_000 == 0 => 7,
            _ => 10,
        };
        text.push_str(&fraction[..digits]);
    }
    text.push('Z');
    text
}

/// Year, month and day of a number of days since 1970: years that begin in March have their odd
/// day at the end, so the months before it always have the same lengths.
fn date(days: i64) -> (i64, i64, i64) {
    let days = days.saturating_add(DAYS_TO_1970);
    let (era, day_of_era) = (days.div_euclid(DAYS_OF_ERA), days.rem_euclid(DAYS_OF_ERA));
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests;
