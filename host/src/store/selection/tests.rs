use super::*;
use livekit_webhook_core::id::EventId;

fn everything() -> Selection {
    Selection {
        events: vec![EventId::new(1, 2), EventId::new(3, 4)],
        since: Some(Timestamp::from_millis(-5)),
        until: Some(Timestamp::from_millis(i64::MAX)),
        kinds: vec!["room_*".parse().unwrap()],
        rooms: vec!["a\"b".parse().unwrap(), "*".parse().unwrap()],
        source: Some("prod".to_owned()),
        endpoint: Some("billing".to_owned()),
        status: Some(ReplayStatus::Dead),
        reason: Some(DeadReason::Exhausted),
        to: Some("other".to_owned()),
        include_succeeded: true,
    }
}

#[test]
fn what_is_written_is_read() {
    let delivered = Selection { status: Some(ReplayStatus::Delivered), ..Selection::default() };
    for selection in [Selection::default(), everything(), delivered] {
        assert_eq!(from_text(&to_text(&selection)).unwrap(), selection);
    }
    assert_eq!(to_text(&Selection::default()), "{}");
}

#[test]
fn what_nobody_wrote_is_refused() {
    for text in ["", "[]", "null", "{"] {
        assert_eq!(from_text(text), Err(Error::Form), "{text}");
    }
    let member = |name: &str| Err(Error::Member(name.to_owned()));
    assert_eq!(from_text(r#"{"since_ms":"5"}"#), member("since_ms"));
    assert_eq!(from_text(r#"{"kinds":[""]}"#), member("kinds"));
    assert_eq!(from_text(r#"{"status":"pending"}"#), member("status"));
    assert_eq!(from_text(r#"{"other":1}"#), member("other"));
}
