//! What a sender is told. Strangers get a stable code; the exact reason goes to the log and the
//! metrics.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};

/// Set on the answer to an event that was here before.
pub const DUPLICATE_HEADER: HeaderName = HeaderName::from_static("webhook-duplicate");
/// Set on the answer to an event whose type the source does not take.
pub const FILTERED_HEADER: HeaderName = HeaderName::from_static("webhook-filtered");

/// The end of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Committed and synced.
    Stored,
    /// Was here before, to the byte.
    Duplicate,
    /// Another body under a known id: kept, not planned.
    Conflict,
    /// A type this source does not take.
    Filtered,
    /// Not authentic, kept apart by `on_unverified = "quarantine"`.
    QuarantinedUnverified,
    /// Not authentic. The public code of the class.
    Refused(&'static str),
    /// Authentic but unusable; kept in quarantine.
    Unusable(&'static str),
    /// Over the body limit; its beginning is kept in quarantine.
    TooLarge,
    /// Not POST.
    Method,
    /// Not our path.
    Path,
    /// A Content-Encoding.
    Encoding,
    /// The body did not come in time.
    Slow,
    /// The body broke off or was not framed as HTTP demands.
    Broken,
    /// Over a rate: `source_rate` or `peer_rate`.
    Limited(&'static str),
    /// Cannot store now. The word for the log: `store`, `full`, `deadline`, `body_room`, `no_keys`,
    /// `no_source`.
    Unavailable(&'static str),
}

// === impl Answer ===

impl Answer {
    /// The word of the `answer` label.
    pub fn label(self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::Duplicate => "duplicate",
            Self::Conflict => "conflict",
            Self::Filtered => "filtered",
            Self::QuarantinedUnverified => "quarantined",
            Self::Refused(_) => "refused",
            Self::Unusable(_) => "unusable",
            Self::TooLarge => "too_large",
            Self::Method => "method",
            Self::Path => "path",
            Self::Encoding => "encoding",
            Self::Slow => "slow",
            Self::Broken => "broken",
            Self::Limited(_) => "limited",
            Self::Unavailable(_) => "unavailable",
        }
    }

    /// HTTP status. LiveKit tries again on 503 only; every other one of these ends the matter for
    /// it.
    pub fn status(self) -> StatusCode {
        match self {
            Self::Stored
            | Self::Duplicate
            | Self::Conflict
            | Self::Filtered
            | Self::QuarantinedUnverified => StatusCode::OK,
            Self::Refused(_) => StatusCode::UNAUTHORIZED,
            Self::Unusable(_) => StatusCode::BAD_REQUEST,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Path => StatusCode::NOT_FOUND,
            Self::Encoding => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Slow | Self::Broken | Self::Limited(_) | Self::Unavailable(_) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
        }
    }

    /// The stable code in a refusal's body.
    fn code(self) -> Option<&'static str> {
        match self {
            Self::Refused(code) | Self::Unusable(code) => Some(code),
            Self::TooLarge => Some("body_too_large"),
            Self::Method => Some("method"),
            Self::Path => Some("not_found"),
            Self::Encoding => Some("content_encoding"),
            Self::Slow => Some("body_timeout"),
            Self::Broken => Some("body_incomplete"),
            Self::Limited(_) => Some("rate_limited"),
            Self::Unavailable(_) => Some("unavailable"),
            _ => None,
        }
    }

    /// The HTTP answer. Refusals are `application/problem+json` (RFC 9457). No `Retry-After`, ever:
    /// LiveKit obeys it without a cap, and its queue for the room would freeze.
    pub fn into_response(self, body_left_unread: bool) -> Response<Full<Bytes>> {
        let body = match self.code() {
            None => Bytes::new(),
            Some(code) => {
                let status = self.status();
                let title = status.canonical_reason().unwrap_or_default();
                let status = status.as_u16();
                Bytes::from(format!(
                    r#"{{"type":"about:blank","title":"{title}","status":{status},"code":"{code}"}}"#
                ))
            }
        };
        let mut response = Response::new(Full::new(body));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        if self.code().is_some() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        }
        match self {
            Self::Duplicate => {
                headers.insert(DUPLICATE_HEADER, HeaderValue::from_static("true"));
            }
            Self::Filtered => {
                headers.insert(FILTERED_HEADER, HeaderValue::from_static("true"));
            }
            Self::Method => {
                headers.insert(ALLOW, HeaderValue::from_static("POST"));
            }
            _ => {}
        }
        if body_left_unread {
            // The rest of the body would be taken for the next request.
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}
