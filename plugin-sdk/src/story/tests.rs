use super::*;
use crate::native;

/// Marks what was escaped and what stands out.
struct Marks;

impl Style for Marks {
    fn name(&self, raw: &str) -> String {
        format!("<{}>", plain(raw).collect::<String>())
    }

    fn strong(&self, escaped: &str) -> String {
        format!("*{escaped}*")
    }
}

#[test]
fn each_type_of_event_has_a_text_that_names_its_room() {
    for kind in native::KINDS {
        let story = of(&native::sample(kind).unwrap(), &Marks);
        assert!(story.icon.is_some(), "{kind}");
        assert!(story.text.contains("*<demo-room>*"), "{kind}: {}", story.text);
    }
}

#[test]
fn every_word_of_a_user_goes_through_the_style() {
    let words = r#"{"event":"agent_job_ended","job":{"agentName":"A","room":{"name":"R"},
        "state":{"status":"JS_ODD","error":"E"}}}"#;
    let story = of(&Event::from_json(words).unwrap(), &Marks);
    assert_eq!(story.text, "*<A>* ended its work in *<R>* – <odd>: <E>");
}

#[test]
fn a_type_nobody_knows_yet_is_still_a_text() {
    let event = Event::from_json(r#"{"event":"moon_landed"}"#).unwrap();
    let expect = Story { icon: None, tone: Tone::Note, text: "<moon landed> in *<a room>*".into() };
    assert_eq!(of(&event, &Marks), expect);
}

#[test]
fn trouble_is_told_apart() {
    #[track_caller]
    fn check(body: &str, tone: Tone) {
        assert_eq!(of(&Event::from_json(body).unwrap(), &Marks).tone, tone);
    }
    check(r#"{"event":"egress_ended","egressInfo":{"status":"EGRESS_COMPLETE"}}"#, Tone::Over);
    check(r#"{"event":"egress_ended","egressInfo":{"status":"EGRESS_FAILED"}}"#, Tone::Trouble);
    check(r#"{"event":"ingress_ended","ingressInfo":{"state":{"error":"x"}}}"#, Tone::Trouble);
    check(r#"{"event":"ingress_ended","ingressInfo":{}}"#, Tone::Over);
    check(r#"{"event":"agent_job_ended","job":{"state":{"status":"JS_FAILED"}}}"#, Tone::Trouble);
}

#[test]
fn a_name_is_short_on_one_line_and_turns_no_text_around() {
    assert_eq!(plain("a\nb\u{202E}c\u{2028}d").collect::<String>(), "a b c d");
    let long: String = plain(&"x".repeat(1000)).collect();
    assert_eq!(long.chars().count(), 151);
    assert!(long.ends_with('…'));
}
