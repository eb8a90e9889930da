//! Reads the manifest's tables key by key, and notes every problem with its key and what would be
//! right. What nobody asked for is unknown, and is a problem too.

use crate::spelling;
use serde_json::{Map, Value};
use std::cell::RefCell;
use std::fmt::Display;

/// Problems that are told; further ones wait until these are mended.
const PROBLEMS_MAX: usize = 64;

/// All that is wrong, in the order in which it was found.
#[derive(Debug, Default)]
pub struct Problems(RefCell<Vec<String>>);

/// One table.
pub struct Table<'a> {
    path: String,
    members: Map<String, Value>,
    known: Vec<&'static str>,
    problems: &'a Problems,
}

// === impl Problems ===

impl Problems {
    /// Notes one with the key it is about; an empty key stands for the whole manifest.
    pub fn add(&self, key: &str, text: impl Display) {
        let mut problems = self.0.borrow_mut();
        if problems.len() < PROBLEMS_MAX {
            problems.push(if key.is_empty() { text.to_string() } else { format!("{key}: {text}") });
        }
    }

    /// All of them.
    pub fn into_vec(self) -> Vec<String> {
        self.0.into_inner()
    }
}

// === impl Table ===

impl<'a> Table<'a> {
    /// The whole manifest, or a table of it at `path`.
    pub fn new(path: &str, members: Map<String, Value>, problems: &'a Problems) -> Self {
        Self { path: path.to_owned(), members, known: Vec::new(), problems }
    }

    /// `path.key`, as problems name it.
    pub fn key(&self, key: &str) -> String {
        match (self.path.as_str(), key) {
            ("", key) => key.to_owned(),
            (path, "") => path.to_owned(),
            (path, key) => format!("{path}.{key}"),
        }
    }

    /// Notes a problem with member `key`.
    pub fn problem(&self, key: &str, text: impl Display) {
        self.problems.add(&self.key(key), text);
    }

    /// A member, whatever its type. `null` is as good as nothing.
    pub fn value(&mut self, key: &'static str) -> Option<Value> {
        self.known.push(key);
        self.members.remove(key).filter(|value| !value.is_null())
    }

    /// A string.
    pub fn string(&mut self, key: &'static str) -> Option<String> {
        match self.value(key)? {
            Value::String(text) => Some(text),
            other => self.wrong(key, "a text", &other),
        }
    }

    /// A string that must be there and say something.
    pub fn required(&mut self, key: &'static str, example: &str) -> Option<String> {
        if !self.members.contains_key(key) {
            self.known.push(key);
            self.problem(key, format_args!("is missing, for example {key} = {example:?}"));
            return None;
        }
        let text = self.string(key)?;
        if text.trim().is_empty() {
            self.problem(key, format_args!("is empty, for example {key} = {example:?}"));
            return None;
        }
        Some(text)
    }

    /// One of some words; `None` when it is not there or is another.
    pub fn word<T: Copy>(&mut self, key: &'static str, words: &[(&str, T)]) -> Option<T> {
        let text = self.string(key)?;
        let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        if found.is_none() {
            let words: Vec<_> = words.iter().map(|(word, _)| format!("{word:?}")).collect();
            self.problem(key, format_args!("{text:?} must be one of {}", words.join(", ")));
        }
        found
    }

    /// A whole number from 0 to `max`.
    pub fn number(&mut self, key: &'static str, max: u64) -> Option<u64> {
        let value = self.value(key)?;
        match value.as_u64() {
            Some(number) if number <= max => Some(number),
            Some(number) => {
                self.problem(key, format_args!("{number} must be 0 to {max}"));
                None
            }
            None => self.wrong(key, "a whole number", &value),
        }
    }

    /// A list of strings, empty when it is not there.
    pub fn strings(&mut self, key: &'static str) -> Vec<String> {
        let mut texts = Vec::new();
        for (index, item) in self.list(key).into_iter().enumerate() {
            match item {
                Value::String(text) => texts.push(text),
                other => {
                    self.wrong::<()>(&format!("{key}[{index}]"), "a text", &other);
                }
            }
        }
        texts
    }

    /// A list, empty when it is not there.
    pub fn list(&mut self, key: &'static str) -> Vec<Value> {
        match self.value(key) {
            None => Vec::new(),
            Some(Value::Array(items)) => items,
            Some(other) => self.wrong(key, "a list", &other).unwrap_or_default(),
        }
    }

    /// The members of a table, none when it is not there.
    pub fn members(&mut self, key: &'static str) -> Map<String, Value> {
        match self.value(key) {
            None => Map::new(),
            Some(Value::Object(members)) => members,
            Some(other) => self.wrong(key, "a table", &other).unwrap_or_default(),
        }
    }

    /// A table within this one; an empty one when it is not there.
    pub fn table(&mut self, key: &'static str) -> Table<'a> {
        let members = self.members(key);
        Table::new(&self.key(key), members, self.problems)
    }

    /// The tables of a list of them.
    pub fn tables(&mut self, key: &'static str) -> Vec<Table<'a>> {
        let mut tables = Vec::new();
        for (index, item) in self.list(key).into_iter().enumerate() {
            let path = format!("{key}[{index}]");
            match item {
                Value::Object(members) => {
                    tables.push(Table::new(&self.key(&path), members, self.problems));
                }
                other => {
                    self.wrong::<()>(&path, "a table", &other);
                }
            }
        }
        tables
    }

    /// A table of texts by name, empty when it is not there.
    pub fn texts(&mut self, key: &'static str) -> Vec<(String, String)> {
        let mut texts = Vec::new();
        for (name, value) in self.members(key) {
            match value {
                Value::String(text) => texts.push((name, text)),
                other => {
                    self.wrong::<()>(&format!("{key}.{name}"), "a text", &other);
                }
            }
        }
        texts
    }

    /// Reports what nobody asked for.
    pub fn finish(self) {
        for key in self.members.keys() {
            let hint = match spelling::nearest(key, &self.known) {
                Some(name) => format!("did you mean `{name}`?"),
                None => format!("there are {}", self.known.join(", ")),
            };
            self.problems.add(&self.key(key), format_args!("unknown key; {hint}"));
        }
    }

    fn wrong<T>(&self, key: &str, expected: &str, found: &Value) -> Option<T> {
        let found = match found {
            Value::Null => "nothing",
            Value::Bool(_) => "true or false",
            Value::Number(_) => "a number",
            Value::String(_) => "a text",
            Value::Array(_) => "a list",
            Value::Object(_) => "a table",
        };
        self.problem(key, format_args!("expected {expected}, found {found}"));
        None
    }
}
