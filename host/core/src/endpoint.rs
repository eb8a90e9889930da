//! Where deliveries go: an endpoint's name, URL, signatures, credentials and limits.
//!
//! The URL is parsed by hand and strictly: what two parsers could read in two ways is refused,
//! because one of them would be the one that vets the address and the other the one that dials it.
//! Whether an address may be dialled is not decided here but in [`crate::address_policy`].

use crate::retry::Policy;
use crate::signature::Signing;
use std::sync::Arc;

mod attributes;
pub mod auth;
mod request;
mod traffic;
mod url;

pub use attributes::{
    ATTRIBUTE_HEADERS_BYTES_MAX, ATTRIBUTE_HEADERS_MAX, ATTRIBUTE_PATTERNS_MAX, AttributeError,
    AttributeHeaders, DeliveryHeaders, LinesError, PatternError,
};
pub use auth::Auth;
pub use request::{
    ClientCertificate, ExtraHeader, HEADER_VALUE_BYTES_MAX, HEADERS_MAX, HeaderError, Pem, Tls,
};
pub use traffic::{Order, Traffic};
pub use url::{EndpointUrl, Host, PlainHttp, UrlError};

/// Longest name of an endpoint, in bytes.
pub const NAME_BYTES_MAX: usize = 64;
/// Longest deadline of an attempt, in milliseconds.
pub const ATTEMPT_TIMEOUT_MS_MAX: i64 = 120_000;
/// Deadline of an attempt unless configured, in milliseconds.
pub const ATTEMPT_TIMEOUT_MS_DEFAULT: i64 = 15_000;
/// Most attempts at once to one endpoint.
pub const IN_FLIGHT_MAX: usize = 1_000;
/// Attempts at once to one endpoint unless configured.
pub const IN_FLIGHT_DEFAULT: usize = 32;
/// Longest content type, in bytes.
pub const CONTENT_TYPE_BYTES_MAX: usize = 128;
/// Most ways of signing one delivery.
pub const SIGNINGS_MAX: usize = 3;

/// An endpoint's name: 1 to 64 of `a-z`, `0-9`, `-` and `_`. It stands in rows, metrics and the
/// command line.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

/// What is known of an endpoint.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// How the rows call it.
    pub name: Name,
    /// Where it is. Read when a delivery is sent, so a change holds for what is already planned.
    pub url: EndpointUrl,
    /// When to try again.
    pub policy: Policy,
    /// How its deliveries flow.
    pub traffic: Traffic,
    signing: Vec<Signing>,
    headers: Vec<ExtraHeader>,
    attribute_headers: AttributeHeaders,
    auth: Option<Auth>,
    content_type: Option<String>,
    tls: Arc<Tls>,
    attempt_timeout_ms: i64,
    in_flight_max: usize,
}

/// What is wrong with an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Not a name.
    #[error("an endpoint's name is 1 to {NAME_BYTES_MAX} of a-z, 0-9, `-` and `_`")]
    Name,
    /// A deadline of nothing, or one that would hold a place too long.
    #[error("attempt_timeout_ms = {0}: must be 1 to {ATTEMPT_TIMEOUT_MS_MAX}")]
    AttemptTimeout(i64),
    /// Nothing could be sent, or too much at once.
    #[error("in_flight_max = {0}: must be 1 to {IN_FLIGHT_MAX}")]
    InFlight(usize),
    /// Not a media type, or one that a receiver of LiveKit's own form would not find.
    #[error(
        "must be a media type of at most {CONTENT_TYPE_BYTES_MAX} bytes, such as \
         application/cloudevents+json, and none where deliveries are signed as LiveKit does"
    )]
    ContentType,
    /// Each way of signing sets its own headers, so it can be used once.
    #[error("each way of signing can be given once, at most {SIGNINGS_MAX} in all")]
    Signing,
    /// More than a request has room for.
    #[error("at most {HEADERS_MAX} headers can be added, found {0}")]
    Headers(usize),
    /// Only one value would arrive.
    #[error("the header {0} is set twice")]
    HeaderTwice(String),
    /// One request has one head, and in it no room for what several events say.
    #[error("cannot be had together with batch: a batch has one head for many events")]
    BatchHead,
    /// Both would be `Authorization`.
    #[error("signing = [\"livekit\"] sends its token where auth would send its own: use only one")]
    AuthTwice,
}

// === impl Name ===

impl Name {
    /// Checks a name.
    ///
    /// # Errors
    /// [`Error::Name`].
    pub fn parse(text: &str) -> Result<Self, Error> {
        let fits = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_');
        if text.is_empty() || text.len() > NAME_BYTES_MAX || !text.bytes().all(fits) {
            return Err(Error::Name);
        }
        Ok(Self(text.to_owned()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

// === impl Endpoint ===

impl Endpoint {
    /// An endpoint with default limits and retries, unsigned.
    pub fn new(name: Name, url: EndpointUrl) -> Self {
        Self {
            name,
            url,
            policy: Policy::default(),
            traffic: Traffic::default(),
            signing: Vec::new(),
            headers: Vec::new(),
            attribute_headers: AttributeHeaders::default(),
            auth: None,
            content_type: None,
            tls: Arc::default(),
            attempt_timeout_ms: ATTEMPT_TIMEOUT_MS_DEFAULT,
            in_flight_max: IN_FLIGHT_DEFAULT,
        }
    }

    /// With other limits: the deadline of an attempt over all its phases in milliseconds, and the
    /// most attempts at once.
    ///
    /// # Errors
    /// [`Error::AttemptTimeout`], [`Error::InFlight`].
    pub fn with_limits(
        mut self,
        attempt_timeout_ms: i64,
        in_flight_max: usize,
    ) -> Result<Self, Error> {
        if !(1..=ATTEMPT_TIMEOUT_MS_MAX).contains(&attempt_timeout_ms) {
            return Err(Error::AttemptTimeout(attempt_timeout_ms));
        }
        if !(1..=IN_FLIGHT_MAX).contains(&in_flight_max) {
            return Err(Error::InFlight(in_flight_max));
        }
        self.attempt_timeout_ms = attempt_timeout_ms;
        self.in_flight_max = in_flight_max;
        Ok(self)
    }

    /// Signed in these ways, all at once.
    ///
    /// # Errors
    /// [`Error::Signing`] when a way is given twice.
    pub fn with_signing(mut self, signing: Vec<Signing>) -> Result<Self, Error> {
        let mut ways: Vec<_> = signing.iter().map(std::mem::discriminant).collect();
        while let Some(way) = ways.pop() {
            if ways.contains(&way) {
                return Err(Error::Signing);
            }
        }
        self.signing = signing;
        Ok(self)
    }

    /// With more headers and a way to authenticate. Call it when the ways of signing are set: they
    /// have headers of their own.
    ///
    /// # Errors
    /// [`Error::Headers`], [`Error::HeaderTwice`], [`Error::AuthTwice`].
    pub fn with_request(
        mut self,
        headers: Vec<ExtraHeader>,
        auth: Option<Auth>,
    ) -> Result<Self, Error> {
        if headers.len() > HEADERS_MAX {
            return Err(Error::Headers(headers.len()));
        }
        let is_livekit = |way: &Signing| matches!(way, Signing::Livekit { .. });
        if auth.is_some() && self.signing.iter().any(is_livekit) {
            return Err(Error::AuthTwice);
        }
        let mut names: Vec<&str> = headers.iter().map(ExtraHeader::name).collect();
        names.extend(self.signing.iter().filter_map(signature_header));
        while let Some(name) = names.pop() {
            if names.contains(&name) {
                return Err(Error::HeaderTwice(name.to_owned()));
            }
        }
        self.headers = headers;
        self.auth = auth;
        Ok(self)
    }

    /// With headers that attributes of events make. Call it when signing, headers and
    /// [`Endpoint::traffic`] are set. What a pattern with `*` has in common with the endpoint's own
    /// headers is sent as the endpoint's.
    ///
    /// # Errors
    /// [`Error::BatchHead`], [`Error::HeaderTwice`].
    pub fn with_attribute_headers(mut self, allowed: AttributeHeaders) -> Result<Self, Error> {
        if !allowed.is_empty() && self.traffic.order.batching().is_some() {
            return Err(Error::BatchHead);
        }
        let own = self.headers.iter().map(ExtraHeader::name);
        let mut own = own.chain(self.signing.iter().filter_map(signature_header));
        let is_named = |name: &&str| allowed.patterns().iter().any(|glob| glob.as_str() == *name);
        if let Some(name) = own.find(is_named) {
            return Err(Error::HeaderTwice(name.to_owned()));
        }
        self.attribute_headers = allowed;
        Ok(self)
    }

    /// Which attributes of an event are headers of its delivery.
    pub fn attribute_headers(&self) -> &AttributeHeaders {
        &self.attribute_headers
    }

    /// With bodies of another media type than JSON's, which a plugin makes. Call it when the ways
    /// of signing are set.
    ///
    /// # Errors
    /// [`Error::ContentType`].
    pub fn with_content_type(mut self, content_type: String) -> Result<Self, Error> {
        let is_livekit = self.signing.iter().any(|way| way.content_type().is_some());
        if is_livekit || !is_media_type(&content_type) {
            return Err(Error::ContentType);
        }
        self.content_type = Some(content_type);
        Ok(self)
    }

    /// The media type of its bodies, where it is not the usual one.
    pub fn content_type(&self) -> Option<&str> {
        self.content_type.as_deref()
    }

    /// Reached with this TLS identity.
    #[must_use]
    pub fn with_tls(mut self, tls: Tls) -> Self {
        self.tls = Arc::new(tls);
        self
    }

    /// Headers that every request carries.
    pub fn headers(&self) -> &[ExtraHeader] {
        &self.headers
    }

    /// How we tell who asks.
    pub fn auth(&self) -> Option<&Auth> {
        self.auth.as_ref()
    }

    /// Whom TLS believes and shows.
    pub fn tls(&self) -> &Arc<Tls> {
        &self.tls
    }

    /// Whether it signs with secrets that are kept in the store.
    pub fn signs_with_stored(&self) -> bool {
        self.signing.iter().any(|way| matches!(way, Signing::Stored))
    }

    /// The same with `standard` in the place of [`Signing::Stored`].
    #[must_use]
    pub fn with_stored(&self, standard: &Signing) -> Self {
        let mut endpoint = self.clone();
        for way in &mut endpoint.signing {
            if matches!(way, Signing::Stored) {
                *way = standard.clone();
            }
        }
        endpoint
    }

    /// How its deliveries are signed.
    pub fn signing(&self) -> &[Signing] {
        &self.signing
    }

    /// Deadline of one attempt over DNS, connect, TLS, headers and body, in milliseconds.
    pub fn attempt_timeout_ms(&self) -> i64 {
        self.attempt_timeout_ms
    }

    /// Most attempts at once.
    pub fn in_flight_max(&self) -> usize {
        self.in_flight_max
    }
}

/// The header that a way of signing has a name for.
fn signature_header(way: &Signing) -> Option<&str> {
    match way {
        Signing::Hmac { header, .. } => Some(header),
        _ => None,
    }
}

/// RFC 9110, "Media Type": two tokens, and parameters that are only bounded here.
fn is_media_type(text: &str) -> bool {
    let is_token = |part: &str| {
        let fits = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        !part.is_empty() && part.bytes().all(fits)
    };
    let (essence, parameters) = text.split_once(';').unwrap_or((text, ""));
    text.len() <= CONTENT_TYPE_BYTES_MAX
        && essence.trim_end().split_once('/').is_some_and(|(a, b)| is_token(a) && is_token(b))
        && parameters.bytes().all(|b| (b' '..=b'~').contains(&b))
}

#[cfg(test)]
mod tests;
