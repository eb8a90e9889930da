use livekit_webhook_wire::envelope::Envelope;
use proptest::prelude::*;

use super::*;

fn facts(event: &str, room: Option<&str>) -> Facts {
    let envelope = Envelope {
        event: event.to_owned(),
        id: Some("EV_1".to_owned()),
        room_name: room.map(str::to_owned),
        ..Envelope::default()
    };
    Facts { api_key: "APIkey".to_owned(), envelope: Some(envelope), ..Facts::default() }
}

fn verdict(prefix: &str, facts: &Facts) -> Vec<(String, String)> {
    let names = Names::new(prefix, &FACTS.map(str::to_owned));
    let lines = names.verdict(facts).lines;
    lines.into_iter().map(|(name, value)| (name.to_owned(), value.into_owned())).collect()
}

/// The list, when it holds together to its end.
fn parse_pairs(list: &[u8]) -> Option<Vec<(&[u8], &[u8])>> {
    let mut pairs = Pairs::of(list)?;
    let lines = pairs.by_ref().collect();
    (pairs.left() == 0).then_some(lines)
}

fn pair(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

#[test]
fn the_verdict_names_what_is_known() {
    assert_eq!(
        verdict("x-livekit-", &facts("room_started", Some("prod-7"))),
        [
            pair("x-livekit-verified", "1"),
            pair("x-livekit-key", "APIkey"),
            pair("x-livekit-event", "room_started"),
            pair("x-livekit-event-id", "EV_1"),
            pair("x-livekit-room", "prod-7"),
        ]
    );
    let marked = Facts {
        envelope: None,
        filtered: true,
        token_age_s: Some(-3),
        repeat: Repeat::InFlight,
        excused: Some(Refusal::RateLimited { wait_s: 1 }),
        ..facts("", None)
    };
    assert_eq!(
        verdict("x-", &marked),
        [
            pair("x-verified", "1"),
            pair("x-key", "APIkey"),
            pair("x-age-s", "-3"),
            pair("x-filtered", "1"),
            pair("x-duplicate", "in_flight"),
            pair("x-shadow", "rate_limited"),
        ]
    );
    let delivered = Facts { repeat: Repeat::Delivered, ..facts("e", None) };
    assert!(verdict("x-", &delivered).contains(&pair("x-duplicate", "delivered")));
}

#[test]
fn facts_that_are_not_wanted_are_left_out_and_marks_are_not() {
    let names = Names::new("x-", &["room".to_owned()]);
    let marked = Facts {
        filtered: true,
        token_age_s: Some(1),
        repeat: Repeat::Delivered,
        ..facts("room_started", Some("prod-7"))
    };
    let lines = names.verdict(&marked).lines;
    let expect = [("x-room", "prod-7"), ("x-filtered", "1"), ("x-duplicate", "delivered")];
    assert_eq!(lines, expect.map(|(name, value)| (name, value.into())));
    assert!(names.claims(b"x-verified"), "what is not set is stripped all the same");
}

#[test]
fn what_shadow_mode_lets_on_is_marked_and_never_called_verified() {
    let names = Names::new("x-", &[]);
    let lines = names.excused(&Refusal::Method).lines;
    assert_eq!(lines, [("x-shadow", "method".into())]);
    assert!(names.claims(b"x-verified") && !names.claims(b"host"));
}

#[test]
fn what_is_not_visible_ascii_is_encoded_and_what_is_too_long_left_out() {
    let room = |name: &str| {
        let headers = verdict("", &facts("e", Some(name)));
        headers.into_iter().find(|(name, _)| name == "room").map(|(_, value)| value)
    };
    assert_eq!(room("a b\r\n\0%ü").as_deref(), Some("a%20b%0D%0A%00%25%C3%BC"));
    assert_eq!(room(&"a".repeat(1024)), Some("a".repeat(1024)));
    assert_eq!(room(&"a".repeat(1025)), None);
    assert_eq!(room(&" ".repeat(342)), None);
}

#[test]
fn lists_that_do_not_hold_together_are_refused() {
    let list = write_pairs(&[("a", "1"), ("b", "")]);
    assert_eq!(parse_pairs(&list), Some(vec![(&b"a"[..], &b"1"[..]), (b"b", b"")]));
    assert_eq!(parse_pairs(b""), Some(vec![]));
    for cut in 1..list.len() {
        assert_eq!(parse_pairs(&list[..cut]), None, "{cut}");
    }
    assert_eq!(parse_pairs(&[0xff; 64]), None);
}

proptest! {
    #[test]
    fn lists_survive_the_way_there_and_back(
        lines in prop::collection::vec(("[a-z-]{0,9}", ".{0,9}"), 0..9),
    ) {
        let lines: Vec<_> = lines.iter().map(|(name, value)| (&**name, &**value)).collect();
        let expected: Vec<_> =
            lines.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
        let list = write_pairs(&lines);
        prop_assert_eq!(parse_pairs(&list), Some(expected));
    }

    #[test]
    fn no_bytes_panic(bytes: Vec<u8>, count in 0_u32..40) {
        let _ = parse_pairs(&bytes);
        let _ = parse_pairs(&[&count.to_le_bytes()[..], &bytes].concat());
    }

    #[test]
    fn no_verdict_header_ends_early(event: String, room: String) {
        for (_, value) in verdict("x-", &facts(&event, Some(&room))) {
            prop_assert!(value.bytes().all(|byte| byte.is_ascii_graphic()));
        }
    }
}
