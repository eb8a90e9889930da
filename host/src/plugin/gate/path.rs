//! Paths that mean what they say.
//!
//! A rule may end at a path's beginning. A path that another reader would resolve to one outside of
//! it is refused, however the way out is written: plain, percent-encoded once or several times, with
//! a backslash, or with parameters that some servers cut off.

/// How often a path may be percent-encoded over and over.
const ROUNDS_MAX: usize = 3;

/// Why a path is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// `.` or `..`.
    #[error("the path has a segment that is `.` or `..`: write the path that is meant")]
    DotSegment,
    /// Nobody can tell what it means.
    #[error("the path is percent-encoded more than {ROUNDS_MAX} times")]
    Encoded,
}

/// Checks a path without its query.
pub fn check(path: &str) -> Result<(), Error> {
    let mut path = path.as_bytes().to_vec();
    for _ in 0..=ROUNDS_MAX {
        let is_dots = |segment: &[u8]| {
            let name = segment.split(|&byte| byte == b';').next().unwrap_or_default();
            matches!(name, b"." | b"..")
        };
        if path.split(|byte| matches!(byte, b'/' | b'\\')).any(is_dots) {
            return Err(Error::DotSegment);
        }
        let decoded = decoded(&path);
        if decoded == path {
            return Ok(());
        }
        path = decoded;
    }
    Err(Error::Encoded)
}

fn decoded(path: &[u8]) -> Vec<u8> {
    let digit =
        |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut out = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        let hex = if byte == b'%' { after.get(..2) } else { None };
        match hex.and_then(|hex| Some(digit(hex.first()?)? * 16 + digit(hex.last()?)?)) {
            Some(decoded) => {
                out.push(decoded);
                rest = after.get(2..).unwrap_or_default();
            }
            None => out.push(byte),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_leads_where_it_says() {
        for path in ["/", "/v1/rooms", "/v1/a.b", "/v1/...", "/v1/%20x", "/v1//x", "/.well-known"] {
            assert_eq!(check(path), Ok(()), "{path}");
        }
        for path in [
            "/v1/..",
            "/v1/../admin",
            "/v1/./x",
            "/v1/%2e%2e/admin",
            "/v1/.%2E/admin",
            "/v1/..%2fadmin",
            "/v1/..%5cadmin",
            "/v1/%252e%252e/admin",
            "/v1/..;x=1/admin",
            "/v1/%2e%2e%3bx/admin",
        ] {
            assert_eq!(check(path), Err(Error::DotSegment), "{path}");
        }
        assert_eq!(check("/v1/%2525252525252e"), Err(Error::Encoded));
    }
}
