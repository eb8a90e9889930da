//! One object of the body after the other, along its table.

use crate::unit::{self, Measure};
use crate::{Config, Integers};
use livekit_webhook_plugin::wire;
use livekit_webhook_plugin::wire::table::{Row, Shape};
use serde_json::{Map, Value};

type Object = Map<String, Value>;

/// The largest integer that every reader of JSON gets right: 2^53 - 1.
const SAFE_MAX: i64 = 9_007_199_254_740_991;
/// Fields whose absence is told apart from zero (proto3 `optional`): absent, they stay absent.
const OPTIONAL: [&str; 2] = ["enabled", "enableTranscoding"];
/// A part that has this field in its table is whole when it has a value there; LiveKit sends rooms
/// and participants in short where it knows no more.
const WHOLE: [&str; 2] = ["creationTime", "joinedAt"];

/// A whole event.
pub fn event(body: Object, config: &Config) -> Object {
    let is_finish = body.get("event").and_then(Value::as_str) == Some("room_finished");
    // An event has only the parts of its type: what is absent at the top was not left out for being
    // zero, but for the end reason of a room that ended.
    object(body, wire::Event::rows(), config, |row| is_finish && row.camel == "roomEndReason")
}

/// A part of an event.
fn part(object_in: Object, rows: &'static [Row], config: &Config) -> Object {
    let is_short = rows.iter().filter(|row| WHOLE.contains(&row.camel)).any(|row| {
        let value = object_in.get(row.camel).or_else(|| object_in.get(row.snake));
        value.is_none_or(Value::is_null)
    });
    object(object_in, rows, config, |row| !is_short && !OPTIONAL.contains(&row.camel))
}

/// Known members in the order of the table, those that `restore` names put back, then the others.
fn object(
    mut object: Object,
    rows: &'static [Row],
    config: &Config,
    restore: impl Fn(&Row) -> bool,
) -> Object {
    let mut shaped = Object::new();
    for row in rows {
        let named = [row.camel, row.snake].into_iter().find(|name| object.contains_key(*name));
        match named.and_then(|name| Some((name, object.shift_remove(name)?))) {
            Some((name, Value::Null)) if restore(row) => {
                let value = zero(row, config).unwrap_or(Value::Null);
                shaped.insert(name.to_owned(), value);
            }
            Some((name, value)) => {
                shaped.insert(name.to_owned(), fitted(value, row.camel, &row.shape, config));
            }
            None if restore(row) => {
                if let Some(value) = zero(row, config) {
                    shaped.insert(row.camel.to_owned(), value);
                }
            }
            None => {}
        }
    }
    shaped.append(&mut object);
    shaped
}

/// What LiveKit leaves out. Nothing for a part, whose absence means something.
fn zero(row: &Row, config: &Config) -> Option<Value> {
    match &row.shape {
        Shape::Text => Some("".into()),
        Shape::Bool => Some(false.into()),
        Shape::Double => Some(0.into()),
        Shape::List(_) => Some(Value::Array(Vec::new())),
        Shape::Texts => Some(Value::Object(Object::new())),
        Shape::Enum(names) => names.iter().find(|(_, n)| *n == 0).map(|(name, _)| (*name).into()),
        Shape::Integer("int64" | "uint64", ..) => Some(integer(0, row.camel, config)),
        Shape::Integer(..) => Some(0.into()),
        Shape::Message(_) | Shape::Object => None,
    }
}

/// A value that is there, as its field wants it; unchanged when it does not fit.
fn fitted(value: Value, name: &str, shape: &'static Shape, config: &Config) -> Value {
    match (shape, value) {
        (Shape::Message(rows), Value::Object(object)) => {
            Value::Object(part(object, rows(), config))
        }
        (Shape::List(item), Value::Array(items)) => {
            items.into_iter().map(|value| fitted(value, name, item, config)).collect()
        }
        // A number is one of ours, or of a server that has its own ways: its unit is not known.
        (Shape::Integer(..), Value::String(text)) => match text.parse() {
            Ok(number) => integer(number, name, config),
            Err(_) => Value::String(text),
        },
        (Shape::Enum(names), Value::Number(number)) => {
            let known = names.iter().find(|(_, n)| number.as_i64() == Some(*n));
            known.map_or(Value::Number(number), |(name, _)| (*name).into())
        }
        (_, value) => value,
    }
}

/// An integer as it came: in LiveKit's unit.
fn integer(amount: i64, name: &str, config: &Config) -> Value {
    let converted = match unit::of(name) {
        Some(Measure::Instant(unit_ns)) => config.times.write(amount, unit_ns, config.unset_times),
        Some(Measure::Duration(unit_ns)) => config.durations.write(amount, unit_ns),
        None => None,
    };
    if let Some(value) = converted {
        return value;
    }
    let is_safe = (-SAFE_MAX..=SAFE_MAX).contains(&amount);
    if is_safe && config.integers == Integers::Number {
        amount.into()
    } else {
        amount.to_string().into()
    }
}
