//! The doubles themselves: what a story relies on.

use livekit_webhook_tests::livekit::{self, DEPTH_MAX, Fate, Sender, raw};
use livekit_webhook_tests::receiver::{Answer, Receiver};
use livekit_webhook_wire::sample::{self, Sample};
use std::time::Duration;

const BOUND: Duration = Duration::from_secs(30);
/// A second of LiveKit's is a millisecond here.
const FACTOR: f64 = 0.001;
const NOW_S: i64 = 1_795_435_200;

fn event(room: &str, id: &str) -> String {
    let sample = Sample { room, identity: "alice", event_id: id, now_s: NOW_S, seed: 1 };
    sample::body("room_started", &sample).unwrap()
}

fn sender(receiver: &Receiver, factor: f64) -> Sender {
    Sender::new(&[&receiver.url("/hook")], "devkey", "secret", factor).unwrap()
}

fn status(status: u16) -> Answer {
    Answer::status(status).unwrap()
}

#[tokio::test]
async fn five_attempts_with_the_same_bytes_and_token() {
    let receiver = Receiver::start().await.unwrap();
    receiver.otherwise(status(500));
    let sender = sender(&receiver, FACTOR);
    sender.notify(event("r", "EV_1"));
    let reports = sender.wait_for(1, BOUND).await.unwrap();
    assert_eq!(reports[0].fate, Fate::GivenUp);
    let outcomes: Vec<_> = reports[0].attempts.iter().map(|a| a.outcome.clone()).collect();
    assert_eq!(outcomes, vec![Ok(500); 5]);
    let seen = receiver.seen();
    assert_eq!(seen.len(), 5);
    for request in &seen {
        assert_eq!(request.body, event("r", "EV_1"));
        assert_eq!(request.headers["authorization"], seen[0].headers["authorization"]);
        assert_eq!(request.headers["user-agent"], "LiveKit");
        assert_eq!(request.headers["content-type"], "application/webhook+json");
    }
    // The waits before the attempts are at least 1, 2, 4 and 8 scaled seconds.
    for (at, wait_ms) in [(1, 1), (2, 2), (3, 4), (4, 8)] {
        assert!(seen[at].at - seen[at - 1].at >= Duration::from_millis(wait_ms));
    }
}

#[tokio::test]
async fn what_counts_as_delivered_is_what_livekit_counts() {
    for (code, attempts) in
        [(200, 1), (204, 1), (400, 1), (401, 1), (404, 1), (413, 1), (501, 1), (429, 2), (503, 2)]
    {
        let receiver = Receiver::start().await.unwrap();
        receiver.script([status(code)]);
        let sender = sender(&receiver, FACTOR);
        sender.notify(event("r", "EV_1"));
        let reports = sender.wait_for(1, BOUND).await.unwrap();
        assert_eq!(reports[0].fate, Fate::Delivered, "{code}");
        assert_eq!(reports[0].attempts.len(), attempts, "{code}");
    }
}

#[tokio::test]
async fn a_broken_connection_is_tried_again() {
    let receiver = Receiver::start().await.unwrap();
    receiver.script([Answer::Close, Answer::Close]);
    let sender = sender(&receiver, FACTOR);
    sender.notify(event("r", "EV_1"));
    let reports = sender.wait_for(1, BOUND).await.unwrap();
    assert_eq!(reports[0].attempts.len(), 3);
    assert!(reports[0].attempts[0].outcome.is_err());
    assert_eq!(reports[0].attempts[2].outcome, Ok(200));
}

#[tokio::test]
async fn retry_after_is_obeyed_only_on_429_and_503() {
    let receiver = Receiver::start().await.unwrap();
    receiver.script([
        status(503).header("retry-after", "90"),
        status(500).header("retry-after", "3600000"),
    ]);
    let sender = sender(&receiver, FACTOR);
    sender.notify(event("r", "EV_1"));
    let seen = receiver.wait_for(3, BOUND).await.unwrap();
    assert!(seen[1].at - seen[0].at >= Duration::from_millis(90));
    sender.wait_for(1, BOUND).await.unwrap();
}

#[tokio::test]
async fn one_in_flight_a_room_and_rooms_apart() {
    let receiver = Receiver::start().await.unwrap();
    receiver.script([Answer::Never]);
    let sender = sender(&receiver, 1.0);
    sender.notify(event("held", "EV_1"));
    receiver.wait_for(1, BOUND).await.unwrap();
    sender.notify(event("held", "EV_2"));
    sender.notify(event("free", "EV_3"));
    let reports = sender.wait_for(1, BOUND).await.unwrap();
    assert_eq!(reports[0].key, "free");
    assert_eq!(receiver.seen().len(), 2, "the second of the held room waits");
}

#[tokio::test]
async fn order_holds_in_a_room() {
    let receiver = Receiver::start().await.unwrap();
    receiver.script([status(500), status(200), status(503)]);
    let sender = sender(&receiver, FACTOR);
    let ids: Vec<_> = (0..20).map(|n| format!("EV_{n}")).collect();
    ids.iter().for_each(|id| sender.notify(event("r", id)));
    let reports = sender.wait_for(20, BOUND).await.unwrap();
    let bodies: Vec<_> = reports.iter().map(|report| report.body.clone()).collect();
    assert_eq!(bodies, ids.iter().map(|id| event("r", id)).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_full_queue_drops_and_what_waited_too_long_is_dropped() {
    let receiver = Receiver::start().await.unwrap();
    // The first answer takes a hundred times longer than anything may wait: 30 scaled seconds.
    receiver.script([status(200).after(Duration::from_millis(300))]);
    let sender = sender(&receiver, FACTOR / 10.0);
    sender.notify(event("r", "EV_first"));
    receiver.wait_for(1, BOUND).await.unwrap();
    for n in 0..=DEPTH_MAX {
        sender.notify(event("r", &format!("EV_{n}")));
    }
    let reports = sender.wait_for(DEPTH_MAX + 2, BOUND).await.unwrap();
    let count = |fate: Fate| reports.iter().filter(|report| report.fate == fate).count();
    assert_eq!(count(Fate::DroppedByDepth), 1);
    assert!(count(Fate::DroppedByAge) >= 1);
    assert_eq!(receiver.seen().len(), count(Fate::Delivered));
}

#[tokio::test]
async fn a_full_queue_costs_the_later_urls_the_event() {
    let (full, later) = (Receiver::start().await.unwrap(), Receiver::start().await.unwrap());
    full.otherwise(Answer::Never);
    let urls = [full.url("/"), later.url("/")];
    let sender = Sender::new(&[&urls[0], &urls[1]], "devkey", "secret", 1.0).unwrap();
    sender.notify(event("r", "EV_first"));
    full.wait_for(1, BOUND).await.unwrap();
    for n in 0..=DEPTH_MAX {
        sender.notify(event("r", &format!("EV_{n}")));
        // So that the later queue is worked off, and only the first is full.
        later.wait_for((n + 2).min(DEPTH_MAX + 1), BOUND).await.unwrap();
    }
    let dropped: Vec<_> =
        sender.reports().into_iter().filter(|r| r.fate == Fate::DroppedByDepth).collect();
    assert_eq!(dropped.len(), 1);
    assert_eq!(later.seen().len(), DEPTH_MAX + 1);
}

#[tokio::test]
async fn redirects_are_followed_as_go_follows_them() {
    let (first, second) = (Receiver::start().await.unwrap(), Receiver::start().await.unwrap());
    first.script([
        status(302).header("location", "/moved"),
        status(200),
        status(307).header("location", &second.url("/other")),
    ]);
    let sender = sender(&first, FACTOR);
    sender.notify(event("r", "EV_1"));
    sender.wait_for(1, BOUND).await.unwrap();
    let seen = first.seen();
    assert_eq!((seen[1].method.as_str(), seen[1].path.as_str()), ("GET", "/moved"));
    assert!(seen[1].body.is_empty());
    sender.notify(event("r", "EV_2"));
    sender.wait_for(2, BOUND).await.unwrap();
    let seen = second.seen();
    assert_eq!(seen[0].method, "POST");
    assert_eq!(seen[0].body, event("r", "EV_2"));
    assert!(!seen[0].headers.contains_key("authorization"));
}

#[tokio::test]
async fn what_it_signs_is_livekits() {
    let receiver = Receiver::start().await.unwrap();
    let sender = sender(&receiver, FACTOR);
    sender.notify(event("r", "EV_1"));
    let seen = receiver.wait_for(1, BOUND).await.unwrap();
    let token = seen[0].headers["authorization"].to_str().unwrap();
    let verifier = livekit_api::access_token::TokenVerifier::with_api_key("devkey", "secret");
    let oracle = livekit_api::webhooks::WebhookReceiver::new(verifier);
    let event = oracle.receive(std::str::from_utf8(&seen[0].body).unwrap(), token).unwrap();
    assert_eq!(event.id, "EV_1");
}

#[test]
fn the_key_is_livekits() {
    for (body, key) in [
        (r#"{"egressInfo":{"egressId":"EG_1"},"room":{"name":"r"}}"#, "EG_1"),
        (r#"{"egressInfo":{},"room":{"name":"r"}}"#, ""),
        (r#"{"ingressInfo":{"ingressId":"IN_1"},"room":{"name":"r"}}"#, "IN_1"),
        (r#"{"room":{"name":"r"},"participant":{"identity":"a"}}"#, "r"),
        (r#"{"participant":{"identity":"a"},"track":{"sid":"TR_1"}}"#, "a"),
        (r#"{"track":{"sid":"TR_1"}}"#, "TR_1"),
        (r#"{"job":{"room":{"name":"r"}}}"#, "default"),
        ("no JSON", "default"),
    ] {
        assert_eq!(livekit::event_key(body.as_bytes()), key, "{body}");
    }
}

#[tokio::test]
async fn raw_requests_arrive_in_every_manner() {
    let receiver = Receiver::start().await.unwrap();
    let whole = raw::request("/a", &[("X-A", "b")], b"body");
    let pieces = raw::chunked("/a", &[], &[b"bo", b"", b"dy"]);
    let drip = raw::Manner::Drip { piece: 7, pause: Duration::from_micros(100) };
    for (bytes, manner) in
        [(&whole, raw::Manner::Whole), (&pieces, raw::Manner::Whole), (&whole, drip)]
    {
        let answer = raw::send(receiver.address(), bytes, manner, BOUND).await.unwrap();
        assert_eq!(raw::status(&answer), Some(200), "{manner:?}");
    }
    assert!(receiver.seen().iter().all(|seen| seen.body == "body"));
    // Half a body and then the end: there is no request to keep.
    let half = &whole[..whole.len() - 2];
    let manner = raw::Manner::HalfClosed;
    raw::send(receiver.address(), half, manner, BOUND).await.unwrap();
    assert_eq!(receiver.seen().len(), 3);
}

/// The example of the Standard Webhooks specification, "Signature scheme", signed by its reference
/// libraries.
#[tokio::test]
async fn standard_signatures_are_checked() {
    let receiver = Receiver::start().await.unwrap();
    let body = br#"{"test": 2432232314}"#;
    let headers = |signature: &'static str| {
        [
            ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
            ("webhook-timestamp", "1614265330"),
            ("webhook-signature", signature),
        ]
    };
    let good = "v1,bm9ldHUjKzFob2VudXRob2VodWUzMjRvdWVvdW9ldQo= v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    let bad = "v1,bm9ldHUjKzFob2VudXRob2VodWUzMjRvdWVvdW9ldQo=";
    for signature in [good, bad] {
        let bytes = raw::request("/", &headers(signature), body);
        raw::send(receiver.address(), &bytes, raw::Manner::Whole, BOUND).await.unwrap();
    }
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let seen = receiver.seen();
    seen[0].verify_standard(secret, 1_614_265_330).unwrap();
    assert!(seen[0].verify_standard(secret, 1_614_265_330 + 301).is_err());
    assert!(seen[1].verify_standard(secret, 1_614_265_330).is_err());
}
