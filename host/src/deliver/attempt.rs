//! One attempt: sign, send, classify. What follows is decided by `host/core`.

use super::transport::{Answered, Failure};
use super::{Deliverer, Place};
use crate::metrics::{AttemptLabel, EndpointLabel};
use crate::store::{AttemptRecord, DueDelivery};
use bytes::Bytes;
use hyper::HeaderMap;
use hyper::header::{AUTHORIZATION, HeaderValue, RETRY_AFTER};
use livekit_webhook_core::attempt::{ClientErrors, Outcome};
use livekit_webhook_core::retry::{Policy, hint};
use livekit_webhook_core::time::Timestamp;
use outgoing::{Subject, outgoing};
use std::borrow::Cow;
use std::time::Duration;
use tokio::time::Instant;

mod lines;
mod outgoing;
mod trace;

/// What an attempt came to.
pub(super) struct Tried<'p> {
    /// How it ended.
    pub outcome: Outcome,
    /// The same for the log.
    pub record: AttemptRecord,
    /// By which its delivery goes on.
    pub policy: Cow<'p, Policy>,
}

/// What became of a request, or of the wish to make one.
struct Sent {
    /// One `name: value` a line, secrets redacted.
    request_headers: String,
    came: Result<Answered, Failure>,
}

impl Deliverer {
    /// Makes one attempt: signs, sends and says what came of it.
    pub(super) async fn attempt<'p>(&self, place: &'p Place, due: &DueDelivery) -> Tried<'p> {
        let (number, began_at, began) =
            (due.delivery.attempts + 1, self.clock.now(), Instant::now());
        let sent = self.send(place, due, number, began_at).await;
        let took = began.elapsed();
        let policy = policy(&place.endpoint.policy, &sent);
        let (outcome, mut record) = self.judge(sent, number, began_at);
        record.duration_ms = i64::try_from(took.as_millis()).unwrap_or(i64::MAX);
        self.measure(place, &outcome, took);
        Tried { outcome, record, policy }
    }

    async fn send(&self, place: &Place, due: &DueDelivery, number: u32, now: Timestamp) -> Sent {
        let delivery = &due.delivery;
        let subject = Subject {
            webhook_id: delivery.webhook_id.clone(),
            number,
            event: delivery.event,
            delivery: delivery.id,
            sequence: delivery.sequence,
            replay: delivery.replay,
            headers: delivery.headers.clone(),
            body: due.body.clone(),
        };
        match outgoing(&self.secrets.signed(&place.endpoint, now), &subject, now) {
            Ok(outgoing) => {
                let mut headers = Cow::Borrowed(&outgoing.headers);
                if outgoing.credentials.is_some() {
                    // Its value is shown by nobody, and not known here.
                    headers.to_mut().insert(AUTHORIZATION, HeaderValue::from_static("Bearer"));
                }
                let request_headers = lines::lines(&headers);
                Sent { request_headers, came: self.transport.send(outgoing).await }
            }
            Err(failure) => Sent { request_headers: String::new(), came: Err(failure) },
        }
    }

    fn judge(&self, sent: Sent, number: u32, started_at: Timestamp) -> (Outcome, AttemptRecord) {
        let (outcome, way, headers, response_start, error) = match sent.came {
            Ok(answered) => {
                let status = answered.status;
                let hint = answered.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
                let retry_after_ms = hint.and_then(|hint| hint::parse(hint, self.clock.now()));
                let outcome = Outcome::Answered { status, retry_after_ms };
                let refused =
                    if answered.token_dropped { ", the token is not used again" } else { "" };
                let error =
                    (!(200..300).contains(&status)).then(|| format!("status {status}{refused}"));
                (outcome, answered.way, answered.headers, answered.body_start, error)
            }
            Err(failure) => {
                let outcome = Outcome::Failed(failure.class);
                (outcome, *failure.way, HeaderMap::new(), Bytes::new(), Some(failure.text))
            }
        };
        let record = AttemptRecord {
            number,
            started_at,
            duration_ms: 0,
            outcome: outcome.clone(),
            timings: way.timings,
            address: way.address.map(|address| address.to_string()),
            host: self.host.clone(),
            request_headers: sent.request_headers,
            response_headers: lines::lines(&headers),
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

/// A 401 to a token that is not used again says nothing of the delivery, so it is not final,
/// whatever the endpoint's policy makes of other answers of its kind.
fn policy<'p>(policy: &'p Policy, sent: &Sent) -> Cow<'p, Policy> {
    match &sent.came {
        Ok(answered) if answered.token_dropped => {
            Cow::Owned(Policy { client_errors: ClientErrors::Retry, ..policy.clone() })
        }
        _ => Cow::Borrowed(policy),
    }
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
