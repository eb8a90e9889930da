use super::*;
use livekit_webhook_plugin::native;
use livekit_webhook_plugin::story::Style;
use serde_json::{Map, Value, json};

fn post_of(body: &str) -> Value {
    native::set_config(&json!({ "events": ["*"] }));
    let draft = slack(&Event::from_json(body).unwrap()).unwrap().unwrap();
    serde_json::from_slice(&draft.body).unwrap()
}

#[track_caller]
fn check_text(body: &str, expect: &str) {
    let post = post_of(body);
    assert_eq!(post["blocks"][0]["text"]["text"], expect);
    assert_eq!(post["text"], expect);
}

#[test]
fn each_type_of_event_has_its_text() {
    let fixture = include_str!("../fixtures/room_finished.json");
    check_text(fixture, ":white_circle: Room *demo-room* finished after 1 min 0 s");
    let fixture = include_str!("../fixtures/participant_joined.json");
    check_text(fixture, ":wave: *Alice* joined *demo-room*");
    let fixture = include_str!("../fixtures/participant_left-agent-error.json");
    check_text(fixture, ":door: *Alice* left *demo-room* after 3 s – agent error");
    let fixture = include_str!("../fixtures/track_published-audio.json");
    check_text(fixture, ":satellite: *alice* published audio (microphone) in *demo-room*");
    let fixture = include_str!("../fixtures/ingress_started.json");
    check_text(fixture, ":inbox_tray: *OBS* streams into *demo-room*");
    let fixture = include_str!("../fixtures/agent_job_ended.json");
    check_text(fixture, ":robot_face: *support-bot* ended its work in *demo-room* – success");
    let fixture = include_str!("../fixtures/egress_ended-complete.json");
    check_text(
        fixture,
        ":white_check_mark: Egress of *demo-room*: complete\n\
         https://recordings.s3.example.com/rec/demo-room-2026.mp4",
    );
}

#[test]
fn a_type_nobody_knows_yet_is_still_a_readable_post() {
    check_text(r#"{"event":"moon_landed"}"#, "moon landed in *a room*");
}

#[test]
fn what_a_user_named_cannot_mention_anybody_or_make_a_link() {
    let body = r#"{"event":"participant_joined","room":{"name":"<!channel> & <http://x|y>"},
        "participant":{"identity":"*a*_b_`c`~d~\n:x:"}}"#;
    check_text(
        body,
        ":wave: *∗a∗＿b＿ˋcˋ∼d∼ :x:* joined *&lt;!channel&gt; &amp; &lt;http://x|y&gt;*",
    );
    assert_eq!(post_of(body)["blocks"][0]["text"]["verbatim"], true);
}

#[test]
fn long_names_and_texts_are_cut_where_slack_would_refuse_them() {
    assert_eq!(post::Mrkdwn.name(&"x".repeat(1000)).chars().count(), 151);
    let text = post::cut(&"&amp;".repeat(1000), 3000);
    assert!(text.chars().count() <= 3000);
    assert!(text.ends_with("&amp;…"), "{text}");
    assert_eq!(post::cut("a&b;c", 5), "a&b;c");
}

#[test]
fn only_chosen_events_are_posted() {
    native::set_config(&json!({}));
    let event = |kind: &str| Event::from_json(format!(r#"{{"event":"{kind}"}}"#)).unwrap();
    assert_eq!(slack(&event("track_published")).unwrap(), None);
    assert_eq!(slack(&event("egress_updated")).unwrap(), None);
    assert!(slack(&event("room_started")).unwrap().is_some());
    native::set_config(&json!({ "events": ["track_published"], "channel": "C1" }));
    assert!(slack(&event("track_published")).unwrap().is_some());
    assert_eq!(slack(&event("room_started")).unwrap(), None);
}

#[test]
fn a_configuration_that_cannot_be_right_is_refused_in_words() {
    #[track_caller]
    fn check_config(config: Value, expect: &str) {
        let refusal = match serde_json::from_value::<Config>(config) {
            Ok(config) => check(&config).unwrap_err(),
            Err(error) => error.to_string(),
        };
        assert!(refusal.contains(expect), "{refusal}");
    }
    check_config(json!({ "events": [] }), "must name 1 to 64");
    check_config(json!({ "events": ["Room Started"] }), "is not a type of event");
    check_config(json!({ "channel": "" }), "channel: must have");
    check_config(json!({ "channel": "x".repeat(81) }), "channel: must have");
    check_config(json!({ "chanel": "x" }), "unknown field");
}

#[test]
fn every_type_of_event_makes_the_golden_post() {
    native::set_config(&json!({ "events": ["*"] }));
    let mut posts = Map::new();
    for kind in native::KINDS {
        let draft = slack(&native::sample(kind).unwrap()).unwrap().unwrap();
        posts.insert(kind.to_owned(), serde_json::from_slice(&draft.body).unwrap());
    }
    let posts = format!("{:#}\n", Value::Object(posts));
    assert_eq!(posts, include_str!("../fixtures/golden.json"));
}
