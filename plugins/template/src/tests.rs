use super::*;
use livekit_webhook_plugin::native;
use serde_json::{Value, json};

mod errors;
mod properties;

#[track_caller]
fn filled(content: Content, text: &str, event: &Event) -> String {
    render::template(&parsed(text, content).unwrap(), event).unwrap()
}

/// One event with something of every kind in it.
fn sample() -> Event {
    let body = json!({
        "event": "participant_joined",
        "createdAt": "1767225600",
        "room": { "name": "r\"1\"", "metadata": "{\"tenant\":\"acme\"}", "numParticipants": 2,
            "enabledCodecs": [{ "mime": "video/VP8" }, { "mime": "audio/opus" }] },
        "participant": { "identity": "", "attributes": { "sip.callID": "SCL_1", "b": "x" } },
        "tags": ["a", "b", "c"], "no": false, "zero": 0,
    });
    Event::from_json(body.to_string()).unwrap().with_attribute("tenant", "globex")
}

#[track_caller]
fn check_text(text: &str, expect: &str) {
    assert_eq!(filled(Content::Text, text, &sample()), expect);
}

#[track_caller]
fn check_json(text: &str, expect: Value) {
    let made = filled(Content::Json, text, &sample());
    assert_eq!(serde_json::from_str::<Value>(&made).unwrap(), expect, "{made}");
}

#[test]
fn values_come_by_their_paths() {
    check_text("a {{ event }} b", "a participant_joined b");
    check_text(
        "{{room.enabledCodecs.1.mime}}{{ room.enabledCodecs[0].mime }}",
        "audio/opusvideo/VP8",
    );
    check_text("{{ participant.attributes[\"sip.callID\"] }}", "SCL_1");
    check_text("{{ body.room.numParticipants }}{{ this.zero }}", "20");
    check_text("{{ nobody.is.here }}{{ tags.x }}{{ tags.9 }}", "");
    check_text("{{ attributes.tenant }} {{ attributes.none }}", "globex ");
    check_text(
        "{{ gateway.kind }} {{ gateway.source }} {{ gateway.attempt }}",
        "participant_joined test 1",
    );
    check_text(
        "{{ gateway.room }} {{ gateway.created_at_ms }}{{ gateway.x }}",
        "r\"1\" 1767225600000",
    );
    check_text("{{ \"{{\" }} {{! nothing }}{{ -3 }} {{ true }}{{ null }}", "{{ -3 true");
}

#[test]
fn in_json_a_value_is_written_as_its_place_asks() {
    check_json("{{ room.name }}", json!("r\"1\""));
    check_json(
        r#"{"in":"a {{ room.name }} b","out":{{ room.name }},"n":{{ room.numParticipants }},"none":{{ x }},"empty":"{{ x }}"}"#,
        json!({ "in": "a r\"1\" b", "out": "r\"1\"", "n": 2, "none": null, "empty": "" }),
    );
    check_json(
        r#"{"{{ event }}":"\"{{ tags }}\\"}"#,
        json!({ "participant_joined": "\"[\"a\",\"b\",\"c\"]\\" }),
    );
    check_json(
        r#"["{{ room.name | json }}",{{ tags | json }}]"#,
        json!(["\"r\\\"1\\\"\"", ["a", "b", "c"]]),
    );
    check_json("{{ body }}", sample().value().clone());
}

#[test]
fn conditions_choose() {
    check_text(
        "{{#if room}}y{{else}}n{{/if}}{{#if no}}y{{else}}n{{/if}}{{#if zero}}y{{/if}}",
        "yn",
    );
    check_text("{{#unless participant.identity}}nobody{{/unless}}", "nobody");
    let chain = "{{#if event | eq(\"a\")}}1{{else if event | starts_with(\"participant_\")}}2{{else}}3{{/if}}";
    check_text(chain, "2");
    check_text(&chain.replace("participant_", "x"), "3");
    check_text(
        "{{#if tags | contains(\"b\")}}b{{/if}}{{#if tags | contains(\"z\") | not}}z{{/if}}",
        "bz",
    );
    check_text("{{#if x}}{{else if x}}{{else if tags}}t{{/if}}", "t");
}

#[test]
fn lists_repeat() {
    check_text(
        "{{#each tags}}{{ @index }}{{ this }}{{#unless @last}}, {{/unless}}{{/each}}",
        "0a, 1b, 2c",
    );
    check_text(
        "{{#each tags}}{{#if @first}}>{{/if}}{{/each}}{{#each none}}{{else}}empty{{/each}}",
        ">empty",
    );
    check_text(
        "{{#each room.enabledCodecs as c}}{{#each tags as t}}{{ c.mime }}{{ t }} {{/each}}{{/each}}",
        "video/VP8a video/VP8b video/VP8c audio/opusa audio/opusb audio/opusc ",
    );
    check_text(
        "{{#each participant.attributes}}{{ this.key }}={{ this.value }};{{/each}}",
        "sip.callID=SCL_1;b=x;",
    );
    check_text("{{#each zero}}x{{/each}}", "");
    check_json(
        "[{{#each tags}}{{ this | upper }}{{#unless @last}},{{/unless}}{{/each}}]",
        json!(["A", "B", "C"]),
    );
}

#[test]
fn filters_change_values() {
    check_text(
        "{{ participant.identity | default(\"nobody\") }} {{ x | default(event) }}",
        "nobody participant_joined",
    );
    check_text("{{ room.metadata | parse | get(\"/tenant\") }}{{ event | parse }}", "acme");
    check_text(
        "{{ event | upper }} {{ \" A \" | trim | lower }} {{ event | truncate(5) }}",
        "PARTICIPANT_JOINED a part…",
    );
    check_text("{{ tags | length }} {{ event | length }} {{ tags | join(\"-\") }}", "3 18 a-b-c");
    check_text("{{ tags | first }}{{ tags | last }}{{ event | first }}", "ac");
    check_text(
        "{{ event | replace(\"_\", \" \") }} {{ createdAt | number }}",
        "participant joined 1767225600",
    );
    check_text(
        "{{ createdAt | date }} {{ 1767225600123 | date }} {{ \"5\" | date(\"ns\") }}{{ x | date }}",
        "2026-01-01T00:00:00Z 2026-01-01T00:00:00.123Z 1970-01-01T00:00:00.000000005Z",
    );
    check_text(
        "{{ 1 | eq(1) }} {{ 1 | ne(1) }} {{ zero | not }} {{ room.name | json }}",
        "true false true \"r\\\"1\\\"\"",
    );
}

fn draft(config: &Value, event: &Event) -> Result<Option<Draft>, Failure> {
    native::set_config(config);
    check(&serde_json::from_value(config.clone()).unwrap()).unwrap();
    template(event)
}

#[test]
fn a_template_that_stays_blank_drops_the_event() {
    let config = json!({ "template": " {{#if event | eq(\"room_started\")}}{\"a\":1}{{/if}}\n" });
    assert_eq!(draft(&config, &sample()), Ok(None));
    let started = native::sample("room_started").unwrap();
    assert_eq!(draft(&config, &started).unwrap().unwrap().body, b" {\"a\":1}\n");
}

#[test]
fn a_type_of_event_can_have_its_own_template_and_become_another_type() {
    let config = json!({ "templates": { "room_*": "1", "room_started": "2" }, "kind": "mine" });
    let of = |kind: &str| draft(&config, &native::sample(kind).unwrap()).unwrap();
    let made = of("room_started").unwrap();
    assert_eq!((made.body, made.kind), (b"2".to_vec(), Some("mine".to_owned())));
    assert_eq!(of("room_finished").unwrap().body, b"1");
    assert_eq!(of("egress_ended"), None);
}

#[test]
fn what_is_not_json_in_the_end_is_a_failure_with_words() {
    let config = json!({ "template": "[{{#each tags}}1,{{/each}}]" });
    let failure = draft(&config, &sample()).unwrap_err();
    assert!(
        matches!(&failure, Failure::Other(text) if text.contains("made no JSON")),
        "{failure:?}"
    );
    let config = json!({ "template": "[1,", "content": "text" });
    assert_eq!(draft(&config, &sample()).unwrap().unwrap().body, b"[1,");
}

#[test]
fn output_and_work_are_bounded() {
    let many: Vec<u32> = (0..1000).collect();
    let event = Event::from_json(json!({ "event": "x", "many": many }).to_string()).unwrap();
    let fails =
        |text: &str| render::template(&parsed(text, Content::Text).unwrap(), &event).unwrap_err();
    let long = "x".repeat(2000);
    let wide = format!("{{{{#each many}}}}{long}{{{{/each}}}}");
    assert!(fails(&wide).contains("more than 1048576 bytes"));
    let deep = "{{#each many}}{{#each many}}{{#if no}}{{/if}}{{/each}}{{/each}}";
    assert!(fails(deep).contains("more than 200000 steps"));
    assert!(fails(&format!("{{{{ many | join(\"{long}\") }}}}")).contains("a filter makes more"));
    let one = "x".repeat(30_000);
    assert!(
        fails(&format!("{{{{ \"{one}\" | replace(\"x\", \"{one}\") }}}}"))
            .contains("a filter makes more")
    );
}

/// The example of the README, over every type of event.
#[test]
fn the_example_makes_json_of_every_type_of_event() {
    let text = include_str!("../fixtures/example.template.json");
    let mut made = serde_json::Map::new();
    for kind in native::KINDS {
        let config = json!({ "template": text });
        let body = draft(&config, &native::sample(kind).unwrap()).unwrap().unwrap().body;
        made.insert(kind.to_owned(), serde_json::from_slice(&body).unwrap());
    }
    let made = format!("{:#}\n", Value::Object(made));
    assert_eq!(made, include_str!("../fixtures/golden.json"));
}

#[test]
fn the_readme_shows_a_template_that_works() {
    let text = include_str!("../README.md").split("'''").nth(1).unwrap();
    for kind in native::KINDS {
        let body = draft(&json!({ "template": text }), &native::sample(kind).unwrap());
        let body: Value = serde_json::from_slice(&body.unwrap().unwrap().body).unwrap();
        assert_eq!((&body["what"], &body["room"]), (&json!(kind), &json!("demo-room")));
    }
}
