//! Reads a TOML document strictly and collects every problem, each with its key and what would be
//! right.
//!
//! A [`Section`] hands out its members by name and remembers which were asked for, so what is left
//! at the end is unknown: it is reported with the nearest known name. Nothing stops at the first
//! problem. serde's `deny_unknown_fields` would.

use crate::spelling;
use std::cell::RefCell;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::rc::Rc;
use toml::{Table, Value};

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// `endpoint[1].url`; empty when the whole file is meant.
    pub key: String,
    /// What is wrong and what would be right.
    pub text: String,
}

impl Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.key.is_empty() {
            f.write_str(&self.text)
        } else {
            write!(f, "{}: {}", self.key, self.text)
        }
    }
}

/// The list that all sections of a document write to.
#[derive(Clone, Default)]
pub struct Problems(Rc<RefCell<Vec<Problem>>>);

impl Problems {
    /// Notes one.
    pub fn add(&self, key: impl Into<String>, text: impl Display) {
        self.0.borrow_mut().push(Problem { key: key.into(), text: text.to_string() });
    }

    /// All, in the order in which they were found.
    pub fn into_vec(self) -> Vec<Problem> {
        self.0.take()
    }
}

/// One table of the document.
pub struct Section {
    path: String,
    members: Table,
    known: Vec<&'static str>,
    problems: Problems,
}

// === impl Section ===

impl Section {
    /// The whole document.
    pub fn root(members: Table, problems: &Problems) -> Self {
        Self { path: String::new(), members, known: Vec::new(), problems: problems.clone() }
    }

    /// `path.key`, as problems name it.
    pub fn key(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// Notes a problem with member `key`.
    pub fn problem(&self, key: &str, text: impl Display) {
        self.problems.add(self.key(key), text);
    }

    /// A member, whatever its type.
    pub fn value(&mut self, key: &'static str) -> Option<Value> {
        self.known.push(key);
        self.members.remove(key)
    }

    /// A number, whole or not; `None` when it is not there.
    pub fn number(&mut self, key: &'static str) -> Option<f64> {
        match self.value(key)? {
            Value::Integer(value) => Some(value as f64),
            Value::Float(value) => Some(value),
            other => self.wrong_type(key, "a number", &other),
        }
    }

    /// A string, left in its place.
    pub fn peek_string(&self, key: &str) -> Option<String> {
        self.members.get(key).and_then(Value::as_str).map(str::to_owned)
    }

    /// A string.
    pub fn string(&mut self, key: &'static str) -> Option<String> {
        match self.value(key)? {
            Value::String(text) => Some(text),
            other => self.wrong_type(key, "a string", &other),
        }
    }

    /// A string that must be there and not be empty.
    pub fn required_string(&mut self, key: &'static str, example: &str) -> Option<String> {
        if !self.members.contains_key(key) {
            self.known.push(key);
            self.problem(key, format_args!("is missing, for example {key} = {example:?}"));
            return None;
        }
        let text = self.string(key)?;
        if text.is_empty() {
            self.problem(key, format_args!("is empty, for example {key} = {example:?}"));
            return None;
        }
        Some(text)
    }

    /// `true` or `false`.
    pub fn bool(&mut self, key: &'static str, default: bool) -> bool {
        match self.value(key) {
            None => default,
            Some(Value::Boolean(value)) => value,
            Some(other) => self.wrong_type(key, "true or false", &other).unwrap_or(default),
        }
    }

    /// A whole number within `range`.
    pub fn integer(&mut self, key: &'static str, default: i64, range: RangeInclusive<i64>) -> i64 {
        match self.value(key) {
            None => default,
            Some(Value::Integer(value)) if range.contains(&value) => value,
            Some(Value::Integer(value)) => {
                let (least, most) = (range.start(), range.end());
                let key = self.key(key);
                self.problems
                    .add(format!("{key} = {value}"), format_args!("must be {least} to {most}"));
                default
            }
            Some(other) => self.wrong_type(key, "a whole number", &other).unwrap_or(default),
        }
    }

    /// A list of strings; `None` when it is not there.
    pub fn strings(&mut self, key: &'static str) -> Option<Vec<String>> {
        let items = match self.value(key)? {
            Value::Array(items) => items,
            other => return self.wrong_type(key, "a list of strings", &other),
        };
        let mut texts = Vec::with_capacity(items.len());
        for (index, item) in items.into_iter().enumerate() {
            match item {
                Value::String(text) => texts.push(text),
                other => {
                    let place = format!("{key}[{index}]");
                    self.problem(&place, format_args!("expected a string, found {}", kind(&other)));
                }
            }
        }
        Some(texts)
    }

    /// A table; an empty one when it is not there, so that its defaults apply.
    pub fn section(&mut self, key: &'static str) -> Section {
        let members = match self.value(key) {
            None => Table::new(),
            Some(Value::Table(members)) => members,
            Some(other) => {
                let hint = format!("a table, written [{}]", self.key(key));
                self.wrong_type::<Table>(key, &hint, &other).unwrap_or_default()
            }
        };
        self.child(self.key(key), members)
    }

    /// A list of tables, `[[key]]` or inline.
    pub fn sections(&mut self, key: &'static str) -> Vec<Section> {
        let items = match self.value(key) {
            None => return Vec::new(),
            Some(Value::Array(items)) => items,
            Some(other) => {
                let hint = format!("a list of tables, written [[{}]]", self.key(key));
                self.wrong_type::<()>(key, &hint, &other);
                return Vec::new();
            }
        };
        let mut sections = Vec::with_capacity(items.len());
        for (index, item) in items.into_iter().enumerate() {
            let place = format!("{key}[{index}]");
            match item {
                Value::Table(members) => sections.push(self.child(self.key(&place), members)),
                other => {
                    self.problem(&place, format_args!("expected a table, found {}", kind(&other)));
                }
            }
        }
        sections
    }

    /// Reports what nobody asked for. Call it last.
    pub fn finish(self) {
        for unknown in self.members.keys() {
            let nearest = spelling::nearest(unknown, &self.known);
            let hint = match nearest {
                Some(name) => format!("is not known, did you mean `{name}`?"),
                None => format!("is not known; known here: {}", self.known.join(", ")),
            };
            self.problem(unknown, hint);
        }
    }

    /// Whether member `key` is there.
    pub fn has(&self, key: &str) -> bool {
        self.members.contains_key(key)
    }

    /// A table that was taken out as a value, under the full key that problems name it by.
    pub fn child(&self, path: String, members: Table) -> Section {
        Section { path, members, known: Vec::new(), problems: self.problems.clone() }
    }

    fn wrong_type<T>(&self, key: &str, expected: &str, found: &Value) -> Option<T> {
        self.problem(key, format_args!("expected {expected}, found {}", kind(found)));
        None
    }
}

/// What a value is, in words.
pub fn kind(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "a string",
        Value::Integer(_) => "a whole number",
        Value::Float(_) => "a fraction",
        Value::Boolean(_) => "true or false",
        Value::Datetime(_) => "a date",
        Value::Array(_) => "a list",
        Value::Table(_) => "a table",
    }
}

#[cfg(test)]
mod tests;
