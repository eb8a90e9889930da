//! What one delivery comes to.

use super::*;
use crate::metrics::AttemptLabel;
use livekit_webhook_core::attempt::{ClientErrors, Outcome};
use livekit_webhook_core::signature::{Secret, Signed, Signing, StandardSecret};

#[tokio::test(start_paused = true)]
async fn delivered_at_the_first_attempt() {
    let mut stage = stage(vec![endpoint("a")]);
    stage.owe(1, "a", 0).await;
    stage.run();
    stage.until_state(1, State::Delivered).await;
    stage.settled().await;
    let sent = stage.last_sent();
    assert_eq!(sent.url, "https://a.example.com/livekit?team=blue");
    assert_eq!(sent.body, event(1).body);
    assert_eq!(sent.timeout, Duration::from_secs(15));
    assert_eq!(sent.headers["webhook-id"], "wh_1");
    assert_eq!(sent.headers["webhook-attempt"], "1");
    assert_eq!(sent.headers["content-type"], "application/json");
    assert!(!sent.headers.contains_key("accept-encoding"));

    let attempts = stage.store.attempts(delivery(1, "a").id).await.unwrap();
    assert_eq!(attempts.len(), 1);
    assert_eq!(attempts[0].number, 1);
    assert_eq!(attempts[0].address.as_deref(), Some("192.0.2.7:443"));
    assert_eq!(attempts[0].response_start, "thanks");
    assert_eq!(attempts[0].error, None);
    let label = AttemptLabel { endpoint: "a".to_owned(), result: "2xx" };
    assert_eq!(stage.deliverer.metrics.attempts.get_or_create(&label).get(), 1);
    assert_eq!(stage.deliverer.in_flight.bytes.load(Ordering::SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn tried_again_by_schedule_and_by_the_receivers_wish() {
    let mut stage = stage(vec![with_retry("a", &[0, 5, 10, 20], None)]);
    let acts = vec![Act::Later(503, "120"), Act::Fail(ErrorClass::Timeout), Act::Status(302)];
    stage.told("a", acts);
    stage.owe(1, "a", 0).await;
    stage.run();
    stage.until_state(1, State::Delivered).await;
    let at = stage.sent_ms("a");
    assert_eq!(at.len(), 4);
    // The wish wins over the step of 5 s, with up to a tenth on top.
    assert!((120_000..=132_000).contains(&(at[1] - at[0])), "{at:?}");
    assert!((8_000..=12_000).contains(&(at[2] - at[1])), "{at:?}");
    assert!((16_000..=24_000).contains(&(at[3] - at[2])), "{at:?}");
    assert_eq!(stage.last_sent().headers["webhook-attempt"], "4");
    assert_eq!(stage.last_sent().headers["webhook-id"], "wh_1");
    let attempts = stage.store.attempts(delivery(1, "a").id).await.unwrap();
    let outcomes: Vec<_> = attempts.iter().map(|attempt| attempt.outcome.clone()).collect();
    assert_eq!(outcomes[0], Outcome::Answered { status: 503, retry_after_ms: Some(120_000) });
    assert_eq!(outcomes[1], Outcome::Failed(ErrorClass::Timeout));
    assert_eq!(attempts[1].error.as_deref(), Some("as told"));
    assert_eq!(attempts[2].error.as_deref(), Some("status 302"));
}

#[tokio::test(start_paused = true)]
async fn dead_when_nothing_is_left_to_try() {
    let mut last = with_retry("last", &[0, 1], None);
    last.policy.client_errors = ClientErrors::Final;
    let mut stage = stage(vec![last]);
    let unreachable = Act::Fail(ErrorClass::AddressRefused);
    stage.told("last", vec![Act::Status(500), Act::Status(599), Act::Status(404), unreachable]);
    stage.run();
    for (number, reason, requests) in [
        (1, DeadReason::Exhausted, 2),
        (2, DeadReason::Refused, 3),
        (3, DeadReason::AddressRefused, 4),
    ] {
        stage.owe(number, "last", 0).await;
        stage.until_state(number, State::Dead(reason)).await;
        assert_eq!(stage.sent_ms("last").len(), requests, "{reason:?}");
    }
    stage.settled().await;
    let text = stage.deliverer.metrics.text();
    let line = r#"livekit_webhook_deliveries_dead_total{endpoint="last",reason="refused"} 1"#;
    assert!(text.contains(line), "{text}");
}

#[tokio::test(start_paused = true)]
async fn older_than_max_age_is_not_sent() {
    let mut stage = stage(vec![with_retry("a", &[0, 1], Some(60))]);
    stage.owe(1, "a", 61_000).await;
    stage.owe(2, "a", 59_000).await;
    stage.run();
    stage.until_state(1, State::Dead(DeadReason::Expired)).await;
    stage.until_state(2, State::Delivered).await;
    assert_eq!(stage.sent_ms("a").len(), 1);
    assert_eq!(stage.store.attempts(delivery(1, "a").id).await.unwrap(), []);
}

#[tokio::test(start_paused = true)]
async fn what_is_owed_to_an_unconfigured_endpoint_waits_until_it_is_back() {
    let mut stage = stage(vec![endpoint("a")]);
    stage.owe(1, "removed", 0).await;
    stage.owe(2, "removed", 0).await;
    stage.owe(3, "a", 0).await;
    stage.run();
    stage.until_state(3, State::Delivered).await;
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(stage.delivery(1).await.state, State::Pending);
    assert_eq!(stage.deliverer.metrics.waiting_unconfigured.get(), 2);
    assert_eq!(stage.sent_ms("removed"), [0; 0]);
    stage.stopper.stop();

    let both = vec![endpoint("a"), endpoint("removed")];
    let mut back = stage_over(stage.store.clone(), both, 9);
    back.run();
    back.until_state(1, State::Delivered).await;
    back.until_state(2, State::Delivered).await;
    assert_eq!(back.deliverer.metrics.waiting_unconfigured.get(), 0);
}

#[tokio::test(start_paused = true)]
async fn every_way_of_signing_is_on_the_wire() {
    let secret = || Secret::new(b"0123456789abcdef".to_vec()).unwrap();
    let standard = vec![StandardSecret::generate([7; 32]), StandardSecret::generate([8; 32])];
    let ways = vec![
        Signing::standard(standard).unwrap(),
        Signing::livekit("APIours", secret()).unwrap(),
        Signing::hmac("x-hub", secret()).unwrap(),
    ];
    let mut stage = stage(vec![endpoint("a").with_signing(ways.clone()).unwrap()]);
    stage.owe(1, "a", 5_000).await;
    stage.run();
    stage.until_state(1, State::Delivered).await;
    let sent = stage.last_sent();
    let now = later(stage.sent_ms("a")[0]);
    let signed = Signed { webhook_id: "wh_1", now, body: &sent.body };
    for header in ways.iter().flat_map(|way| way.headers(&signed).unwrap()) {
        assert_eq!(sent.headers[&header.name], header.value, "{}", header.name);
    }
    assert_eq!(sent.headers["webhook-signature"].to_str().unwrap().split(' ').count(), 2);
    assert_eq!(sent.headers["content-type"], "application/webhook+json");
}
