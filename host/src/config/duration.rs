//! Durations as people write them: a whole number and a unit. A number alone is refused: nobody
//! could tell its unit.

/// Milliseconds of `250ms`, `5s`, `30m`, `2h` or `1d`.
///
/// # Errors
/// With what would be right.
pub fn parse_ms(text: &str) -> Result<i64, String> {
    let wrong =
        || format!("{text:?}: expected a whole number and a unit, such as 250ms, 5s, 30m, 2h, 1d");
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits).ok_or_else(wrong)?;
    let unit_ms = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(wrong()),
    };
    let number: i64 = number.parse().map_err(|_| wrong())?;
    number.checked_mul(unit_ms).ok_or_else(wrong)
}

/// The shortest text that [`parse_ms`] reads as `millis`.
pub fn print_ms(millis: i64) -> String {
    let units = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)];
    let whole = units.into_iter().find(|(_, unit_ms)| millis != 0 && millis % unit_ms == 0);
    match whole {
        Some((unit, unit_ms)) => format!("{}{unit}", millis / unit_ms),
        None if millis == 0 => "0s".to_owned(),
        None => format!("{millis}ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_need_a_unit() {
        let table = [
            ("0s", Some(0)),
            ("250ms", Some(250)),
            ("5s", Some(5_000)),
            ("30m", Some(1_800_000)),
            ("2h", Some(7_200_000)),
            ("1d", Some(86_400_000)),
            ("5", None),
            ("", None),
            ("s", None),
            ("1.5h", None),
            ("1 s", None),
            ("-1s", None),
            ("9223372036854775807d", None),
            ("5µs", None),
        ];
        for (text, expected) in table {
            assert_eq!(parse_ms(text).ok(), expected, "{text}");
            if let Some(millis) = expected {
                assert_eq!(print_ms(millis), text);
            }
        }
    }
}
