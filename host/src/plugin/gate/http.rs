//! A guest's HTTP request on its way out, and the answer on its way in.
//!
//! The URL is read as strictly as an endpoint's. The request must be meant by a rule of the grant:
//! scheme, host, port, method, path. Then its stand-ins become secrets, each only when such a rule
//! names it. The answer is held to its limits here too, whoever fetched it, and secrets in it become
//! stand-ins again. Texts for the guest quote what the guest gave, never what was put in for it, nor
//! what a name resolves to: that is for the log.

use super::count::DENIED;
use super::stand_in::Place;
use super::{Pass, header, path};
use crate::plugin::limits;
use crate::plugin::log::escape;
use crate::plugin::outside::{FetchError, FetchRequest, FetchResponse};
use crate::plugin::permission::{HttpRule, Scheme};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use livekit_webhook_core::endpoint::{EndpointUrl, Host, PlainHttp, UrlError};
use std::net::IpAddr;
use std::time::Duration;

/// Longest method, in bytes.
const METHOD_BYTES_MAX: usize = 32;
/// Longest piece of a foreign text in one of ours, in bytes.
const QUOTED_BYTES_MAX: usize = 256;

/// What a guest wants to send.
pub struct Request {
    /// Such as `POST`.
    pub method: String,
    /// Absolute.
    pub url: String,
    /// Pairs of name and value.
    pub headers: Vec<(String, String)>,
    /// Empty for none.
    pub body: Bytes,
    /// Until the whole answer is there.
    pub timeout: Option<Duration>,
}

/// Why there is no answer. The texts are for the guest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Not granted.
    #[error("{0}")]
    Denied(String),
    /// By the address policy.
    #[error("{0}")]
    AddressRefused(String),
    /// No request.
    #[error("{0}")]
    Invalid(String),
    /// Not in time.
    #[error("{0}")]
    TimedOut(String),
    /// No connection, or it broke.
    #[error("{0}")]
    Unreachable(String),
    /// What was to be sent.
    #[error("{0}")]
    RequestTooLarge(String),
    /// What came.
    #[error("{0}")]
    ResponseTooLarge(String),
    /// One more than is allowed.
    #[error("{0}")]
    TooMany(String),
}

/// The parts of a URL, as the rules and the port want them.
struct Target {
    scheme: Scheme,
    host: Host,
    port: u16,
    path: String,
}

// === impl Error ===

impl Error {
    /// As in the metrics.
    fn word(&self) -> &'static str {
        match self {
            Self::Denied(_) => DENIED,
            Self::AddressRefused(_) => "address_refused",
            Self::Invalid(_) => "invalid",
            Self::TimedOut(_) => "timed_out",
            Self::Unreachable(_) => "unreachable",
            Self::RequestTooLarge(_) => "request_too_large",
            Self::ResponseTooLarge(_) => "response_too_large",
            Self::TooMany(_) => "too_many",
        }
    }
}

// === impl Pass ===

impl Pass {
    /// Sends what is granted, and waits for the whole answer.
    ///
    /// # Errors
    /// See [`Error`].
    ///
    /// # Cancel safety
    /// Safe: the connection is given up. The request may have arrived.
    pub async fn send(&self, request: Request) -> Result<FetchResponse, Error> {
        let answer = self.counted("http", Error::word, self.try_send(request)).await;
        if let Err(error) = &answer {
            let (plugin, event) = (&self.door.plugin, &self.event);
            let error = escape(&error.to_string(), limits::ERROR_BYTES_MAX);
            tracing::debug!(plugin, event, error, "plugin request came to nothing");
        }
        answer
    }

    async fn try_send(&self, request: Request) -> Result<FetchResponse, Error> {
        self.count(&self.requests, limits::HTTP_REQUESTS).map_err(Error::TooMany)?;
        let mut request = self.checked(request)?;
        let timed_out = |within: Duration| {
            Error::TimedOut(format!("no answer within {} ms", within.as_millis()))
        };
        let place = tokio::time::timeout(request.timeout, self.in_flight.acquire()).await;
        let _place = place.map_err(|_| timed_out(request.timeout))?;
        // A wait for the place has taken its part.
        request.timeout = request.timeout.min(self.left());
        let timeout = request.timeout;
        let Some(outside) = &self.door.outside else {
            return Err(Error::Denied("there is nothing outside".to_owned()));
        };
        let shown = format!("{request:?}");
        match tokio::time::timeout(timeout, outside.fetch.fetch(request)).await {
            Ok(Ok(answer)) => {
                let (plugin, event, status) = (&self.door.plugin, &self.event, answer.status);
                tracing::debug!(plugin, event, request = shown, status, "plugin request");
                self.received(answer)
            }
            Ok(Err(error)) => Err(self.failed(&shown, error)),
            Err(_) => Err(timed_out(timeout)),
        }
    }

    /// The request as it goes out, with its secrets in place.
    fn checked(&self, request: Request) -> Result<FetchRequest, Error> {
        let limits = &self.door.limits;
        let method = method(&request.method)?;
        let body_max = limits.size(limits::HTTP_REQUEST_BYTES);
        within("the request's body", request.body.len(), body_max)
            .map_err(Error::RequestTooLarge)?;
        let target = target(&request.url)?;
        let mut headers = Vec::with_capacity(request.headers.len() + 1);
        for (name, value) in request.headers {
            let invalid = |error: header::Error| Error::Invalid(error.to_string());
            let name = header::name(&name).map_err(invalid)?;
            header::value(&name, &value).map_err(invalid)?;
            headers.push((name, value));
        }
        let header_max = limits.size(limits::HTTP_HEADER_BYTES);
        let header_bytes = header::bytes(&headers);
        within("the request's headers", header_bytes, header_max)
            .map_err(Error::RequestTooLarge)?;
        let rules = self.rules(&method, &target)?;
        let timeout = match request.timeout {
            Some(timeout) if timeout.is_zero() => {
                return Err(Error::Invalid("a timeout has at least 1 ms".to_owned()));
            }
            Some(timeout) => timeout.min(self.left()),
            None => self.left(),
        };
        let Target { scheme, host, port, path } = target;
        let mut fetch = FetchRequest {
            pool: self.door.pool.clone(),
            scheme,
            host: host.to_string(),
            port,
            method,
            path,
            headers,
            body: request.body,
            timeout,
            response_bytes_max: limits.size(limits::HTTP_RESPONSE_BYTES),
            header_bytes_max: header_max,
        };
        let seen = self.seen(&fetch);
        self.put_secrets(&mut fetch, &rules)?;
        self.note(seen);
        fetch.headers.push((header::HOP.to_owned(), "1".to_owned()));
        Ok(fetch)
    }

    /// The rules of the grant that mean this request; at least one.
    fn rules(&self, method: &str, target: &Target) -> Result<Vec<&HttpRule>, Error> {
        let path = target.path.split('?').next().unwrap_or_default();
        let means = |rule: &&HttpRule| {
            rule.scheme == target.scheme
                && rule.port() == target.port
                && is_host(rule, &target.host)
                && rule.is_method(method)
                && rule.is_path(path)
        };
        let rules: Vec<_> = self.door.permissions.http.iter().filter(means).collect();
        if rules.is_empty() {
            let Target { host, port, .. } = target;
            let scheme = if target.scheme == Scheme::Https { "https" } else { "http" };
            let path = escape(path, QUOTED_BYTES_MAX);
            let text = format!("{method} {scheme}://{host}:{port}{path} is not granted");
            return Err(Error::Denied(text));
        }
        Ok(rules)
    }

    /// Puts every secret in the place of its stand-in, if the rules name it.
    fn put_secrets(&self, fetch: &mut FetchRequest, rules: &[&HttpRule]) -> Result<(), Error> {
        let stand_ins = self.stand_ins();
        let refuse_in = |what: &str, text: &str| match stand_ins.named_in(text.as_bytes()).next() {
            Some(name) => Err(Error::Invalid(format!("the secret {name} cannot be in {what}"))),
            None => Ok(()),
        };
        refuse_in("a host", &fetch.host)?;
        let allowed = |bytes: &[u8]| {
            let granted =
                |name: &str| rules.iter().any(|rule| rule.secrets.iter().any(|s| s == name));
            match stand_ins.named_in(bytes).find(|name| !granted(name)) {
                Some(name) => {
                    let host = &fetch.host;
                    let text =
                        format!("the secret {name} is not granted for this request to {host}");
                    Err(Error::Denied(text))
                }
                None => Ok(()),
            }
        };
        allowed(fetch.path.as_bytes())?;
        allowed(&fetch.body)?;
        let basic = fetch.headers.iter().map(|(name, value)| basic(name, value));
        let basic: Vec<_> = basic.collect();
        for ((name, value), basic) in fetch.headers.iter().zip(&basic) {
            refuse_in("a header's name", name)?;
            allowed(value.as_bytes())?;
            allowed(basic.as_deref().unwrap_or_default())?;
        }
        let unfit = |what: &str| Error::Invalid(format!("a secret does not fit into {what}"));
        let text = |bytes: Bytes| String::from_utf8(bytes.into()).ok();
        let path = stand_ins.put(Bytes::copy_from_slice(fetch.path.as_bytes()), Place::Url);
        fetch.path = path.and_then(text).ok_or_else(|| unfit("the URL"))?;
        // A secret may have dots of its own.
        let plain_path = fetch.path.split('?').next().unwrap_or_default();
        path::check(plain_path).map_err(|_| unfit("the URL"))?;
        let content_type = fetch.headers.iter().find(|(name, _)| name == "content-type");
        let place = content_type.map_or(Place::Plain, |(_, value)| Place::in_body(value));
        fetch.body = stand_ins.put(fetch.body.clone(), place).ok_or_else(|| unfit("the body"))?;
        for ((name, value), basic) in fetch.headers.iter_mut().zip(basic) {
            let put = match basic {
                Some(credentials) => {
                    stand_ins.put(credentials.into(), Place::Plain).map(|credentials| {
                        Bytes::from(format!("Basic {}", STANDARD.encode(credentials)))
                    })
                }
                None => stand_ins.put(Bytes::copy_from_slice(value.as_bytes()), Place::Plain),
            };
            let put = put.and_then(text).filter(|value| header::value(name, value).is_ok());
            *value = put.ok_or_else(|| unfit(&format!("the header {name}")))?;
        }
        Ok(())
    }

    /// The answer as the guest sees it.
    fn received(&self, answer: FetchResponse) -> Result<FetchResponse, Error> {
        let FetchResponse { status, headers, body } = answer;
        let limits = &self.door.limits;
        let header_max = limits.size(limits::HTTP_HEADER_BYTES);
        let header_bytes = header::bytes(&headers);
        within("the answer's headers", header_bytes, header_max)
            .map_err(Error::ResponseTooLarge)?;
        let body_max = limits.size(limits::HTTP_RESPONSE_BYTES);
        within("the answer's body", body.len(), body_max).map_err(Error::ResponseTooLarge)?;
        let stand_ins = self.stand_ins();
        let shown = |(name, value): (String, String)| {
            // A secret in a name is in lower case, and no form of it would be found.
            let hides_none = !self.is_secret_in_name(&name);
            hides_none.then(|| (name, stand_ins.take_out_of_text(value)))
        };
        let headers = headers.into_iter().filter_map(shown).collect();
        let body = stand_ins.take_out(body, body_max).ok_or_else(|| {
            Error::ResponseTooLarge(format!("the answer's body has more than {body_max} bytes"))
        })?;
        Ok(FetchResponse { status, headers, body })
    }

    fn is_secret_in_name(&self, name: &str) -> bool {
        let text =
            |secret: &super::Secret| String::from_utf8_lossy(secret.reveal()).to_ascii_lowercase();
        let secrets = self.door.secrets.values().map(text);
        secrets.filter(|secret| !secret.is_empty()).any(|secret| name.contains(&secret))
    }

    /// The port's words as the guest may have them.
    fn failed(&self, shown: &str, error: FetchError) -> Error {
        let text = |text: String| {
            escape(&self.stand_ins().take_out_of_text(text), limits::ERROR_BYTES_MAX)
        };
        match error {
            FetchError::AddressRefused(reason) => {
                let (plugin, event, reason) = (&self.door.plugin, &self.event, text(reason));
                tracing::warn!(plugin, event, request = shown, reason, "plugin request refused");
                Error::AddressRefused(format!("{shown}: the address policy forbids it"))
            }
            FetchError::TimedOut(_) => Error::TimedOut(error.to_string()),
            FetchError::Unreachable(reason) => Error::Unreachable(text(reason)),
            FetchError::TooLarge { .. } => Error::ResponseTooLarge(error.to_string()),
        }
    }
}

fn method(text: &str) -> Result<String, Error> {
    let is_token = hyper::Method::from_bytes(text.as_bytes()).is_ok();
    let method = text.to_ascii_uppercase();
    if !is_token || text.len() > METHOD_BYTES_MAX || matches!(method.as_str(), "CONNECT" | "TRACE")
    {
        let text = escape(text, METHOD_BYTES_MAX);
        return Err(Error::Invalid(format!("{text:?} is not a method that a plugin may use")));
    }
    Ok(method)
}

fn target(url: &str) -> Result<Target, Error> {
    let parsed = EndpointUrl::parse(url, PlainHttp::Allowed).map_err(|error| {
        Error::Invalid(match error {
            UrlError::UserInfo => {
                "a URL holds no user name and no password: use a header".to_owned()
            }
            UrlError::Fragment => "a URL that is sent has no fragment".to_owned(),
            error => error.to_string(),
        })
    })?;
    let path = parsed.path_and_query().to_owned();
    path::check(path.split('?').next().unwrap_or_default())
        .map_err(|error| Error::Invalid(error.to_string()))?;
    let scheme = if parsed.is_https() { Scheme::Https } else { Scheme::Http };
    Ok(Target { scheme, host: parsed.host().clone(), port: parsed.port(), path })
}

/// A wildcard never means an address, and an address is granted by naming it.
fn is_host(rule: &HttpRule, host: &Host) -> bool {
    match host {
        Host::Name(name) => rule.is_host(name),
        Host::Address(address) => {
            let named = rule.host.trim_start_matches('[').trim_end_matches(']');
            named.parse::<IpAddr>().is_ok_and(|named| named == *address)
        }
    }
}

/// The credentials of `Authorization: Basic`, in which a stand-in would not be seen.
pub(super) fn basic(name: &str, value: &str) -> Option<Vec<u8>> {
    let (scheme, credentials) = value.split_once(' ')?;
    let is_basic = name == "authorization" && scheme.eq_ignore_ascii_case("basic");
    STANDARD.decode(credentials.trim()).ok().filter(|_| is_basic)
}

fn within(what: &str, bytes: usize, max: usize) -> Result<(), String> {
    if bytes <= max {
        return Ok(());
    }
    Err(format!("{what} has {bytes} bytes, at most {max} are allowed"))
}
