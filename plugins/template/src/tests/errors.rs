//! What a template cannot be, with the line and column of it.

use super::*;

#[track_caller]
fn check_error(text: &str, expect: &str) {
    let error = parsed(text, Content::Json).unwrap_err();
    assert!(error.contains(expect), "{text:?}: {error}");
}

#[test]
fn an_error_tells_line_and_column() {
    check_error("{\n  \"ä\": {{ ? }}\n}", "line 2, column 11: '?' has no meaning here");
    check_error("{{ a }} {{ b", "line 1, column 13: the template ends within a tag");
    check_error("\n\n  {{#if a}}", "line 3, column 3: #if has no end; write {{/if}}");
}

#[test]
fn tags_that_make_no_sense_are_refused_in_words() {
    check_error("{{ }}", "a value must come here");
    check_error("{{ a b }}", "write }} or | before this");
    check_error("{{ a | }}", "write the name of a filter here");
    check_error("{{ a | shout }}", "no filter \"shout\"; there are json, contains, date");
    check_error("{{ a | default }}", "default takes (\"value\") here");
    check_error("{{ a | upper(1) }}", "upper takes nothing here");
    check_error("{{ a | json | upper }}", "json must be the last filter");
    check_error("{{ a | default(1 }}", "write , or ) after an argument");
    check_error("{{ a. }}", "a name must follow the dot");
    check_error("{{ a[b] }}", "write [\"a.name\"] or [0]");
    check_error("{{ a[0 }}", "a ] is missing");
    check_error("{{ \"a }}", "this text has no end");
    check_error("{{ \"\\x\" }}", "not a text as in JSON");
    check_error("{{ - }}", "is not a whole number");
    check_error("{{! a", "this comment has no end");
}

#[test]
fn blocks_that_do_not_match_are_refused_in_words() {
    check_error("{{/if}}", "line 1, column 1: /if closes nothing");
    check_error("{{else}}", "else without an if");
    check_error("{{#if a}}{{/each}}", "/each where /if must close first");
    check_error("{{#if a}}{{else}}{{else}}{{/if}}", "a second else");
    check_error("{{#if a}}{{else b}}{{/if}}", "write {{else}} or {{else if …}}");
    check_error("{{#with a}}{{/with}}", "#with is no block");
    check_error("{{#each a as}}{{/each}}", "a name for the item");
    let deep = format!("{}{}", "{{#if a}}".repeat(33), "{{/if}}".repeat(33));
    check_error(&deep, "more than 32 blocks");
    let long = format!("{{{{#if a}}}}{}{{{{/if}}}}", "{{else if a}}".repeat(33));
    check_error(&long, "more than 32 blocks");
}

#[test]
fn a_block_keeps_json_strings_whole() {
    check_error("{{#if a}}\"{{/if}}\"", "a block must close the JSON strings it opens");
    check_error("\"{{#each a}}\"{{else}}{{/each}}y", "a block must close");
    check_error("\"\\{{ a }}\"", "a value cannot follow a backslash");
    assert!(parsed("\"\\\\{{ a }}\"", Content::Json).is_ok());
    assert!(parsed("{{#if a}}\"{{/if}}", Content::Text).is_ok());
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
    check_config(json!({}), "template: write one");
    check_config(json!({ "template": "{{" }), "template: line 1, column 3: the template ends");
    check_config(json!({ "templates": { "room_*": "{{" } }), "room_*");
    check_config(json!({ "templates": { "Room": "" } }), "is not a type of event");
    check_config(json!({ "template": "x".repeat(65_537) }), "65537 bytes, at most 65536");
    check_config(json!({ "template": "1", "content": "xml" }), "unknown variant `xml`");
    check_config(json!({ "template": "1", "kind": "" }), "kind: must not be empty");
}
