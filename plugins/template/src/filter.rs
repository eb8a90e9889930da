//! What can be done to a value behind a `|`.
//!
//! A filter never fails on what an event holds: what it is not made for passes through it unchanged
//! (or is `null`, where a part is asked for). Only a bound can stop it.

use crate::render::is_truthy;
use livekit_webhook_plugin::time;
use serde_json::Value;
use std::borrow::Cow;
use std::ops::RangeInclusive;

/// Longest text that a filter may make, in bytes.
const TEXT_BYTES_MAX: usize = 1024 * 1024;

/// A filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filter {
    Contains,
    Date,
    Default,
    Eq,
    First,
    Get,
    Join,
    Last,
    Length,
    Lower,
    Ne,
    Not,
    Number,
    Parse,
    Replace,
    StartsWith,
    Trim,
    Truncate,
    Upper,
}

/// Each by its name, with how many arguments it takes and which.
const ALL: [(&str, Filter, RangeInclusive<usize>, &str); 19] = [
    ("contains", Filter::Contains, 1..=1, "(\"part\")"),
    ("date", Filter::Date, 0..=1, "nothing, (\"s\"), (\"ms\") or (\"ns\")"),
    ("default", Filter::Default, 1..=1, "(\"value\")"),
    ("eq", Filter::Eq, 1..=1, "(\"value\")"),
    ("first", Filter::First, 0..=0, "nothing"),
    ("get", Filter::Get, 1..=1, "(\"/json/pointer\")"),
    ("join", Filter::Join, 1..=1, "(\", \")"),
    ("last", Filter::Last, 0..=0, "nothing"),
    ("length", Filter::Length, 0..=0, "nothing"),
    ("lower", Filter::Lower, 0..=0, "nothing"),
    ("ne", Filter::Ne, 1..=1, "(\"value\")"),
    ("not", Filter::Not, 0..=0, "nothing"),
    ("number", Filter::Number, 0..=0, "nothing"),
    ("parse", Filter::Parse, 0..=0, "nothing"),
    ("replace", Filter::Replace, 2..=2, "(\"this\", \"by this\")"),
    ("starts_with", Filter::StartsWith, 1..=1, "(\"start\")"),
    ("trim", Filter::Trim, 0..=0, "nothing"),
    ("truncate", Filter::Truncate, 1..=1, "(100)"),
    ("upper", Filter::Upper, 0..=0, "nothing"),
];

// === impl Filter ===

impl Filter {
    /// The filter of this name.
    pub fn named(name: &str) -> Option<Self> {
        ALL.iter().find(|(known, ..)| *known == name).map(|(_, filter, ..)| *filter)
    }

    /// All names, for people.
    pub fn names() -> String {
        ALL.map(|(name, ..)| name).join(", ")
    }

    /// How many arguments.
    pub fn takes(self) -> RangeInclusive<usize> {
        let row = ALL.iter().find(|(_, filter, ..)| *filter == self);
        row.map_or(0..=0, |(_, _, takes, _)| takes.clone())
    }

    /// Which arguments, for people.
    pub fn usage(self) -> &'static str {
        ALL.iter().find(|(_, filter, ..)| *filter == self).map_or("", |(.., usage)| *usage)
    }

    /// What becomes of `value`.
    ///
    /// # Errors
    /// When a text would be over its limit.
    pub fn apply(self, value: &Value, arguments: &[Cow<'_, Value>]) -> Result<Value, String> {
        let first = arguments.first().map_or(&Value::Null, Cow::as_ref);
        let second = arguments.get(1).map_or(&Value::Null, Cow::as_ref);
        let text = |change: &dyn Fn(&str) -> String| match value {
            Value::String(text) => Value::String(change(text)),
            other => other.clone(),
        };
        let made = match self {
            Self::Default if matches!(value, Value::Null) || value == "" => first.clone(),
            Self::Default => value.clone(),
            Self::Upper => text(&str::to_uppercase),
            Self::Lower => text(&str::to_lowercase),
            Self::Trim => text(&|text| text.trim().to_owned()),
            Self::Truncate => text(&|text| truncated(text, first)),
            Self::Replace => return replaced(value, first, second),
            Self::Join => return joined(value, first),
            Self::Length => length(value).into(),
            Self::First => {
                value.as_array().and_then(|items| items.first()).cloned().unwrap_or_default()
            }
            Self::Last => {
                value.as_array().and_then(|items| items.last()).cloned().unwrap_or_default()
            }
            Self::Get => {
                first.as_str().and_then(|at| value.pointer(at)).cloned().unwrap_or_default()
            }
            Self::Parse => parsed(value),
            Self::Number => number(value),
            Self::Date => date(value, first.as_str()),
            Self::Eq => (value == first).into(),
            Self::Ne => (value != first).into(),
            Self::Not => (!is_truthy(value)).into(),
            Self::StartsWith => both(value, first, |text, start| text.starts_with(start)).into(),
            Self::Contains => contains(value, first).into(),
        };
        Ok(made)
    }
}

fn both(value: &Value, other: &Value, holds: fn(&str, &str) -> bool) -> bool {
    value.as_str().zip(other.as_str()).is_some_and(|(value, other)| holds(value, other))
}

fn contains(value: &Value, part: &Value) -> bool {
    match value {
        Value::Array(items) => items.contains(part),
        Value::Object(members) => part.as_str().is_some_and(|name| members.contains_key(name)),
        value => both(value, part, |text, part| text.contains(part)),
    }
}

fn length(value: &Value) -> usize {
    match value {
        Value::String(text) => text.chars().count(),
        Value::Array(items) => items.len(),
        Value::Object(members) => members.len(),
        _ => 0,
    }
}

fn truncated(text: &str, chars_max: &Value) -> String {
    let chars_max = chars_max.as_u64().and_then(|max| usize::try_from(max).ok()).unwrap_or(0);
    if text.chars().nth(chars_max).is_none() {
        return text.to_owned();
    }
    let kept = text.chars().take(chars_max.saturating_sub(1));
    kept.chain((chars_max > 0).then_some('…')).collect()
}

/// Text that is JSON, such as metadata, becomes what it says; other text becomes nothing.
fn parsed(value: &Value) -> Value {
    match value {
        Value::String(text) => serde_json::from_str(text).unwrap_or_default(),
        other => other.clone(),
    }
}

fn number(value: &Value) -> Value {
    match value {
        Value::String(text) => {
            let number = serde_json::from_str::<serde_json::Number>(text.trim());
            number.map_or(Value::Null, Value::Number)
        }
        Value::Bool(truth) => u8::from(*truth).into(),
        Value::Number(number) => Value::Number(number.clone()),
        _ => Value::Null,
    }
}

/// RFC 3339 of an instant. Without a unit it is told by its size: LiveKit has seconds,
/// milliseconds and nanoseconds, and they are the same number only in 1970.
fn date(value: &Value, unit: Option<&str>) -> Value {
    let instant = value.as_i64().or_else(|| value.as_str()?.parse().ok());
    let Some(instant) = instant.filter(|&instant| instant != 0) else {
        return Value::Null;
    };
    let unit_ns = match (unit, instant.unsigned_abs()) {
        (Some("ns"), _) => 1,
        (Some("ms"), _) => 1_000_000,
        (Some(_), _) | (None, ..100_000_000_000) => 1_000_000_000,
        (None, ..100_000_000_000_000) => 1_000_000,
        (None, ..100_000_000_000_000_000) => 1_000,
        (None, _) => 1,
    };
    let ns = instant.checked_mul(unit_ns);
    ns.map_or(Value::Null, |ns| time::rfc3339_ns(ns).into())
}

fn replaced(value: &Value, from: &Value, to: &Value) -> Result<Value, String> {
    let (Value::String(text), Some(from), Some(to)) = (value, from.as_str(), to.as_str()) else {
        return Ok(value.clone());
    };
    if from.is_empty() {
        return Ok(value.clone());
    }
    let grown = text.matches(from).count().saturating_mul(to.len()).saturating_add(text.len());
    within(grown)?;
    Ok(text.replace(from, to).into())
}

fn joined(value: &Value, between: &Value) -> Result<Value, String> {
    let (Value::Array(items), Some(between)) = (value, between.as_str()) else {
        return Ok(value.clone());
    };
    let mut out = String::new();
    for (n, item) in items.iter().enumerate() {
        if n > 0 {
            out.push_str(between);
        }
        match item {
            Value::String(text) => out.push_str(text),
            Value::Null => {}
            other => out.push_str(&other.to_string()),
        }
        within(out.len())?;
    }
    Ok(out.into())
}

fn within(bytes: usize) -> Result<(), String> {
    if bytes > TEXT_BYTES_MAX {
        return Err(format!("a filter makes more than {TEXT_BYTES_MAX} bytes"));
    }
    Ok(())
}
