use super::*;
use livekit_webhook_plugin::native;
use livekit_webhook_plugin::story::Style;
use serde_json::{Map, Value, json};

fn post_of(config: Value, body: &str) -> Value {
    native::set_config(&config);
    let draft = discord(&Event::from_json(body).unwrap()).unwrap().unwrap();
    serde_json::from_slice(&draft.body).unwrap()
}

fn units(value: &Value) -> usize {
    value.as_str().unwrap().encode_utf16().count()
}

#[test]
fn every_type_of_event_makes_the_golden_post() {
    native::set_config(&json!({ "events": ["*"] }));
    let mut posts = Map::new();
    for kind in native::KINDS {
        let draft = discord(&native::sample(kind).unwrap()).unwrap().unwrap();
        posts.insert(kind.to_owned(), serde_json::from_slice(&draft.body).unwrap());
    }
    let posts = format!("{:#}\n", Value::Object(posts));
    assert_eq!(posts, include_str!("../fixtures/golden.json"));
}

#[test]
fn what_a_user_named_formats_nothing_mentions_nobody_and_makes_no_link() {
    let body = r#"{"event":"participant_joined","room":{"name":"[x](http://y) https://z"},
        "participant":{"identity":"@everyone <@1> **b** `c` ||d|| :e:\n> # f - g\\*"}}"#;
    let post = post_of(json!({}), body);
    let expect = "👋 **\\@everyone \\<\\@1\\> \\*\\*b\\*\\* \\`c\\` \\|\\|d\\|\\| \\:e\\: \
        \\> \\# f \\- g\\\\\\*** joined **\\[x\\]\\(http\\://y\\) https\\://z**";
    assert_eq!(post["embeds"][0]["description"], expect);
    assert_eq!(post["allowed_mentions"], json!({ "parse": [] }));
}

#[test]
fn the_longest_names_stay_within_discords_limits() {
    let long = "@😀".repeat(100_000);
    let body = json!({ "event": "egress_ended", "id": long, "room": { "name": long },
        "egressInfo": { "error": long, "fileResults": [{ "location": long }] },
        "participant": { "identity": long, "name": long } });
    let embed = &post_of(json!({}), &body.to_string())["embeds"][0];
    assert!(units(&embed["description"]) <= 4096);
    assert!(units(&embed["footer"]["text"]) <= 2048);
    let mut total = units(&embed["description"]) + units(&embed["footer"]["text"]);
    for field in embed["fields"].as_array().unwrap() {
        assert!(units(&field["value"]) <= 1024 && units(&field["name"]) <= 256);
        total += units(&field["value"]) + units(&field["name"]);
    }
    assert!(total <= 6000, "{total}");
}

#[test]
fn a_cut_leaves_no_half_of_an_escape() {
    assert_eq!(post::cut("abc", 3), "abc");
    assert_eq!(post::cut("ab\\*cd", 4), "ab…");
    assert_eq!(post::cut("a\\\\bcd", 4), "a\\\\…");
    assert_eq!(post::cut("😀😀😀", 4), "😀…");
    assert_eq!(post::Markdown.name(&"*".repeat(999)).chars().filter(|&c| c == '*').count(), 150);
}

#[test]
fn colours_follow_the_closest_pattern_else_the_news() {
    let color = |config: Value, kind: &str| {
        post_of(config, &format!(r#"{{"event":"{kind}"}}"#))["embeds"][0]["color"].clone()
    };
    let config = json!({ "colors": { "room_*": "#000001", "room_started": "#0000fF" } });
    assert_eq!(color(config.clone(), "room_started"), 255);
    assert_eq!(color(config.clone(), "room_finished"), 1);
    assert_eq!(color(config, "participant_connection_aborted"), 0xED_42_45);
    assert_eq!(color(json!({}), "room_started"), 0x57_F2_87);
}

#[test]
fn only_chosen_events_are_posted() {
    native::set_config(&json!({}));
    assert_eq!(discord(&native::sample("track_published").unwrap()).unwrap(), None);
    assert!(discord(&native::sample("room_started").unwrap()).unwrap().is_some());
}

#[test]
fn a_post_may_have_another_name_and_picture() {
    let config = json!({ "username": "calls", "avatar_url": "https://cdn.example.com/a.png" });
    let post = post_of(config, r#"{"event":"room_started"}"#);
    assert_eq!(post["username"], "calls");
    assert_eq!(post["avatar_url"], "https://cdn.example.com/a.png");
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
    check_config(json!({ "username": "" }), "1 to 80 characters");
    check_config(json!({ "username": "x".repeat(81) }), "1 to 80 characters");
    check_config(json!({ "username": "My DISCORD bot" }), "\"discord\"");
    check_config(json!({ "avatar_url": "http://x" }), "https://");
    check_config(json!({ "colors": { "room_*": "red" } }), "is not a colour");
    check_config(json!({ "colors": { "Room": "#000000" } }), "is not a type of event");
    check_config(json!({ "events": [] }), "must name 1 to 64");
    check_config(json!({ "colour": 1 }), "unknown field");
}
