//! Several events in one request.

use super::*;
use crate::metrics::EndpointLabel;
use livekit_webhook_core::batch::{BODY_BYTES_MAX, BatchId, Batching};
use livekit_webhook_core::endpoint::Order;

fn batched(name: &str, events_max: usize) -> Endpoint {
    let mut endpoint = with_retry(name, &[0, 5, 5], None);
    endpoint.traffic.order = Order::Batch(Batching::new(events_max, 2_000).unwrap());
    endpoint
}

// === impl Stage ===

impl Stage {
    /// Numbers in the bodies of each request.
    fn batches(&self) -> Vec<Vec<u64>> {
        let sent = self.script.sent.lock().unwrap();
        let numbers = |outgoing: &Outgoing| {
            let body: Vec<serde_json::Value> = serde_json::from_slice(&outgoing.body).unwrap();
            body.iter().map(|event| event["number"].as_u64().unwrap()).collect()
        };
        sent.iter().map(|(_, outgoing)| numbers(outgoing)).collect()
    }

    async fn owe_body(&self, number: u32, endpoint: &str, body: Bytes) {
        let new = NewDelivery { body: Some(body), ..delivery(number, endpoint) };
        planned(&*self.store, number, vec![new]).await;
    }
}

fn batch_id(numbers: impl IntoIterator<Item = u64>) -> String {
    let ids: Vec<String> = numbers.into_iter().map(|number| format!("wh_{number}")).collect();
    BatchId::of(ids.iter().map(String::as_str)).to_string()
}

#[tokio::test(start_paused = true)]
async fn events_go_together_under_one_name() {
    let mut stage = stage(vec![batched("a", 4)]);
    for number in 1..=10 {
        stage.owe(number, "a", 0).await;
    }
    stage.run();
    for number in 1..=10 {
        stage.until_state(number, State::Delivered).await;
    }
    stage.settled().await;
    let batches = stage.batches();
    assert_eq!(batches.iter().map(Vec::len).collect::<Vec<_>>(), [4, 4, 2]);
    let mut all: Vec<u64> = batches.concat();
    assert_eq!(all, (1..=10).collect::<Vec<_>>(), "the oldest first");
    all.dedup();
    let sent = stage.script.sent.lock().unwrap();
    for ((_, outgoing), numbers) in sent.iter().zip(&batches) {
        assert_eq!(outgoing.headers["webhook-id"], batch_id(numbers.iter().copied()).as_str());
        assert_eq!(outgoing.headers["content-type"], "application/json");
        assert_eq!(outgoing.headers["webhook-attempt"], "1");
    }
    drop(sent);
    let label = EndpointLabel { endpoint: "a".to_owned() };
    let attempts = crate::metrics::AttemptLabel { endpoint: "a".to_owned(), result: "2xx" };
    let metrics = &stage.deliverer.metrics;
    assert_eq!(metrics.attempts.get_or_create(&attempts).get(), 3, "a batch is one attempt");
    let text = metrics.text();
    let _ = metrics.batch_events.get_or_create(&label);
    assert!(text.contains("livekit_webhook_batch_events_sum{endpoint=\"a\"} 10.0"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_fails_is_tried_again_whole_and_alone() {
    let mut stage = stage(vec![batched("a", 3)]);
    stage.told("a", vec![Act::Status(500)]);
    for number in 1..=2 {
        stage.owe(number, "a", 0).await;
    }
    stage.run();
    stage.until("failed", || stage.sent_ms("a").len() == 1).await;
    stage.settled().await;
    let first = stage.delivery(1).await;
    let second = stage.delivery(2).await;
    assert!(first.batch.is_some() && first.batch == second.batch);
    assert_eq!((first.due_at, first.attempts), (second.due_at, second.attempts));
    // One more has room in it by its size, and still does not join.
    stage.owe(3, "a", first.due_at.millis_since(START)).await;
    for number in 1..=3 {
        stage.until_state(number, State::Delivered).await;
    }
    let mut batches = stage.batches();
    assert_eq!(batches.remove(0), [1, 2]);
    batches.sort();
    assert_eq!(batches, [vec![1, 2], vec![3]]);
    let ids: Vec<_> = {
        let sent = stage.script.sent.lock().unwrap();
        sent.iter().map(|(_, outgoing)| outgoing.headers["webhook-id"].clone()).collect()
    };
    assert_eq!(ids.iter().filter(|id| **id == batch_id([1, 2]).as_str()).count(), 2);
    for number in 1..=2 {
        let numbers: Vec<u32> = stage.attempts(number).await.iter().map(|a| a.number).collect();
        assert_eq!(numbers, [1, 2]);
    }
}

#[tokio::test(start_paused = true)]
async fn what_does_not_fit_goes_in_the_next_request() {
    let mut stage = stage(vec![batched("a", 10)]);
    let large = |number: u32, bytes: usize| {
        Bytes::from(format!(r#"{{"number":{number},"pad":"{}"}}"#, "x".repeat(bytes)))
    };
    stage.owe_body(1, "a", large(1, BODY_BYTES_MAX / 2)).await;
    stage.owe_body(2, "a", large(2, BODY_BYTES_MAX / 2)).await;
    stage.owe_body(3, "a", large(3, BODY_BYTES_MAX * 2)).await;
    stage.run();
    for number in 1..=3 {
        stage.until_state(number, State::Delivered).await;
    }
    assert_eq!(stage.batches(), [[1], [2], [3]]);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_not_json_harms_no_other() {
    let mut stage = stage(vec![batched("a", 10), endpoint("b")]);
    stage.owe(1, "a", 0).await;
    stage.owe_body(2, "a", Bytes::from_static(b"], [")).await;
    stage.owe(3, "a", 0).await;
    stage.owe_body(4, "b", Bytes::from_static(b"text")).await;
    stage.run();
    stage.until_state(2, State::Dead(DeadReason::Plugin)).await;
    stage.until_state(1, State::Delivered).await;
    stage.until_state(3, State::Delivered).await;
    // Alone, a body may be anything.
    stage.until_state(4, State::Delivered).await;
    let sent = stage.script.sent.lock().unwrap();
    let body = sent.iter().map(|(_, outgoing)| &outgoing.body).find(|body| body.starts_with(b"["));
    let both = [&event(1).body[..], &event(3).body[..]].join(&b","[..]);
    assert_eq!(body.unwrap()[..], [b"[", &both[..], b"]"].concat());
}

#[tokio::test(start_paused = true)]
async fn what_is_too_old_leaves_its_batch() {
    let mut old = batched("a", 10);
    old.policy.schedule = Schedule::new(vec![0, 5_000], Some(45_000)).unwrap();
    let mut stage = stage(vec![old]);
    stage.owe(1, "a", 0).await;
    stage.owe(2, "a", 0).await;
    // Received 50 s later, for the clock of events is their number.
    stage.owe(50_000, "a", 0).await;
    tokio::time::sleep(Duration::from_millis(47_000)).await;
    stage.run();
    stage.until_state(50_000, State::Delivered).await;
    for number in 1..=2 {
        stage.until_state(number, State::Dead(DeadReason::Expired)).await;
    }
    assert_eq!(stage.batches(), [[50_000]]);
}

/// As when a replay sends to an endpoint with batches what was planned for one without.
#[tokio::test(start_paused = true)]
async fn a_batch_has_no_members_headers() {
    let mut stage = stage(vec![batched("a", 2)]);
    for number in 1..=2 {
        let headers = "ce-id: EV_1".parse().unwrap();
        let new = NewDelivery { headers, ..delivery(number, "a") };
        planned(&*stage.store, number, vec![new]).await;
    }
    stage.run();
    stage.until_state(2, State::Delivered).await;
    assert_eq!(stage.batches(), [[1, 2]]);
    assert_eq!(stage.last_sent().headers.get("ce-id"), None);
}
