//! Semantic Versioning 2.0.0: what is a version, and which of two comes first.

use std::cmp::Ordering;

/// Of a version's text.
const BYTES_MAX: usize = 256;

/// Whether `text` is a version.
pub fn is_semver(text: &str) -> bool {
    let word = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    let (rest, build) = text.split_once('+').map_or((text, None), |(a, b)| (a, Some(b)));
    let (core, pre) = parts(rest);
    text.len() <= BYTES_MAX
        && core.split('.').count() == 3
        && core.split('.').all(is_number)
        && pre.is_none_or(|pre| {
            pre.split('.').all(|part| word(part) && (!is_digits(part) || is_number(part)))
        })
        && build.is_none_or(|build| build.split('.').all(word))
}

/// Which of two versions comes first ("Precedence", 11). What is no version compares by its text.
pub fn precedence(left: &str, right: &str) -> Ordering {
    let without_build = |text| str::split(text, '+').next().unwrap_or_default();
    let (left, left_pre) = parts(without_build(left));
    let (right, right_pre) = parts(without_build(right));
    dotted(left, right).then_with(|| match (left_pre, right_pre) {
        (None, None) => Ordering::Equal,
        // What comes before a release has the release's number.
        (None, Some(_)) => Ordering::Greater,
        (Some(_), None) => Ordering::Less,
        (Some(left), Some(right)) => dotted(left, right),
    })
}

fn parts(text: &str) -> (&str, Option<&str>) {
    text.split_once('-').map_or((text, None), |(core, pre)| (core, Some(pre)))
}

fn dotted(left: &str, right: &str) -> Ordering {
    left.split('.').map(identifier).cmp(right.split('.').map(identifier))
}

/// Numbers come before words, and among themselves by value: a longer one without leading zeros is
/// larger.
fn identifier(text: &str) -> (bool, usize, &str) {
    let is_word = !is_digits(text);
    (is_word, if is_word { 0 } else { text.len() }, text)
}

fn is_digits(part: &str) -> bool {
    part.bytes().all(|b| b.is_ascii_digit())
}

fn is_number(part: &str) -> bool {
    !part.is_empty() && is_digits(part) && (part == "0" || !part.starts_with('0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_in_the_order_of_the_rules() {
        // The example of the specification, and what is easily got wrong.
        let ordered = [
            "0.9.9",
            "0.10.0",
            "1.0.0-alpha",
            "1.0.0-alpha.1",
            "1.0.0-alpha.beta",
            "1.0.0-beta",
            "1.0.0-beta.2",
            "1.0.0-beta.11",
            "1.0.0-rc.1",
            "1.0.0",
            "1.0.99999999999999999999999",
            "2.0.0",
        ];
        for (at, left) in ordered.iter().enumerate() {
            for (other, right) in ordered.iter().enumerate() {
                assert_eq!(precedence(left, right), at.cmp(&other), "{left} and {right}");
            }
        }
        assert_eq!(precedence("1.0.0+build.1", "1.0.0+other"), Ordering::Equal);
        assert!(
            ["1.0", "1.0.0.0", "01.0.0", "1.0.0-", "1.0.0-01", "v1.0.0", ""]
                .iter()
                .all(|text| !is_semver(text))
        );
    }
}
