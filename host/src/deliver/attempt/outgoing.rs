//! The request of one attempt: every header it has, and who signs.

use super::trace;
use crate::deliver::transport::{Failure, Outgoing};
use bytes::Bytes;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue, USER_AGENT};
use hyper::{HeaderMap, Uri};
use livekit_webhook_core::attempt::ErrorClass;
use livekit_webhook_core::endpoint::{Auth, DeliveryHeaders, Endpoint};
use livekit_webhook_core::id::{DeliveryId, EventId, ReplayId};
use livekit_webhook_core::signature::{Signed, Signing, is_free_header};
use livekit_webhook_core::time::Timestamp;
use std::time::Duration;

/// What every delivery says of itself.
const AGENT: &str = concat!("livekit-webhook/", env!("CARGO_PKG_VERSION"));
/// Specification "Standard Webhooks", "Webhook headers"; sent with every kind of signature, so that
/// any receiver can drop repeats.
const WEBHOOK_ID: HeaderName = HeaderName::from_static("webhook-id");
/// Counted from 1.
const WEBHOOK_ATTEMPT: HeaderName = HeaderName::from_static("webhook-attempt");
/// The event's place in its ordering lane: a receiver sees a gap.
const WEBHOOK_SEQUENCE: HeaderName = HeaderName::from_static("webhook-sequence");
/// The replay that sends it again.
const WEBHOOK_REPLAY: HeaderName = HeaderName::from_static("webhook-replay");
/// W3C Trace Context.
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// The one header of Standard Webhooks that is not shown.
const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// What one request is about.
#[derive(Clone, Debug)]
pub struct Subject {
    /// The same on every attempt and replay.
    pub webhook_id: String,
    /// Number of the attempt.
    pub number: u32,
    /// Whose trace it is.
    pub event: EventId,
    /// Whose span it is.
    pub delivery: DeliveryId,
    /// See [`WEBHOOK_SEQUENCE`].
    pub sequence: Option<i64>,
    /// See [`WEBHOOK_REPLAY`].
    pub replay: Option<ReplayId>,
    /// Of the event's attributes.
    pub headers: DeliveryHeaders,
    /// To the byte.
    pub body: Bytes,
}

/// The request of one attempt. A part that cannot be a header or a URL is a refusal, and final;
/// what cannot be signed yet is tried again.
pub fn outgoing(
    endpoint: &Endpoint,
    subject: &Subject,
    now: Timestamp,
) -> Result<Outgoing, Failure> {
    let mut headers = HeaderMap::new();
    // First, so that whatever is set after them holds. What was free when they were stored may not
    // be so any more.
    let of_attributes = subject.headers.as_slice().iter();
    for header in of_attributes.filter(|header| is_free_header(&header.name)) {
        set(&mut headers, name(&header.name)?, &header.value, false)?;
    }
    for extra in endpoint.headers() {
        set(&mut headers, name(extra.name())?, extra.value(), extra.is_secret())?;
    }
    headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
    let livekit = endpoint.signing().iter().any(|way| matches!(way, Signing::Livekit { .. }));
    let usual = if livekit { "application/webhook+json" } else { "application/json" };
    set(&mut headers, CONTENT_TYPE, endpoint.content_type().unwrap_or(usual), false)?;
    set(&mut headers, WEBHOOK_ID, &subject.webhook_id, false)?;
    headers.insert(WEBHOOK_ATTEMPT, HeaderValue::from(subject.number));
    if let Some(sequence) = subject.sequence {
        headers.insert(WEBHOOK_SEQUENCE, HeaderValue::from(sequence));
    }
    if let Some(replay) = subject.replay {
        set(&mut headers, WEBHOOK_REPLAY, &replay.to_string(), false)?;
    }
    let parent = trace::parent(subject.event, subject.delivery, subject.number);
    set(&mut headers, TRACEPARENT, &parent, false)?;
    let signed = Signed { webhook_id: &subject.webhook_id, now, body: &subject.body };
    for way in endpoint.signing() {
        let made = way.headers(&signed);
        let made = made.map_err(|error| Failure::new(ErrorClass::Auth, error.to_string()))?;
        for header in made {
            let is_secret =
                !matches!(way, Signing::Standard(_)) || header.name == SIGNATURE.as_str();
            set(&mut headers, name(&header.name)?, &header.value, is_secret)?;
        }
    }
    let credentials = match endpoint.auth() {
        Some(Auth::OAuth2(credentials)) => Some(credentials.clone()),
        Some(auth) => {
            if let Some(value) = auth.authorization() {
                set(&mut headers, AUTHORIZATION, &value, true)?;
            }
            None
        }
        None => None,
    };
    let url = endpoint.url.to_string().parse::<Uri>().map_err(|_| unusable("the URL"))?;
    let millis = u64::try_from(endpoint.attempt_timeout_ms()).unwrap_or_default();
    let timeout = Duration::from_millis(millis);
    let (body, tls) = (subject.body.clone(), endpoint.tls().clone());
    Ok(Outgoing { url, headers, body, timeout, tls, credentials })
}

fn set(
    headers: &mut HeaderMap,
    name: HeaderName,
    value: &str,
    is_secret: bool,
) -> Result<(), Failure> {
    let mut value = HeaderValue::try_from(value).map_err(|_| unusable(name.as_str()))?;
    value.set_sensitive(is_secret);
    headers.insert(name, value);
    Ok(())
}

fn name(text: &str) -> Result<HeaderName, Failure> {
    HeaderName::try_from(text).map_err(|_| unusable("a header"))
}

fn unusable(what: &str) -> Failure {
    Failure::new(ErrorClass::AddressRefused, format!("{what} cannot be sent"))
}

#[cfg(test)]
mod tests;
