//! What a request carries, and what the attempt log says of it.

use super::*;
use crate::store::conformance::event;
use livekit_webhook_core::attempt::{ClientErrors, Outcome};
use livekit_webhook_core::endpoint::{Auth, ExtraHeader};
use livekit_webhook_core::signature::{Secret, Signing, StandardSecret};

/// Header lines of the attempt log, as a map.
fn logged(lines: &str) -> HashMap<&str, &str> {
    lines.lines().filter_map(|line| line.split_once(": ")).collect()
}

#[tokio::test(start_paused = true)]
async fn the_attempt_log_tells_the_way_and_no_secret() {
    let secret = |text: &str| Secret::new(text.as_bytes().to_vec()).unwrap();
    let standard = Signing::standard(vec![StandardSecret::generate([7; 32])]).unwrap();
    let headers = vec![
        ExtraHeader::new("x-tenant", "blue", false).unwrap(),
        ExtraHeader::new("x-key", "hush", true).unwrap(),
    ];
    let auth = Auth::basic("gateway", secret("hush")).unwrap();
    let one = endpoint("a").with_signing(vec![standard]).unwrap();
    let mut stage = stage(vec![one.with_request(headers, Some(auth)).unwrap()]);
    stage.told("a", vec![Act::Later(503, "1")]);
    stage.owe(1, "a", 0).await;
    stage.run();
    stage.until_state(1, State::Delivered).await;
    let sent = stage.last_sent();
    assert_eq!(sent.headers["x-tenant"], "blue");
    assert_eq!(sent.headers["x-key"], "hush");
    assert_eq!(sent.headers["authorization"], "Basic Z2F0ZXdheTpodXNo");
    let attempts = stage.store.attempts(delivery(1, "a").id).await.unwrap();
    let first = &attempts[0];
    assert_eq!(first.address.as_deref(), Some("192.0.2.7:443"));
    assert_eq!(first.host.as_deref(), Some("gateway-1"));
    assert_eq!(first.timings, Timings { first_byte_ms: Some(7), ..Timings::default() });
    assert_eq!(logged(&first.response_headers)["retry-after"], "1");
    let shown = logged(&first.request_headers);
    assert_eq!((shown["webhook-id"], shown["webhook-attempt"]), ("wh_1", "1"));
    assert_eq!(shown["x-tenant"], "blue");
    for name in ["x-key", "authorization", "webhook-signature"] {
        assert_eq!(shown[name], "[redacted]", "{name}");
    }
    assert!(!first.request_headers.contains("hush"), "{}", first.request_headers);
}

#[tokio::test(start_paused = true)]
async fn headers_of_attributes_are_the_same_on_every_attempt() {
    let mut stage = stage(vec![with_retry("a", &[0, 1], None)]);
    stage.told("a", vec![Act::Status(500)]);
    let headers = "ce-id: EV_1\nce-subject: a%20b".parse().unwrap();
    planned(&*stage.store, 1, vec![NewDelivery { headers, ..delivery(1, "a") }]).await;
    stage.run();
    stage.until_state(1, State::Delivered).await;
    {
        let sent = stage.script.sent.lock().unwrap();
        assert_eq!(sent.len(), 2);
        for (_, outgoing) in sent.iter() {
            assert_eq!(outgoing.headers["ce-id"], "EV_1");
            assert_eq!(outgoing.headers["ce-subject"], "a%20b");
        }
    }
    for attempt in stage.attempts(1).await {
        assert_eq!(logged(&attempt.request_headers)["ce-subject"], "a%20b");
    }
}

#[tokio::test(start_paused = true)]
async fn an_event_is_one_trace_and_each_attempt_a_span_of_it() {
    let mut stage = stage(vec![with_retry("a", &[0, 1], None), endpoint("b")]);
    stage.told("a", vec![Act::Status(500)]);
    stage.owe(1, "a", 0).await;
    stage.run();
    stage.until_state(1, State::Delivered).await;
    let sent = stage.script.sent.lock().unwrap();
    let parent = |index: usize| sent[index].1.headers["traceparent"].to_str().unwrap().to_owned();
    let (first, second) = (parent(0), parent(1));
    let event: String = event(1).id.to_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    for parent in [&first, &second] {
        let parts: Vec<&str> = parent.split('-').collect();
        assert_eq!(parts[..2], ["00", event.as_str()]);
        assert_eq!((parts[2].len(), parts[3]), (16, "01"), "{parent}");
    }
    assert_ne!(first, second);
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_dropped_costs_no_delivery() {
    let mut one = with_retry("a", &[0, 1], None);
    one.policy.client_errors = ClientErrors::Final;
    let mut stage = stage(vec![one]);
    stage.told("a", vec![Act::TokenRefused, Act::Status(401)]);
    stage.owe(1, "a", 0).await;
    stage.run();
    // The first 401 was for the token, the second is the endpoint's last word.
    stage.until_state(1, State::Dead(DeadReason::Refused)).await;
    assert_eq!(stage.sent_ms("a").len(), 2);
    let attempts = stage.store.attempts(delivery(1, "a").id).await.unwrap();
    assert_eq!(attempts[0].error.as_deref(), Some("status 401, the token is not used again"));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_signed_yet_is_tried_again_and_not_sent() {
    let begins = Some(later(60_000));
    let secret = StandardSecret::generate([7; 32]).within(begins, None).unwrap();
    let signing = vec![Signing::standard(vec![secret]).unwrap()];
    let one = with_retry("a", &[0, 30, 60], None).with_signing(signing).unwrap();
    let mut stage = stage(vec![one]);
    stage.owe(1, "a", 0).await;
    stage.run();
    stage.until_state(1, State::Delivered).await;
    assert_eq!(stage.sent_ms("a").len(), 1);
    let attempts = stage.store.attempts(delivery(1, "a").id).await.unwrap();
    assert_eq!(attempts[0].outcome, Outcome::Failed(ErrorClass::Auth));
    assert_eq!(attempts[0].request_headers, "");
}
