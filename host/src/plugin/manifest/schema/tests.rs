use super::*;
use serde_json::json;

fn schema(properties: &Value) -> Schema {
    Schema::new(&json!({
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
        "$defs": { "server": {
            "type": "object",
            "required": ["token"],
            "properties": {
                "token": { "type": "string", "secret": true, "minLength": 4 },
                "retries": { "type": "integer", "default": 3 },
            },
        } },
    }))
    .unwrap()
}

#[test]
fn what_is_left_out_is_filled_in_at_every_depth() {
    let schema = schema(&json!({
        "limit": { "type": "integer", "default": 10 },
        "on": { "type": "object", "default": {}, "properties": { "x": { "default": [1] } } },
        "servers": { "type": "array", "items": { "$ref": "#/$defs/server" } },
    }));
    let mut config = json!({ "servers": [{ "token": "abcd" }, { "token": "efgh", "retries": 1 }] });
    schema.fill(&mut config);
    let servers = json!([{ "token": "abcd", "retries": 3 }, { "token": "efgh", "retries": 1 }]);
    assert_eq!(config, json!({ "servers": servers, "limit": 10, "on": { "x": [1] } }));
    assert_eq!(schema.problems(&config), [""; 0]);
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    let fields = json!({ "type": "array", "items": { "type": "string", "pattern": "^[a-z.]+$" } });
    let schema = schema(&json!({ "fields": fields }));
    let problems = schema.problems(&json!({ "fields": ["room.name", "Room"], "felds": 1 }));
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(problems.iter().any(|p| p.starts_with("config.fields[1]: \"Room\"")), "{problems:?}");
    assert!(problems.iter().any(|p| p.contains("felds")), "{problems:?}");
}

#[test]
fn a_secret_is_known_and_never_quoted() {
    let schema = schema(&json!({
        "servers": { "type": "array", "items": { "$ref": "#/$defs/server" } },
        "key": { "type": "string", "secret": true },
    }));
    assert_eq!(schema.secrets(), [vec!["servers", "*", "token"], vec!["key"]]);
    let config = json!({ "servers": [{ "token": "abc" }], "key": 987_654 });
    let problems = schema.problems(&config).join("\n");
    assert!(problems.contains("config.servers[0].token") && problems.contains("config.key"));
    assert!(!problems.contains("abc") && !problems.contains("987654"), "{problems}");
}

/// A schema that must be refused, with part of the reason.
#[track_caller]
fn refused(document: &Value, words: &str) {
    let problems = Schema::new(document).unwrap_err().join("\n");
    assert!(problems.contains(words), "{words:?} is not in {problems:?}");
}

#[test]
fn a_schema_that_leads_elsewhere_or_nowhere_is_refused() {
    let with = |property: Value| json!({ "type": "object", "properties": { "a": property } });
    refused(&json!({ "type": "array" }), "config.type: must be \"object\"");
    refused(
        &with(json!({ "$ref": "https://example.com/schema.json" })),
        "config.properties.a.$ref",
    );
    refused(&with(json!({ "$ref": "#/$defs/missing" })), "must be #/$defs/NAME");
    refused(&with(json!({ "$ref": "#" })), "must be #/$defs/NAME");
    refused(&with(json!({ "$dynamicRef": "#x" })), "not supported");
    refused(&with(json!({ "secret": "yes" })), "config.properties.a.secret: must be true or false");
    refused(&with(json!({ "type": "nothing" })), "nothing");
    refused(&with(json!({ "type": "integer", "default": "x" })), "its default is refused");
}

#[test]
fn references_in_a_circle_or_without_end_are_refused() {
    let circle = json!({ "type": "object", "$ref": "#/$defs/a", "$defs": {
        "a": { "properties": { "b": { "$ref": "#/$defs/b" } } },
        "b": { "items": { "$ref": "#/$defs/a" } },
    } });
    refused(&circle, "refers to itself");
    // A property may have the name of a keyword whose value is no schema.
    let hidden = json!({ "type": "object", "$ref": "#/$defs/a", "$defs": {
        "a": { "default": {}, "properties": { "default": { "$ref": "#/$defs/a", "default": {} } } },
    } });
    refused(&hidden, "refers to itself");
    let mut defs = Map::new();
    for n in 0..30 {
        let next = json!({ "$ref": format!("#/$defs/d{}", n + 1) });
        defs.insert(format!("d{n}"), json!({ "allOf": [next, next] }));
    }
    defs.insert("d30".to_owned(), json!({ "type": "object" }));
    let bomb = json!({ "type": "object", "$ref": "#/$defs/d0", "$defs": defs });
    refused(&bomb, "unfold to more than");
}
