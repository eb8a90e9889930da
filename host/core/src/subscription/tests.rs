use super::*;

fn globs(patterns: &[&str]) -> Vec<Glob> {
    patterns.iter().map(|pattern| Glob::parse(pattern).unwrap()).collect()
}

fn subscription(events: &[&str], rooms: &[&str]) -> Subscription {
    let name = Name::parse("billing").unwrap();
    Subscription::new(name, vec![], globs(events), globs(rooms), vec![]).unwrap()
}

#[track_caller]
fn check(events: &[&str], rooms: &[&str], kind: &str, room: Option<&str>, expect: bool) {
    assert_eq!(subscription(events, rooms).matches("prod", kind, room), expect, "{kind} {room:?}");
}

#[test]
fn events_and_rooms_must_both_fit() {
    check(&[], &[], "room_started", Some("a"), true);
    check(&["room_*"], &[], "room_started", None, true);
    check(&["room_*"], &[], "track_published", None, false);
    check(&["egress_ended", "room_*"], &["prod-*", "x"], "room_started", Some("x"), true);
    check(&["room_*"], &["prod-*"], "room_started", Some("test-1"), false);
    check(&["room_*"], &["prod-*"], "egress_ended", Some("prod-1"), false);
}

#[test]
fn a_subscription_can_name_its_sources() {
    let name = Name::parse("billing").unwrap();
    let sources = vec!["prod".to_owned(), "stage".to_owned()];
    let named = Subscription::new(name, sources, vec![], vec![], vec![]).unwrap();
    assert!(named.matches("stage", "room_started", None));
    assert!(!named.matches("test", "room_started", None));
}

#[test]
fn without_a_room_only_every_room_fits() {
    check(&[], &["prod-*"], "egress_started", None, false);
    check(&[], &["prod-*", "*"], "egress_started", None, true);
    check(&[], &["**"], "egress_started", None, false);
}

#[test]
fn limits_are_refused_just_past_them() {
    let name = Name::parse("billing").unwrap();
    let plugins = vec!["redact".to_owned(); PLUGINS_MAX];
    assert!(Subscription::new(name.clone(), vec![], vec![], vec![], plugins).is_ok());
    let plugins = vec!["redact".to_owned(); PLUGINS_MAX + 1];
    let error = Subscription::new(name, vec![], vec![], vec![], plugins).unwrap_err();
    assert_eq!(error.to_string(), "a subscription has at most 16 plugins, this one has 17");
}
