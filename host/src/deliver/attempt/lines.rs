//! Headers as lines of the attempt log, without secrets and within a limit.

use hyper::HeaderMap;
use hyper::header::HeaderValue;

/// Most bytes of the lines kept of one request or one answer.
pub const HEADER_LINES_BYTES_MAX: usize = 8 * 1024;
/// Longest value shown, in bytes.
const VALUE_BYTES_MAX: usize = 1_024;

/// Headers whose values are secrets, whoever set them.
const SECRET: [&str; 6] = [
    "authorization",
    "cookie",
    "proxy-authorization",
    "set-cookie",
    "webhook-signature",
    "x-api-key",
];

/// `name: value`, a line each, in the order of the map. A value that is marked as sensitive or is
/// known to be secret is `[redacted]`; what is no printable ASCII is shown as escapes. Past
/// [`HEADER_LINES_BYTES_MAX`] a last line says how many are left out.
pub fn lines(headers: &HeaderMap) -> String {
    let mut text = String::new();
    for (count, (name, value)) in headers.iter().enumerate() {
        let line = format!("{name}: {}\n", shown(name.as_str(), value));
        // Room for the last line.
        if text.len() + line.len() > HEADER_LINES_BYTES_MAX - 64 {
            text.push_str(&format!("({} more)\n", headers.len() - count));
            break;
        }
        text.push_str(&line);
    }
    text
}

fn shown(name: &str, value: &HeaderValue) -> String {
    if value.is_sensitive() || SECRET.contains(&name) {
        return "[redacted]".to_owned();
    }
    let bytes = value.as_bytes();
    let start = bytes.get(..VALUE_BYTES_MAX).unwrap_or(bytes);
    let rest = if start.len() < bytes.len() { "…" } else { "" };
    format!("{}{rest}", start.escape_ascii())
}

#[cfg(test)]
mod tests;
