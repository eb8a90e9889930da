//! Reads one JSON object member by member, and remembers what was wrong with it.

use std::ops::RangeInclusive;

use livekit_webhook_wire::glob::Glob;
use serde_json::{Map, Value};

use super::{LIST_MAX, Problem};

/// Longest path of a route, in bytes.
const PATH_BYTES_MAX: usize = 256;

/// A section being read: known members are taken out, what is left over is unknown.
pub(super) struct Section<'p> {
    path: String,
    members: Map<String, Value>,
    problems: &'p mut Vec<Problem>,
}

// === impl Section ===

impl<'p> Section<'p> {
    /// The outermost object.
    pub(super) fn root(members: Map<String, Value>, problems: &'p mut Vec<Problem>) -> Self {
        Self { path: String::new(), members, problems }
    }

    pub(super) fn key(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    pub(super) fn problem(&mut self, name: &str, text: impl Into<String>) {
        let key = self.key(name);
        self.problems.push(Problem { key, text: text.into() });
    }

    /// Whether the member is there.
    pub(super) fn has(&self, name: &str) -> bool {
        self.members.contains_key(name)
    }

    /// A member that is an object itself; empty when it is not there.
    pub(super) fn section(&mut self, name: &str) -> Section<'_> {
        let path = self.key(name);
        let members = match self.members.remove(name) {
            None => Map::new(),
            Some(Value::Object(members)) => members,
            Some(_) => {
                self.problem(name, "must be an object");
                Map::new()
            }
        };
        Section { path, members, problems: self.problems }
    }

    /// Each member of a list of objects.
    pub(super) fn sections(&mut self, name: &str, mut read: impl FnMut(Section<'_>)) {
        let Some(value) = self.members.remove(name) else {
            return;
        };
        let list = match value {
            Value::Array(list) if list.len() <= LIST_MAX => list,
            _ => return self.problem(name, format!("must be a list of 0 to {LIST_MAX} objects")),
        };
        for (index, item) in list.into_iter().enumerate() {
            let name = format!("{name}[{index}]");
            match item {
                Value::Object(members) => {
                    let path = self.key(&name);
                    read(Section { path, members, problems: &mut *self.problems });
                }
                _ => self.problem(&name, "must be an object"),
            }
        }
    }

    pub(super) fn bool(&mut self, name: &str, default: bool) -> bool {
        match self.members.remove(name) {
            None => default,
            Some(Value::Bool(value)) => value,
            Some(_) => {
                self.problem(name, "must be true or false");
                default
            }
        }
    }

    pub(super) fn number(&mut self, name: &str, default: u64, range: RangeInclusive<u64>) -> u64 {
        let Some(value) = self.members.remove(name) else {
            return default;
        };
        match value.as_u64().filter(|number| range.contains(number)) {
            Some(number) => number,
            None => {
                let (min, max) = range.into_inner();
                self.problem(name, format!("must be a whole number, {min} to {max}"));
                default
            }
        }
    }

    pub(super) fn u32(&mut self, name: &str, default: u32, range: RangeInclusive<u32>) -> u32 {
        let (min, max) = range.into_inner();
        let number = self.number(name, default.into(), min.into()..=max.into());
        u32::try_from(number).unwrap_or(default)
    }

    /// A number that must be there.
    pub(super) fn required_u32(&mut self, name: &str, range: RangeInclusive<u32>) -> u32 {
        if !self.has(name) {
            self.problem(name, format!("must be set, {} to {}", range.start(), range.end()));
        }
        self.u32(name, *range.start(), range)
    }

    pub(super) fn choice<T: Copy>(&mut self, name: &str, choices: &[(&str, T)]) -> Option<T> {
        let value = self.members.remove(name)?;
        let found = choices.iter().find(|(word, _)| value.as_str() == Some(word));
        if found.is_none() {
            let words: Vec<_> = choices.iter().map(|(word, _)| format!("{word:?}")).collect();
            self.problem(name, format!("must be {}", words.join(" or ")));
        }
        found.map(|(_, choice)| *choice)
    }

    pub(super) fn strings(&mut self, name: &str, default: &[&str], min: usize) -> Vec<String> {
        let default = || default.iter().map(|&text| text.to_owned()).collect();
        let Some(value) = self.members.remove(name) else {
            return default();
        };
        let strings = value.as_array().filter(|list| (min..=LIST_MAX).contains(&list.len()));
        let strings = strings.and_then(|list| {
            list.iter()
                .map(|item| item.as_str().filter(|text| !text.is_empty()).map(str::to_owned))
                .collect()
        });
        strings.unwrap_or_else(|| {
            self.problem(name, format!("must be a list of {min} to {LIST_MAX} non-empty strings"));
            default()
        })
    }

    pub(super) fn globs(&mut self, name: &str, default: &[Glob], min: usize) -> Vec<Glob> {
        if !self.has(name) {
            return default.to_vec();
        }
        let mut globs = Vec::new();
        for (index, pattern) in self.strings(name, &[], min).iter().enumerate() {
            match Glob::parse(pattern) {
                Ok(glob) => globs.push(glob),
                Err(error) => self.problem(&format!("{name}[{index}]"), error.to_string()),
            }
        }
        globs
    }

    /// A path that routes requests: `/…`, none that a request could write in two ways.
    pub(super) fn path(&mut self, name: &str) -> String {
        let right = |text: &&str| {
            (1..=PATH_BYTES_MAX).contains(&text.len())
                && text.starts_with('/')
                && !["//", "/."].iter().any(|odd| text.contains(odd))
                && text.bytes().all(|byte| byte.is_ascii_graphic() && !b"%\\?#".contains(&byte))
        };
        let value = self.members.remove(name).unwrap_or_default();
        value.as_str().filter(right).map(str::to_owned).unwrap_or_else(|| {
            let text = "must be a path: `/`, then visible ASCII without `%`, `?`, `#`, `\\`, `//` \
                        and `/.`, at most 256 bytes";
            self.problem(name, text);
            String::new()
        })
    }

    /// A prefix that cannot match a header of HTTP itself: everything under it is stripped.
    pub(super) fn prefix(&mut self, name: &str, default: &str) -> String {
        let Some(value) = self.members.remove(name) else {
            return default.to_owned();
        };
        let right = |text: &&str| {
            (4..=32).contains(&text.len())
                && text.starts_with("x-")
                && text.ends_with('-')
                && text.bytes().all(|b| b == b'-' || b.is_ascii_lowercase() || b.is_ascii_digit())
        };
        match value.as_str().filter(right) {
            Some(text) => text.to_owned(),
            None => {
                self.problem(name, "must be `x-…-`: 4 to 32 of a-z, 0-9 and `-`");
                default.to_owned()
            }
        }
    }

    pub(super) fn finish(self) {
        let Self { path, members, problems } = self;
        for name in members.keys() {
            let key = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            problems.push(Problem { key, text: "is not a known field".to_owned() });
        }
    }
}
