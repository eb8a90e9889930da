//! Our own trouble and a sender's slowness: always 503, which LiveKit tries again, and never
//! anything else.

use super::*;

const AT_ONCE: Duration = Duration::from_millis(1);

#[tokio::test]
async fn a_store_that_fails_or_is_full() {
    let stage = stage().await;
    stage.store.fail_next(1);
    stage.send(&signed(BODY.as_bytes())).await.is(503, "unavailable");
    stage.store.fill_next(1);
    stage.send(&signed(BODY.as_bytes())).await.is(503, "unavailable");
    assert_eq!(stage.metrics.store_errors.get(), 2);
    assert_eq!(stage.events().await, []);
    // What could not be put into quarantine is not told to be ended either.
    stage.store.fail_next(1);
    stage.send(&signed(b"{}")).await.is(503, "unavailable");
    // The repeat of an event whose answer was lost is a duplicate, not a second event.
    stage.store.lose_next_answers(1);
    stage.send(&signed(BODY.as_bytes())).await.is(503, "unavailable");
    let again = stage.send(&signed(BODY.as_bytes())).await;
    assert!(again.has("webhook-duplicate: true"), "{again:?}");
    stage.store.close().await.unwrap();
    stage.send(&signed(BODY.as_bytes())).await.is(503, "unavailable");
    assert_eq!(stage.answers("unavailable"), 5);
}

#[tokio::test]
async fn a_store_that_does_not_answer() {
    let options = Options { answer_timeout: AT_ONCE, ..options() };
    let stage = stage_with(options, keys(), &[]).await;
    stage.store.hang_next(1);
    stage.send(&signed(BODY.as_bytes())).await.is(503, "unavailable");
    assert_eq!(stage.answers("unavailable"), 1);
}

#[tokio::test]
async fn no_room_for_bodies() {
    let options = Options { body_bytes_in_flight_max: 32 * 1024, ..options() };
    let stage = stage_with(options, keys(), &[]).await;
    let large = format!(r#"{{"event":"e","pad":"{}"}}"#, "x".repeat(60_000));
    stage.send(&signed(large.as_bytes())).await.is(503, "unavailable");
    stage.send(&chunked(large.as_bytes(), 60_020).concat()).await.is(503, "unavailable");
    stage.send(&chunked(large.as_bytes(), 5_000).concat()).await.is(503, "unavailable");
    // Room comes back with the answer.
    for _ in 0..4 {
        stage.send(&signed(BODY.as_bytes())).await.is(200, "");
    }
    assert_eq!(stage.answers("unavailable"), 3);
}

#[tokio::test]
async fn room_is_held_while_a_body_comes() {
    let options = Options { body_bytes_in_flight_max: 16 * 1024, ..options() };
    let stage = stage_with(options, keys(), &[]).await;
    let mut slow = stage.connect().await;
    let body = BODY.as_bytes();
    let expect = format!("Expect: 100-continue\r\nAuthorization: {}\r\n", token(body));
    let request = post("/webhook", &expect, body);
    let (head, rest) = request.split_at(request.len() - body.len());
    slow.write_all(head).await.unwrap();
    let mut go_on = [0; 25];
    tokio::time::timeout(SOON, slow.read_exact(&mut go_on)).await.unwrap().unwrap();
    stage.send(&signed(body)).await.is(503, "unavailable");
    slow.write_all(rest).await.unwrap();
    read_reply(&mut slow).await.is(200, "");
}

#[tokio::test]
async fn no_keys_are_no_reason_to_refuse() {
    for on_unverified in [OnUnverified::Reject, OnUnverified::Quarantine] {
        let options = Options { on_unverified, ..options() };
        let stage = stage_with(options, KeyRing::new(), &[]).await;
        stage.send(&signed(BODY.as_bytes())).await.is(503, "unavailable");
        assert_eq!(stage.answers("refused") + stage.answers("quarantined"), 0);
    }
}

#[tokio::test]
async fn a_key_without_a_source_is_our_slip() {
    let mut keys = keys();
    keys.insert("APIstray", SECRET).unwrap();
    let stage = stage_with(options(), keys, &[]).await;
    let stray = authorization("APIstray", SECRET, BODY.as_bytes(), NOW_S);
    let request = post("/webhook", &format!("Authorization: {stray}\r\n"), BODY.as_bytes());
    stage.send(&request).await.is(503, "unavailable");
}

#[tokio::test]
async fn a_slow_body_and_a_broken_one() {
    let options = Options { body_timeout: Duration::from_millis(50), ..options() };
    let stage = stage_with(options, keys(), &[]).await;
    let request = signed(BODY.as_bytes());
    let part = &request[..request.len() - 5];
    stage.send(part).await.is(503, "body_timeout");
    assert_eq!(stage.answers("slow"), 1);

    let mut broken = stage.connect().await;
    broken.write_all(part).await.unwrap();
    broken.shutdown().await.unwrap();
    read_reply(&mut broken).await.is(503, "body_incomplete");
    assert_eq!(stage.answers("broken"), 1);
    assert_eq!(stage.events().await, []);
}
