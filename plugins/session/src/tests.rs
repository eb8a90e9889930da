use super::*;
use serde_json::{Value, json};

fn event(kind: &str, sid: &str, created_s: i64, joined_ms: Option<i64>) -> Event {
    let mut participant = json!({ "sid": sid, "identity": "alice" });
    if let Some(joined_ms) = joined_ms {
        participant["joinedAt"] = (joined_ms / 1_000).to_string().into();
        participant["joinedAtMs"] = joined_ms.to_string().into();
    }
    let body = json!({
        "event": kind, "id": "EV_1", "createdAt": created_s.to_string(),
        "room": { "name": "demo" }, "participant": participant,
    });
    Event::from_json(body.to_string()).unwrap()
}

fn joined(sid: &str, at_s: i64) -> Event {
    event("participant_joined", sid, at_s, Some(at_s * 1_000))
}

fn left(sid: &str, at_s: i64) -> Event {
    event("participant_left", sid, at_s, None)
}

#[track_caller]
fn check(event: &Event, expect: Value) {
    let found = session(event).unwrap().into_iter().map(|(name, value)| (name, value.into()));
    assert_eq!(Value::Object(found.collect()), expect);
}

fn whole(joined_at: &str, left_at: &str, duration_s: &str) -> Value {
    json!({
        "session.joined_at": joined_at,
        "session.left_at": left_at,
        "session.duration_s": duration_s,
    })
}

#[test]
fn leaving_tells_of_the_whole_session() {
    check(&joined("PA_1", 1_000), json!({}));
    check(&left("PA_1", 1_083), whole("1000", "1083", "83"));
}

#[test]
fn the_fixtures_read_as_they_should() {
    let event = |body: &str| Event::from_json(body).unwrap();
    check(&event(include_str!("../fixtures/participant_joined.json")), json!({}));
    let left = event(include_str!("../fixtures/participant_left.json"));
    check(&left, whole("1795435192", "1795435195", "2"));
    check(&event(include_str!("../fixtures/track_published.json")), json!({}));
}

#[test]
fn repeats_say_the_same() {
    for _ in 0..3 {
        check(&joined("PA_1", 1_000), json!({}));
    }
    for at_s in [1_083, 1_083, 1_090] {
        check(&left("PA_1", at_s), whole("1000", "1083", "83"));
    }
}

#[test]
fn leaving_may_come_first() {
    check(&left("PA_1", 1_083), json!({ "session.left_at": "1083" }));
    check(&joined("PA_1", 1_000), json!({}));
    // Told again, it is whole.
    check(&left("PA_1", 1_083), whole("1000", "1083", "83"));
}

#[test]
fn a_missing_joined_is_read_from_the_event() {
    let left = event("participant_left", "PA_1", 1_083, Some(1_000_900));
    check(&left, whole("1000", "1083", "82"));
}

#[test]
fn the_earliest_time_of_joining_counts() {
    check(&joined("PA_1", 1_010), json!({}));
    check(&joined("PA_1", 1_000), json!({}));
    check(&joined("PA_1", 1_020), json!({}));
    check(&left("PA_1", 1_083), whole("1000", "1083", "83"));
}

#[test]
fn clocks_that_differ_make_no_negative_session() {
    check(&joined("PA_1", 1_000), json!({}));
    check(&left("PA_1", 999), whole("1000", "999", "0"));
}

#[test]
fn whoever_comes_back_has_another_session() {
    check(&joined("PA_1", 1_000), json!({}));
    check(&joined("PA_2", 1_050), json!({}));
    check(&left("PA_1", 1_051), whole("1000", "1051", "51"));
    check(&left("PA_2", 1_100), whole("1050", "1100", "50"));
}

#[test]
fn what_is_no_session_is_left_alone() {
    check(&left("", 1_083), json!({}));
    check(&left(&"x".repeat(129), 1_083), json!({}));
    check(&event("participant_connection_aborted", "PA_1", 1_083, None), json!({}));
    check(
        &Event::from_json(r#"{"event":"room_started","room":{"name":"demo"}}"#).unwrap(),
        json!({}),
    );
    assert_eq!(state::keys("", None).unwrap(), [""; 0]);
}

#[test]
fn what_cannot_be_read_is_written_over() {
    state::set("session/PA_1", "no JSON").unwrap();
    check(&joined("PA_1", 1_000), json!({}));
    check(&left("PA_1", 1_083), whole("1000", "1083", "83"));
}
