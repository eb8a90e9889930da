use super::*;

fn pattern(text: &str) -> Pattern {
    Pattern::try_from(text.to_owned()).unwrap()
}

#[test]
fn a_star_at_the_end_stands_for_the_rest_of_a_type() {
    #[track_caller]
    fn check(text: &str, kind: &str, expect: bool) {
        assert_eq!(pattern(text).matches(kind), expect, "{text} {kind}");
    }
    check("room_started", "room_started", true);
    check("room_started", "room_finished", false);
    check("room_*", "room_finished", true);
    check("room_*", "my_room_started", false);
    check("*", "anything", true);
}

#[test]
fn the_closest_pattern_wins_whatever_the_order() {
    let values = [(pattern("*"), 1), (pattern("room_started"), 2), (pattern("room_*"), 3)];
    let closest = |kind| closest(values.iter().map(|(pattern, value)| (pattern, *value)), kind);
    assert_eq!(closest("room_started"), Some(2));
    assert_eq!(closest("room_finished"), Some(3));
    assert_eq!(closest("egress_ended"), Some(1));
}

#[test]
fn what_is_no_pattern_is_refused_in_words() {
    #[track_caller]
    fn check(json: &str, expect: &str) {
        let refusal = serde_json::from_str::<Patterns>(json).unwrap_err().to_string();
        assert!(refusal.contains(expect), "{refusal}");
    }
    check("[]", "must name 1 to 64 types of event");
    check(r#"["Room Started"]"#, "is not a type of event");
    check(r#"["*_started"]"#, "is not a type of event");
    check(r#"[""]"#, "is not a type of event");
}
