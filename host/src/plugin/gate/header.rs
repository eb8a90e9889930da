//! Headers that a guest may send: none that belongs to the connection, to a proxy or to us.

use hyper::header::{HeaderName, HeaderValue};

/// On every request of a plugin, so that a gateway knows what comes from one.
pub const HOP: &str = "livekit-webhook-hop";

const FORBIDDEN: [&str; 14] = [
    "connection",
    "content-length",
    "expect",
    "forwarded",
    "host",
    "http2-settings",
    "keep-alive",
    HOP,
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
    "x-real-ip",
];
const FORBIDDEN_PREFIXES: [&str; 3] = ["proxy-", "webhook-", "x-forwarded-"];
/// Of a line, beside its name and its value: `: ` and the end.
const LINE_BYTES: usize = 4;

/// Why a header is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Not a token.
    #[error("a header's name has letters, digits and hyphens only")]
    Name,
    /// A line's end, or another control character.
    #[error("the value of the header {0} has a character that no header may have")]
    Value(String),
    /// Set by the host, or by nobody.
    #[error("the header {0} cannot be set by a plugin")]
    Forbidden(String),
}

/// Whether a guest may not set it.
pub fn is_forbidden(name: &str) -> bool {
    FORBIDDEN.contains(&name) || FORBIDDEN_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// The name in lower case.
pub fn name(name: &str) -> Result<String, Error> {
    let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| Error::Name)?;
    if is_forbidden(name.as_str()) {
        return Err(Error::Forbidden(name.as_str().to_owned()));
    }
    Ok(name.as_str().to_owned())
}

/// Checks a value.
pub fn value(name: &str, value: &str) -> Result<(), Error> {
    match HeaderValue::from_bytes(value.as_bytes()) {
        Ok(_) => Ok(()),
        Err(_) => Err(Error::Value(name.to_owned())),
    }
}

/// What they take on the wire.
pub fn bytes(headers: &[(String, String)]) -> usize {
    headers.iter().map(|(name, value)| name.len() + value.len() + LINE_BYTES).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_a_plugins_cannot_be_set() {
        for forbidden in [
            "Host",
            "HOST",
            "connection",
            "Content-Length",
            "Transfer-Encoding",
            "te",
            "Upgrade",
            "Forwarded",
            "X-Forwarded-For",
            "x-forwarded-anything",
            "X-Real-IP",
            "Proxy-Authorization",
            "webhook-id",
            "Webhook-Signature",
            "Livekit-Webhook-Hop",
        ] {
            assert!(matches!(name(forbidden), Err(Error::Forbidden(_))), "{forbidden}");
        }
        for broken in ["", "a b", "a:b", "a\r\nhost", "ü"] {
            assert_eq!(name(broken), Err(Error::Name), "{broken:?}");
        }
        assert_eq!(name("X-API-Key").as_deref(), Ok("x-api-key"));
    }

    #[test]
    fn a_value_stays_on_its_line() {
        for broken in ["a\r\nHost: b", "a\nb", "a\rb", "a\0b", "\u{7f}"] {
            assert_eq!(value("x", broken), Err(Error::Value("x".to_owned())), "{broken:?}");
        }
        for fine in ["", "Bearer a b", "tab\tbed", "grüße"] {
            assert_eq!(value("x", fine), Ok(()), "{fine:?}");
        }
    }
}
