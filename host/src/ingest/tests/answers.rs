//! What is answered 200, and what it means.

use super::*;
use crate::store::PlanState;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use livekit_webhook_wire::body_hash::BodyHash;

#[tokio::test]
async fn stored_as_received() {
    let stage = stage().await;
    stage.send(&signed(BODY.as_bytes())).await.is(200, "");
    let events = stage.events().await;
    assert_eq!(events.len(), 1);
    let event = &events[0].event;
    assert_eq!(event.body, BODY);
    assert_eq!((event.source.as_str(), event.api_key.as_str()), ("prod", KEY));
    assert_eq!((event.kind.as_str(), event.dedupe_key.as_str()), ("room_started", "EV_1"));
    assert_eq!(event.room.as_deref(), Some("demo"));
    assert_eq!(event.created_at, Some(Timestamp::from_millis(1_699_999_999_000)));
    assert_eq!(event.received_at, stage.clock.now());
    assert_eq!(events[0].plan, PlanState::Unplanned);
    assert_eq!(stage.answers("stored"), 1);
    // The router was woken.
    tokio::time::timeout(SOON, stage.bell.wait(SOON * 2)).await.unwrap();
}

#[tokio::test]
async fn a_slash_at_the_end_is_the_same_path() {
    let stage = stage().await;
    let headers = format!("Authorization: {}\r\n", token(BODY.as_bytes()));
    stage.send(&post("/webhook/", &headers, BODY.as_bytes())).await.is(200, "");
    assert_eq!(stage.events().await.len(), 1);
}

#[tokio::test]
async fn a_repeat_is_a_duplicate_and_another_body_a_conflict() {
    let stage = stage().await;
    let first = stage.send(&signed(BODY.as_bytes())).await;
    assert!(!first.has("webhook-duplicate: true"));
    let again = stage.send(&signed(BODY.as_bytes())).await;
    again.is(200, "");
    assert!(again.has("webhook-duplicate: true"), "{again:?}");
    assert_eq!(stage.events().await.len(), 1);

    let other = BODY.replace("demo", "other");
    let conflict = stage.send(&signed(other.as_bytes())).await;
    conflict.is(200, "");
    assert!(!conflict.has("webhook-duplicate: true"));
    let events = stage.events().await;
    assert_eq!(events.len(), 2);
    let kept = events.iter().find(|event| event.plan == PlanState::Conflict).unwrap();
    assert_eq!(kept.event.body, other);
    assert_eq!((stage.answers("duplicate"), stage.answers("conflict")), (1, 1));
}

#[tokio::test]
async fn without_an_id_the_body_is_the_key() {
    let stage = stage().await;
    let body = br#"{"event":"room_started"}"#;
    stage.send(&signed(body)).await.is(200, "");
    assert!(stage.send(&signed(body)).await.has("webhook-duplicate: true"));
    let events = stage.events().await;
    let hash = BodyHash::of(body);
    let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(events[0].event.dedupe_key, format!("sha256:{hex}"));
    assert_eq!(events[0].event.body_sha256, hash);
}

#[tokio::test]
async fn what_the_source_does_not_take_is_filtered() {
    let stage = stage_with(options(), keys(), &["participant_*", "room_finished"]).await;
    let filtered = stage.send(&signed(BODY.as_bytes())).await;
    filtered.is(200, "");
    assert!(filtered.has("webhook-filtered: true"), "{filtered:?}");
    assert_eq!(stage.events().await, []);
    let taken = BODY.replace("room_started", "room_finished");
    assert!(!stage.send(&signed(taken.as_bytes())).await.has("webhook-filtered: true"));
    assert_eq!(stage.events().await.len(), 1);
}

#[tokio::test]
async fn one_frame_or_many_make_the_same_event() {
    let stage = stage().await;
    let large = format!(r#"{{"event":"room_started","pad":"{}"}}"#, "x".repeat(90_000));
    for (body, size) in [(BODY, 1), (BODY, 7), (BODY, 1_000), (large.as_str(), 9_000)] {
        let mut stream = stage.connect().await;
        for piece in chunked(body.as_bytes(), size) {
            stream.write_all(&piece).await.unwrap();
            stream.flush().await.unwrap();
        }
        read_reply(&mut stream).await.is(200, "");
        let events = stage.events().await;
        assert!(events.iter().any(|event| event.event.body == body), "in pieces of {size}");
    }
    assert_eq!((stage.answers("stored"), stage.answers("duplicate")), (2, 2));
}

#[tokio::test]
async fn http2_is_spoken_too() {
    let stage = stage().await;
    let stream = TokioIo::new(stage.connect().await);
    let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), stream);
    let (mut client, connection) = handshake.await.unwrap();
    stage.tasks.spawn(Kind::Connection, "client", async move {
        let _ = connection.await;
    });
    let too_large = "x".repeat(100_001);
    for (body, status) in [(BODY, 200), (too_large.as_str(), 413), (BODY, 200)] {
        let request = hyper::Request::post(format!("http://{}/webhook", stage.address))
            .header("authorization", token(body.as_bytes()))
            .body(Full::new(bytes::Bytes::from(body.to_owned())))
            .unwrap();
        let answer = tokio::time::timeout(SOON, client.send_request(request)).await.unwrap();
        let answer = answer.unwrap();
        assert_eq!(answer.status(), status);
        answer.into_body().collect().await.unwrap();
    }
    assert_eq!((stage.answers("stored"), stage.answers("duplicate")), (1, 1));
}
