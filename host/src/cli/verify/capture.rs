//! A request as somebody saved it: an optional request line, headers, an empty line, the body.

/// Most header lines read.
pub const HEADERS_MAX: usize = 256;

/// A captured request. Values are bytes: what arrives need not be text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capture {
    /// Names as captured, values without white space around them.
    pub headers: Vec<(String, Vec<u8>)>,
    /// What the receiver hashes.
    pub body: Vec<u8>,
    /// What was odd about the capture, in plain words.
    pub notes: Vec<String>,
}

/// Why a capture cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Neither `Name: value` nor a request line.
    #[error("line {line}: expected `Name: value`, or an empty line before the body")]
    Header {
        /// Counted from 1.
        line: usize,
    },
    /// Over the limit.
    #[error("more than {HEADERS_MAX} header lines")]
    TooManyHeaders,
    /// No bytes at all.
    #[error("the request is empty: expected header lines, an empty line and the body")]
    Empty,
}

// === impl Capture ===

impl Capture {
    /// From a raw HTTP request. `Content-Length` and `Transfer-Encoding: chunked` are honoured.
    ///
    /// # Errors
    /// When the headers cannot be read.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.is_empty() {
            return Err(Error::Empty);
        }
        let (mut headers, rest) = split_headers(bytes)?;
        // An own `Content-Length` cannot be trusted beside chunks; RFC 9112, section 6.3.
        let mut notes = Vec::new();
        let mut body = rest.to_vec();
        if value(&headers, "transfer-encoding").is_some_and(|v| v.eq_ignore_ascii_case(b"chunked"))
        {
            match unchunk(rest) {
                Some(whole) => body = whole,
                None => notes.push(
                    "it says chunked, but the body holds no chunks: taken as it stands".to_owned(),
                ),
            }
        } else if let Some(length) = value(&headers, "content-length").and_then(number) {
            if body.len() > length {
                let over = body.len() - length;
                notes.push(format!(
                    "{over} bytes after Content-Length ({length}) do not belong to the request \
                     and were left out"
                ));
                body.truncate(length);
            } else if body.len() < length {
                notes.push(format!(
                    "Content-Length says {length} bytes, the capture holds only {}",
                    body.len()
                ));
            }
        }
        headers.retain(|(name, _)| !name.is_empty());
        Ok(Self { headers, body, notes })
    }

    /// From two files.
    ///
    /// # Errors
    /// When the headers cannot be read.
    pub fn from_parts(headers: &[u8], body: Vec<u8>) -> Result<Self, Error> {
        let (headers, _) = split_headers(headers)?;
        Ok(Self { headers, body, notes: Vec::new() })
    }

    /// All values of a header.
    pub fn values<'c>(&'c self, name: &'c str) -> impl Iterator<Item = &'c [u8]> {
        let named = self.headers.iter().filter(move |(n, _)| n.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_slice())
    }
}

type Headers = Vec<(String, Vec<u8>)>;

fn split_headers(bytes: &[u8]) -> Result<(Headers, &[u8]), Error> {
    let mut headers = Vec::new();
    let mut rest = bytes;
    let mut line_number = 0;
    while !rest.is_empty() {
        line_number += 1;
        let end = rest.iter().position(|byte| *byte == b'\n');
        let (line, after) = match end {
            Some(end) => {
                (rest.get(..end).unwrap_or_default(), rest.get(end + 1..).unwrap_or_default())
            }
            None => (rest, [].as_slice()),
        };
        rest = after;
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            break;
        }
        if headers.len() >= HEADERS_MAX {
            return Err(Error::TooManyHeaders);
        }
        if line_number == 1 && is_request_line(line) {
            continue;
        }
        let colon = line.iter().position(|byte| *byte == b':');
        let name = colon.and_then(|at| line.get(..at)).unwrap_or_default();
        let name = std::str::from_utf8(name).unwrap_or_default();
        if name.is_empty() || name.contains(|c: char| c.is_whitespace()) {
            return Err(Error::Header { line: line_number });
        }
        let value = line.get(name.len() + 1..).unwrap_or_default();
        headers.push((name.to_owned(), value.trim_ascii().to_vec()));
    }
    Ok((headers, rest))
}

fn is_request_line(line: &[u8]) -> bool {
    let version = line.rsplit(|byte| *byte == b' ').next().unwrap_or_default();
    version.starts_with(b"HTTP/")
}

fn value<'h>(headers: &'h Headers, name: &str) -> Option<&'h [u8]> {
    let found = headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name));
    found.map(|(_, value)| value.as_slice())
}

fn number(text: &[u8]) -> Option<usize> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// RFC 9112, section 7.1. Trailers are not looked at.
fn unchunk(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = rest.windows(2).position(|pair| pair == b"\r\n")?;
        let size = std::str::from_utf8(rest.get(..end)?).ok()?;
        let size = usize::from_str_radix(size.split(';').next()?.trim(), 16).ok()?;
        rest = rest.get(end + 2..)?;
        if size == 0 {
            return Some(body);
        }
        body.extend_from_slice(rest.get(..size)?);
        rest = rest.get(size..)?.strip_prefix(b"\r\n")?;
    }
}
