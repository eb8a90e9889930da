//! HTTP to the hosts the operator granted. Only `#[enrich]` and `#[action]` functions may send.
//!
//! ```
//! use livekit_webhook_plugin::prelude::*;
//! use livekit_webhook_plugin::{http, native, secrets};
//!
//! #[action]
//! fn announce(event: &Event) -> Result<(), Failure> {
//!     let token = secrets::stand_in("token").ok_or("the secret `token` is not configured")?;
//!     http::Request::post("https://api.example.com/v1/rooms")
//!         .header("authorization", format!("Bearer {token}"))
//!         .json(&event.room_name())
//!         .send()?
//!         .success()?;
//!     Ok(())
//! }
//!
//! // In a test, the host's part:
//! native::set_secret("token");
//! native::on_http(|request| {
//!     assert_eq!(request.body, br#""demo""#);
//!     Ok(http::Response { status: 201, ..http::Response::default() })
//! });
//! let event = Event::from_json(r#"{"event":"room_started","room":{"name":"demo"}}"#).unwrap();
//! assert_eq!(announce(&event), Ok(()));
//! ```

use crate::Failure;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A request. Nothing happens until it is sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// Such as `POST`.
    pub method: String,
    /// Absolute, with a granted scheme, host, port and path.
    pub url: String,
    /// Pairs of name and value.
    pub headers: Vec<(String, String)>,
    /// Empty for none.
    pub body: Vec<u8>,
    /// Wait at most this many milliseconds for the whole answer.
    pub timeout_ms: Option<u32>,
    /// What went wrong while it was made: told by [`Request::send`].
    problem: Option<String>,
}

/// An answer of any status.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response {
    /// Such as 200.
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// Decompressed.
    pub body: Vec<u8>,
}

/// Why there is no answer, or not the one that is wanted.
///
/// `?` turns it into a [`Failure`]: what will not work later is rejected, what may is tried again,
/// and for the rest the operator's `on_error` decides. It is no error type of the standard library,
/// because that is what makes this conversion possible; [`Error::text`] is what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// By the operator's grant or the address policy. It will not work later.
    Denied(String),
    /// The request itself cannot be sent.
    Invalid(String),
    /// No answer in time.
    TimedOut(String),
    /// No connection, or it broke.
    Unreachable(String),
    /// The request or the response is over a limit.
    TooLarge(String),
    /// Too many requests for one event.
    TooMany(String),
    /// An answer that [`Response::success`] does not take.
    Status {
        /// Such as 503.
        status: u16,
        /// What `Retry-After` asks for, in milliseconds.
        retry_after_ms: Option<u32>,
    },
    /// Anything else.
    Other(String),
}

// === impl Request ===

impl Request {
    /// A request of any method.
    pub fn new(method: impl Into<String>, url: impl Into<String>) -> Self {
        Self { method: method.into(), url: url.into(), ..Self::default() }
    }

    /// A `GET`.
    pub fn get(url: impl Into<String>) -> Self {
        Self::new("GET", url)
    }

    /// A `POST`.
    pub fn post(url: impl Into<String>) -> Self {
        Self::new("POST", url)
    }

    /// A `PUT`.
    pub fn put(url: impl Into<String>) -> Self {
        Self::new("PUT", url)
    }

    /// A `PATCH`.
    pub fn patch(url: impl Into<String>) -> Self {
        Self::new("PATCH", url)
    }

    /// A `DELETE`.
    pub fn delete(url: impl Into<String>) -> Self {
        Self::new("DELETE", url)
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Sets the body to `value` as JSON, and says so in `content-type` unless that is set.
    #[must_use]
    pub fn json(mut self, value: &impl Serialize) -> Self {
        match serde_json::to_vec(value) {
            Ok(body) => self.body = body,
            Err(error) => self.problem = Some(format!("the body is no JSON: {error}")),
        }
        if !self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
            return self.header("content-type", "application/json");
        }
        self
    }

    /// Waits at most this many milliseconds for the whole answer. Never longer than is left to the
    /// call.
    #[must_use]
    pub fn timeout_ms(mut self, timeout_ms: u32) -> Self {
        self.timeout_ms = Some(timeout_ms);
        self
    }

    /// Sends, and waits for the whole answer, of any status.
    ///
    /// # Errors
    /// When there is no answer.
    pub fn send(self) -> Result<Response, Error> {
        match self.problem {
            Some(problem) => Err(Error::Invalid(problem)),
            None => send(self),
        }
    }
}

// === impl Response ===

impl Response {
    /// Whether the status is 2xx.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// This answer, if its status is 2xx.
    ///
    /// # Errors
    /// [`Error::Status`] else.
    pub fn success(self) -> Result<Self, Error> {
        if self.is_success() {
            return Ok(self);
        }
        let seconds = self.header("retry-after").and_then(|text| text.trim().parse::<u32>().ok());
        let retry_after_ms = seconds.map(|seconds| seconds.saturating_mul(1000));
        Err(Error::Status { status: self.status, retry_after_ms })
    }

    /// The first header of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// The body as text. What is no UTF-8 in it becomes `U+FFFD`.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as a `T`.
    ///
    /// # Errors
    /// When it is none, in serde's words.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_slice(&self.body)
            .map_err(|error| Error::Other(format!("the answer's body: {error}")))
    }
}

// === impl Error ===

impl Error {
    /// What went wrong.
    pub fn text(&self) -> String {
        match self {
            Self::Denied(text) => format!("denied: {text}"),
            Self::Invalid(text)
            | Self::TimedOut(text)
            | Self::Unreachable(text)
            | Self::TooLarge(text)
            | Self::TooMany(text)
            | Self::Other(text) => text.clone(),
            Self::Status { status, .. } => format!("the answer's status is {status}"),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Denied(_) | Error::Invalid(_) => Self::Reject(error.text()),
            Error::TimedOut(_) | Error::Unreachable(_) => Self::Retry(None),
            Error::Status { status: 408 | 429 | 500.., retry_after_ms } => {
                Self::Retry(retry_after_ms)
            }
            Error::Status { .. } => Self::Reject(error.text()),
            Error::TooLarge(_) | Error::TooMany(_) | Error::Other(_) => Self::Other(error.text()),
        }
    }
}

#[cfg(target_arch = "wasm32")]
fn send(request: Request) -> Result<Response, Error> {
    use crate::bindings::base::livekit_webhook::plugin::http as host;
    let Request { method, url, headers, body, timeout_ms, problem: _ } = request;
    let request = host::Request { method, url, headers, body, timeout_ms };
    match host::send(&request) {
        Ok(host::Response { status, headers, body }) => Ok(Response { status, headers, body }),
        Err(error) => Err(match error {
            host::Error::Denied(text) => Error::Denied(text),
            host::Error::Invalid(text) => Error::Invalid(text),
            host::Error::TimedOut(text) => Error::TimedOut(text),
            host::Error::Unreachable(text) => Error::Unreachable(text),
            host::Error::TooLarge(text) => Error::TooLarge(text),
            host::Error::TooMany(text) => Error::TooMany(text),
            host::Error::Other(text) => Error::Other(text),
        }),
    }
}

#[cfg(not(target_arch = "wasm32"))]
fn send(request: Request) -> Result<Response, Error> {
    crate::native::outside::send(request)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_work_later_is_tried_again() {
        let retry = |after_ms| Failure::Retry(after_ms);
        assert_eq!(Failure::from(Error::TimedOut(String::new())), retry(None));
        assert_eq!(Failure::from(Error::Unreachable(String::new())), retry(None));
        let denied = Failure::from(Error::Denied("no".to_owned()));
        assert_eq!(denied, Failure::Reject("denied: no".to_owned()));
        let answer = |status, headers: &[(&str, &str)]| {
            let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
            let headers = headers.iter().map(owned).collect();
            Response { status, headers, body: Vec::new() }.success().map_err(Failure::from)
        };
        assert!(answer(204, &[]).is_ok());
        assert_eq!(answer(503, &[]), Err(retry(None)));
        assert_eq!(answer(429, &[("retry-after", "3")]), Err(retry(Some(3000))));
        assert!(matches!(answer(404, &[]), Err(Failure::Reject(_))));
    }

    #[test]
    fn a_body_that_is_no_json_is_told_when_it_is_sent() {
        let odd: std::collections::BTreeMap<(u8, u8), u8> = [((1, 2), 3)].into();
        let sent = Request::post("https://example.com").json(&odd).send();
        assert!(matches!(sent, Err(Error::Invalid(_))), "{sent:?}");
    }
}
