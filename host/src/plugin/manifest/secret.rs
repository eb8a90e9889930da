//! Values of a configuration that its schema calls secret, kept out of what people read.
//!
//! [`redact`] replaces them where they stand. A [`Secrets`] knows their texts, and takes them out of
//! other texts, such as what a plugin says when it refuses its configuration. Non-guarantee: a
//! plugin that is given a secret in its configuration can tell it in a form that nobody recognises;
//! a `[[plugin.secret]]` it never holds.

use super::schema::Path;
use crate::plugin::Fault;
use serde_json::Value;
use std::fmt;

/// What stands in a secret's place.
pub const REDACTED: &str = "[redacted]";
/// Shorter texts are not looked for in other texts: they would be found everywhere.
const TEXT_BYTES_MIN: usize = 4;

/// Texts of one configuration's secrets. `Debug` does not print them.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secrets(Vec<String>);

/// Puts [`REDACTED`] in the place of whatever stands at `paths`; whether anything did.
pub fn redact(paths: &[Path], config: &mut Value) -> bool {
    let mut is_there = false;
    for path in paths {
        visit(config, path, &mut |value| {
            *value = REDACTED.into();
            is_there = true;
        });
    }
    is_there
}

/// Everything at `path`, but for `null`.
fn visit(value: &mut Value, path: &[String], each: &mut dyn FnMut(&mut Value)) {
    let Some((step, rest)) = path.split_first() else {
        if !value.is_null() {
            each(value);
        }
        return;
    };
    match value {
        Value::Array(items) if step == "*" => {
            items.iter_mut().for_each(|item| visit(item, rest, each));
        }
        Value::Array(items) => {
            if let Some(item) = step.parse().ok().and_then(|at: usize| items.get_mut(at)) {
                visit(item, rest, each);
            }
        }
        Value::Object(members) if step == "*" => {
            members.values_mut().for_each(|member| visit(member, rest, each));
        }
        Value::Object(members) => {
            if let Some(member) = members.get_mut(step) {
                visit(member, rest, each);
            }
        }
        _ => {}
    }
}

// === impl Secrets ===

impl Secrets {
    /// Those of `config`.
    pub fn of(paths: &[Path], config: &Value) -> Self {
        let (mut config, mut texts) = (config.clone(), Vec::new());
        for path in paths {
            visit(&mut config, path, &mut |value| leaves(value, &mut texts));
        }
        texts.retain(|text| text.len() >= TEXT_BYTES_MIN);
        // One that contains another goes first, or its rest would stay.
        texts.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        texts.dedup();
        Self(texts)
    }

    /// `text` without them.
    pub fn hide(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, secret| text.replace(secret, REDACTED))
    }

    /// The same for every text in `value`.
    pub fn hide_in(&self, value: &mut Value) {
        match value {
            Value::String(text) => *text = self.hide(text),
            Value::Array(items) => items.iter_mut().for_each(|item| self.hide_in(item)),
            Value::Object(members) => members.values_mut().for_each(|member| self.hide_in(member)),
            _ => {}
        }
    }

    /// The same for what a plugin says of its failure.
    pub fn hide_fault(&self, fault: Fault) -> Fault {
        match fault {
            Fault::Rejected(text) => Fault::Rejected(self.hide(&text)),
            Fault::Failed(text) => Fault::Failed(self.hide(&text)),
            Fault::Trap(text) => Fault::Trap(self.hide(&text)),
            other => other,
        }
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} secrets", self.0.len())
    }
}

/// Texts and numbers within a value.
fn leaves(value: &Value, texts: &mut Vec<String>) {
    match value {
        Value::String(text) => texts.push(text.clone()),
        Value::Number(number) => texts.push(number.to_string()),
        Value::Array(items) => items.iter().for_each(|item| leaves(item, texts)),
        Value::Object(members) => members.values().for_each(|member| leaves(member, texts)),
        Value::Null | Value::Bool(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::super::schema::Schema;
    use super::*;
    use serde_json::json;

    /// A secret in every place in which a schema can have one.
    fn paths() -> Vec<Path> {
        let secret = json!({ "type": "string", "secret": true });
        let schema = json!({
            "type": "object",
            "properties": {
                "token": { "$ref": "#/$defs/secret" },
                "servers": { "type": "array", "items": { "type": "object", "properties": { "key": secret } } },
                "pair": { "type": "array", "prefixItems": [{ "type": "string" }, secret] },
                "keys": { "type": "object", "additionalProperties": secret },
                "other": { "type": "object", "patternProperties": { "^x": secret } },
                "either": { "oneOf": [{ "type": "object", "properties": { "pin": { "type": "integer", "secret": true } } }, secret] },
                "whole": { "type": "object", "secret": true },
                "plain": { "type": "string" },
            },
            "if": { "properties": { "plain": { "const": "x" } } },
            "then": { "properties": { "late": secret } },
            "$defs": { "secret": secret },
        });
        Schema::new(&schema).unwrap().secrets()
    }

    #[test]
    fn secrets_are_found_wherever_a_schema_can_have_them() {
        let config = json!({
            "token": "hush-1",
            "servers": [{ "key": "hush-2", "name": "shown" }, { "key": "hush-3" }],
            "pair": ["shown", "hush-4"],
            "keys": { "a": "hush-5", "b": "hush-6" },
            "other": { "x1": "hush-7" },
            "either": { "pin": 123456 },
            "whole": { "a": [{ "b": "hush-8" }] },
            "plain": "shown",
            "late": "hush-9",
        });
        let mut shown = config.clone();
        assert!(redact(&paths(), &mut shown));
        let text = shown.to_string();
        assert!(!text.contains("hush") && !text.contains("123456"), "{text}");
        assert_eq!(shown["servers"][0]["name"], "shown");
        assert_eq!(shown["plain"], "shown");
        let secrets = Secrets::of(&paths(), &config);
        let said = secrets.hide("no hush-9, hush-8 nor 123456; but shown");
        assert_eq!(said, "no [redacted], [redacted] nor [redacted]; but shown");
        assert_eq!(format!("{secrets:?}"), "10 secrets");
        assert!(!redact(&paths(), &mut json!({ "plain": "shown", "token": null })));
    }

    #[test]
    fn the_longer_of_two_goes_first_and_short_ones_are_not_looked_for() {
        let paths = vec![vec!["a".to_owned()], vec!["b".to_owned()], vec!["c".to_owned()]];
        let secrets = Secrets::of(&paths, &json!({ "a": "hush", "b": "hush-more", "c": "e" }));
        assert_eq!(secrets.hide("hush-more, hush, e"), "[redacted], [redacted], e");
        let mut value = json!({ "hush": ["is hush", 7] });
        secrets.hide_in(&mut value);
        assert_eq!(value, json!({ "hush": ["is [redacted]", 7] }));
    }
}
