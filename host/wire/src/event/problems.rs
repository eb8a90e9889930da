//! Which known fields do not fit.

use std::fmt;

use serde_json::Value;

use super::table::{Row, Shape, integer};
use super::view::Object;

/// Most problems listed. More would tell an operator no more.
pub const PROBLEMS_MAX: usize = 64;

/// How well an event fits what we know of LiveKit's types.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fit {
    /// Every known field fits.
    Whole,
    /// Some enum values are newer than we are. All else fits.
    Newer,
    /// A known field is of a wrong type, or there under two names. LiveKit's own SDKs refuse such
    /// an event.
    Wrong,
}

/// One known field that does not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// JSON pointer (RFC 6901).
    pub pointer: String,
    /// What would be right.
    pub expected: Expected,
}

/// What a field should have held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Expected {
    /// A string.
    Text,
    /// `true` or `false`.
    Bool,
    /// An integer of this protobuf type, as a number or in a string.
    Integer(&'static str),
    /// A number.
    Double,
    /// The name or number of an enum value.
    EnumValue,
    /// A name or number that we know; the value may be newer than we are.
    KnownEnumValue,
    /// An object.
    Object,
    /// A list.
    List,
    /// Only one of the two spellings of this field.
    OneSpelling,
}

/// Collects the problems of `object`, whose table is `rows`.
pub(super) fn collect(object: &Object, rows: &'static [Row]) -> Vec<Problem> {
    let mut walk = Walk { pointer: String::new(), found: Vec::new() };
    walk.message(object, rows);
    walk.found
}

struct Walk {
    pointer: String,
    found: Vec<Problem>,
}

// === impl Walk ===

impl Walk {
    /// The depth is bounded by the tables', which hold no message within itself.
    fn message(&mut self, object: &Object, rows: &'static [Row]) {
        for row in rows {
            let (camel, snake) = (object.get(row.camel), object.get(row.snake));
            match (camel, snake) {
                (Some(_), Some(_)) if row.camel != row.snake => {
                    self.within(row.snake, |walk| walk.problem(Expected::OneSpelling));
                }
                (Some(value), _) => self.within(row.camel, |walk| walk.value(value, &row.shape)),
                (None, Some(value)) => {
                    self.within(row.snake, |walk| walk.value(value, &row.shape));
                }
                (None, None) => {}
            }
        }
    }

    fn value(&mut self, value: &Value, shape: &Shape) {
        if value.is_null() {
            return;
        }
        match (shape, value) {
            (Shape::Text, Value::String(_))
            | (Shape::Bool, Value::Bool(_))
            | (Shape::Object, Value::Object(_)) => {}
            (Shape::Text, _) => self.problem(Expected::Text),
            (Shape::Bool, _) => self.problem(Expected::Bool),
            (Shape::Integer(name, min, max), _) => {
                if !integer(value).is_some_and(|value| (*min..=*max).contains(&value)) {
                    self.problem(Expected::Integer(name));
                }
            }
            // protobuf writes what is no finite number as one of three words.
            (Shape::Double, Value::String(text)) if text.parse::<f64>().is_ok() => {}
            (Shape::Double, Value::Number(_)) => {}
            (Shape::Double, _) => self.problem(Expected::Double),
            (Shape::Enum(names), _) => self.enum_value(value, names),
            (Shape::Message(rows), Value::Object(object)) => self.message(object, rows()),
            (Shape::Texts, Value::Object(object)) => {
                for (name, value) in object {
                    self.within(name, |walk| walk.value(value, &Shape::Text));
                }
            }
            (Shape::Message(_) | Shape::Texts | Shape::Object, _) => self.problem(Expected::Object),
            (Shape::List(shape), Value::Array(items)) => {
                for (index, item) in items.iter().enumerate() {
                    self.within(index, |walk| walk.value(item, shape));
                }
            }
            (Shape::List(_), _) => self.problem(Expected::List),
        }
    }

    fn enum_value(&mut self, value: &Value, names: &[(&str, i64)]) {
        let known = match value {
            Value::String(text) => names.iter().any(|(name, _)| name == text),
            Value::Number(number) => names.iter().any(|(_, known)| number.as_i64() == Some(*known)),
            _ => return self.problem(Expected::EnumValue),
        };
        if !known {
            self.problem(Expected::KnownEnumValue);
        }
    }

    fn within(&mut self, step: impl fmt::Display, visit: impl FnOnce(&mut Self)) {
        let length = self.pointer.len();
        let step = step.to_string();
        self.pointer.push('/');
        self.pointer.push_str(&step.replace('~', "~0").replace('/', "~1"));
        visit(self);
        self.pointer.truncate(length);
    }

    fn problem(&mut self, expected: Expected) {
        if self.found.len() < PROBLEMS_MAX {
            self.found.push(Problem { pointer: self.pointer.clone(), expected });
        }
    }
}

// === impl Problem ===

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: expected {}", self.pointer, self.expected)
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text => f.write_str("a string"),
            Self::Bool => f.write_str("true or false"),
            Self::Integer(name) => write!(f, "an {name}"),
            Self::Double => f.write_str("a number"),
            Self::EnumValue => f.write_str("the name or number of an enum value"),
            Self::KnownEnumValue => f.write_str("a known enum value"),
            Self::Object => f.write_str("an object"),
            Self::List => f.write_str("a list"),
            Self::OneSpelling => f.write_str("only one spelling of this field"),
        }
    }
}
