//! One attempt: sign, send, classify.

use super::transport::{Answered, Failure, Outgoing};
use super::{Deliverer, Place};
use crate::metrics::{AttemptLabel, EndpointLabel};
use crate::store::{AttemptRecord, DueDelivery, Timings};
use bytes::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, USER_AGENT};
use hyper::{HeaderMap, Uri};
use livekit_webhook_core::attempt::{ErrorClass, Outcome};
use livekit_webhook_core::retry::hint;
use livekit_webhook_core::signature::{Signed, Signing};
use livekit_webhook_core::time::Timestamp;
use std::time::Duration;
use tokio::time::Instant;

/// What every delivery says of itself.
const AGENT: &str = concat!("livekit-webhook/", env!("CARGO_PKG_VERSION"));
/// Specification "Standard Webhooks", "Webhook headers"; sent with every kind of signature, so that
/// any receiver can drop repeats.
const WEBHOOK_ID: HeaderName = HeaderName::from_static("webhook-id");
/// Counted from 1.
const WEBHOOK_ATTEMPT: HeaderName = HeaderName::from_static("webhook-attempt");

impl Deliverer {
    /// Makes one attempt: signs, sends and says what came of it.
    pub(super) async fn attempt(
        &self,
        place: &Place,
        due: &DueDelivery,
    ) -> (Outcome, AttemptRecord) {
        let (number, began_at, began) =
            (due.delivery.attempts + 1, self.clock.now(), Instant::now());
        let sent = match outgoing(place, due, number, began_at) {
            Ok(outgoing) => self.transport.send(outgoing).await,
            Err(failure) => Err(failure),
        };
        let took = began.elapsed();
        let (outcome, mut record) = self.judge(sent, number, began_at);
        record.duration_ms = i64::try_from(took.as_millis()).unwrap_or(i64::MAX);
        self.measure(place, &outcome, took);
        (outcome, record)
    }

    fn judge(
        &self,
        sent: Result<Answered, Failure>,
        number: u32,
        started_at: Timestamp,
    ) -> (Outcome, AttemptRecord) {
        let (outcome, address, response_start, error) = match sent {
            Ok(answered) => {
                let status = answered.status;
                let hint = answered.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
                let retry_after_ms = hint.and_then(|hint| hint::parse(hint, self.clock.now()));
                let address = answered.address.map(|address| address.to_string());
                let error = (!(200..300).contains(&status)).then(|| format!("status {status}"));
                (Outcome::Answered { status, retry_after_ms }, address, answered.body_start, error)
            }
            Err(failure) => {
                (Outcome::Failed(failure.class), None, Bytes::new(), Some(failure.text))
            }
        };
        let record = AttemptRecord {
            number,
            started_at,
            duration_ms: 0,
            outcome: outcome.clone(),
            timings: Timings::default(),
            host: None,
            request_headers: String::new(),
            response_headers: String::new(),
            address,
            response_start,
            error,
        };
        (outcome, record)
    }

    fn measure(&self, place: &Place, outcome: &Outcome, took: Duration) {
        let endpoint = place.endpoint.name.to_string();
        let result = result_label(outcome);
        let label = AttemptLabel { endpoint: endpoint.clone(), result };
        self.metrics.attempts.get_or_create(&label).inc();
        let label = EndpointLabel { endpoint };
        self.metrics.attempt_seconds.get_or_create(&label).observe(took.as_secs_f64());
    }
}

/// The request of one attempt. A part that cannot be a header or a URL is a refusal, and final.
fn outgoing(
    place: &Place,
    due: &DueDelivery,
    number: u32,
    now: Timestamp,
) -> Result<Outgoing, Failure> {
    let endpoint = &place.endpoint;
    let unusable = |what: &str| Failure {
        class: ErrorClass::AddressRefused,
        text: format!("{what} cannot be sent"),
    };
    let mut headers = HeaderMap::new();
    headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
    let livekit = endpoint.signing().iter().any(|way| matches!(way, Signing::Livekit { .. }));
    let content_type = if livekit { "application/webhook+json" } else { "application/json" };
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    let webhook_id = &due.delivery.webhook_id;
    let id = HeaderValue::from_str(webhook_id).map_err(|_| unusable("webhook-id"))?;
    headers.insert(WEBHOOK_ID, id);
    headers.insert(WEBHOOK_ATTEMPT, HeaderValue::from(number));
    let signed = Signed { webhook_id, now, body: &due.body };
    for way in endpoint.signing() {
        for header in way.headers(&signed) {
            let name = HeaderName::try_from(header.name).map_err(|_| unusable("a signature"))?;
            let value = HeaderValue::try_from(header.value).map_err(|_| unusable("a signature"))?;
            headers.insert(name, value);
        }
    }
    let url = endpoint.url.to_string().parse::<Uri>().map_err(|_| unusable("the URL"))?;
    let millis = u64::try_from(endpoint.attempt_timeout_ms()).unwrap_or_default();
    let timeout = Duration::from_millis(millis);
    Ok(Outgoing { url, headers, body: due.body.clone(), timeout })
}

fn result_label(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Answered { status: 200..=299, .. } => "2xx",
        Outcome::Answered { status: 300..=399, .. } => "3xx",
        Outcome::Answered { status: 400..=499, .. } => "4xx",
        Outcome::Answered { status: 500..=599, .. } => "5xx",
        Outcome::Answered { .. } => "other",
        Outcome::Failed(class) => class.as_str(),
    }
}
