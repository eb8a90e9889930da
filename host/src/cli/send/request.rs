//! One signed request, and its two printed forms.

use bytes::Bytes;
use hyper::header::{ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderName, USER_AGENT};
use livekit_webhook_wire::sign;
use std::io::Write;

use crate::cli::credentials::KeyPair;

/// LiveKit's own type, so that frameworks leave the body alone until it is verified.
pub const MEDIA_TYPE: &str = "application/webhook+json";
/// What LiveKit calls itself.
pub const AGENT: &str = "LiveKit";

/// Ready to go.
pub struct Signed {
    /// The event's type, or what stands for it when the body came from a file.
    pub kind: String,
    /// The event's id, when it is known.
    pub event_id: Option<String>,
    /// The bytes that are signed.
    pub body: Bytes,
    /// The raw token.
    pub authorization: String,
}

impl Signed {
    /// Signs `body` as LiveKit would at `now_s`.
    pub fn new(
        kind: &str,
        event_id: Option<String>,
        body: Bytes,
        pair: &KeyPair,
        now_s: i64,
    ) -> Self {
        let authorization = sign::authorization(&pair.api_key, &pair.secret, &body, now_s);
        Self { kind: kind.to_owned(), event_id, body, authorization }
    }

    /// The headers LiveKit sends, in its order, without `Host` and `Content-Length`.
    pub fn headers(&self) -> [(HeaderName, &str); 4] {
        [
            (USER_AGENT, AGENT),
            (AUTHORIZATION, &self.authorization),
            (CONTENT_TYPE, MEDIA_TYPE),
            (ACCEPT_ENCODING, "gzip"),
        ]
    }

    /// A request for hyper.
    ///
    /// # Errors
    /// When the key makes a token that cannot stand in a header.
    pub fn to_http(
        &self,
        url: &hyper::Uri,
    ) -> Result<hyper::Request<http_body_util::Full<Bytes>>, hyper::http::Error> {
        let mut request = hyper::Request::post(path_of(url)).header(HOST, host_of(url));
        for (name, value) in self.headers() {
            request = request.header(name, value);
        }
        request.body(http_body_util::Full::new(self.body.clone()))
    }

    /// The exact HTTP/1.1 request: what `verify --request` reads.
    ///
    /// # Errors
    /// When `out` fails.
    pub fn write_http(&self, url: &hyper::Uri, out: &mut dyn Write) -> std::io::Result<()> {
        write!(out, "POST {} HTTP/1.1\r\nHost: {}\r\n", path_of(url), host_of(url))?;
        for (name, value) in self.headers() {
            write!(out, "{}: {value}\r\n", title_case(name.as_str()))?;
        }
        write!(out, "Content-Length: {}\r\n\r\n", self.body.len())?;
        out.write_all(&self.body)
    }

    /// A command for a POSIX shell. `body_file` names where the body came from, when it came from a
    /// file.
    ///
    /// # Errors
    /// When `out` fails.
    pub fn write_curl(
        &self,
        url: &hyper::Uri,
        body_file: Option<&str>,
        out: &mut dyn Write,
    ) -> std::io::Result<()> {
        writeln!(out, "curl --include --request POST {} \\", quoted(&url.to_string()))?;
        for (name, value) in self.headers() {
            let header = format!("{}: {value}", title_case(name.as_str()));
            writeln!(out, "  --header {} \\", quoted(&header))?;
        }
        let data = match body_file {
            Some(file) => quoted(&format!("@{file}")),
            // Only a body from a file can be anything but UTF-8, or begin with curl's `@`.
            None => quoted(&String::from_utf8_lossy(&self.body)),
        };
        writeln!(out, "  --data-binary {data}")
    }
}

/// As Go writes header names.
fn title_case(name: &str) -> String {
    let words = name.split('-').map(|word| {
        let (first, rest) = word.split_at(word.len().min(1));
        first.to_ascii_uppercase() + rest
    });
    words.collect::<Vec<_>>().join("-")
}

/// One word for a POSIX shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

fn path_of(url: &hyper::Uri) -> &str {
    url.path_and_query().map_or("/", |path| path.as_str())
}

/// The authority without a user, as `Host` wants it.
fn host_of(url: &hyper::Uri) -> &str {
    let authority = url.authority().map_or("", |authority| authority.as_str());
    authority.rsplit_once('@').map_or(authority, |(_, host)| host)
}
