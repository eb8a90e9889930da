//! The configuration: strict JSON in, [`Settings`] or every [`Problem`] out.
//!
//! A field that is not known, is of a wrong type or out of range is a problem, and Envoy then
//! refuses the whole configuration: a typo must not leave a default in force. There is no field
//! that does nothing. Secrets are not fields: they come from the environment, because the
//! configuration is readable in `/config_dump`.

use std::fmt;
use std::ops::RangeInclusive;

use livekit_webhook_wire::glob::Glob;
use livekit_webhook_wire::keys::KeyRing;
use livekit_webhook_wire::verify::{Rules, Verifier};
use serde_json::{Map, Value};

use crate::decision::{Events, OnFiltered, Policy};

/// `body_bytes_max` when it is not set: a full room's event can exceed 2 MiB, and LiveKit never
/// sends again what was answered 413.
pub const BODY_BYTES_MAX_DEFAULT: u64 = 8 * 1024 * 1024;

/// Most patterns of one list, and most variables with keys.
const LIST_MAX: usize = 64;

/// What the operator wants, checked.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Names of the environment variables with keys.
    pub keys_env: Vec<String>,
    /// What the verifier allows.
    pub rules: Rules,
    /// Largest body, in bytes.
    pub body_bytes_max: usize,
    /// Whether the head waits with the body.
    pub hold_headers: bool,
    /// Which events go to the host.
    pub events: Events,
    /// Under which names the verdict goes to the host. Stripped from every request.
    pub header_prefix: String,
    /// Whether the host sees the token.
    pub strip_authorization: bool,
}

/// One thing wrong, with its key and what would be right. Never quotes a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// As written in the configuration, with dots: `events.include`.
    pub key: String,
    /// What is wrong or what would be right.
    pub text: String,
}

/// A section being read: known members are taken out, what is left over is unknown.
struct Section<'p> {
    path: &'static str,
    members: Map<String, Value>,
    problems: &'p mut Vec<Problem>,
}

// === impl Settings ===

impl Settings {
    /// Reads the configuration. No bytes at all mean all defaults.
    ///
    /// # Errors
    /// All problems at once.
    pub fn parse(json: &[u8]) -> Result<Self, Vec<Problem>> {
        let root = match json {
            [] => Value::Object(Map::new()),
            json => serde_json::from_slice(json).map_err(|error| {
                let text = format!("must be JSON in a StringValue: {error}");
                vec![Problem { key: "configuration".to_owned(), text }]
            })?,
        };
        let Value::Object(members) = root else {
            let text = "must be a JSON object".to_owned();
            return Err(vec![Problem { key: "configuration".to_owned(), text }]);
        };
        let mut problems = Vec::new();
        let settings = Self::read(members, &mut problems);
        if problems.is_empty() { Ok(settings) } else { Err(problems) }
    }

    fn read(members: Map<String, Value>, problems: &mut Vec<Problem>) -> Self {
        let mut root = Section { path: "", members, problems };
        root.choice("mode", &[("enforce", ())]);
        let rules = Rules {
            leeway_s: root.u32("leeway_s", 60, 0..=300),
            token_age_max_s: root.u32("token_age_max_s", 0, 0..=86_400),
            accept_bearer_prefix: root.bool("accept_bearer_prefix", false),
        };
        let body_bytes_max =
            root.number("body_bytes_max", BODY_BYTES_MAX_DEFAULT, 1_024..=64 * 1024 * 1024);
        let hold_headers = root.bool("hold_headers", true);

        let mut keys = root.section("keys");
        let keys_env = keys.strings("env", &["LIVEKIT_KEYS"], 1);
        keys.finish();

        let mut events = root.section("events");
        let include = events.globs("include", &["*"], 1);
        let exclude = events.globs("exclude", &[], 0);
        let on_filtered = events
            .choice("on_filtered", &[("ack", OnFiltered::Ack), ("pass", OnFiltered::Pass)])
            .unwrap_or(OnFiltered::Ack);
        events.finish();

        let mut headers = root.section("headers");
        let header_prefix = headers.prefix("prefix", "x-livekit-");
        let strip_authorization = headers.bool("strip_authorization", false);
        headers.finish();
        root.finish();

        Self {
            keys_env,
            rules,
            body_bytes_max: usize::try_from(body_bytes_max).unwrap_or(usize::MAX),
            hold_headers,
            events: Events { include, exclude, on_filtered },
            header_prefix,
            strip_authorization,
        }
    }

    /// Collects the keys from the variables, in order. A variable that is not set is not a
    /// problem: without any key the filter answers 503 until it gets some.
    ///
    /// # Errors
    /// Each variable that cannot be read, by name and line, never with its text.
    pub fn keys(&self, variable: impl Fn(&str) -> Option<String>) -> Result<KeyRing, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut all = String::new();
        for name in &self.keys_env {
            let Some(text) = variable(name) else { continue };
            match KeyRing::from_livekit_keys(&text) {
                Ok(_) => all = all + &text + "\n",
                Err(error) => {
                    problems.push(Problem { key: format!("${name}"), text: error.to_string() });
                }
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        KeyRing::from_livekit_keys(&all).map_err(|error| {
            vec![Problem { key: "keys.env".to_owned(), text: format!("all together: {error}") }]
        })
    }

    /// What every request is judged by.
    pub fn policy(&self, keys: KeyRing) -> Policy {
        Policy {
            verifier: Verifier::new(keys, self.rules.clone()),
            body_bytes_max: self.body_bytes_max,
            hold_headers: self.hold_headers,
            events: self.events.clone(),
        }
    }
}

// === impl Section ===

impl Section<'_> {
    fn key(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    fn problem(&mut self, name: &str, text: impl Into<String>) {
        let key = self.key(name);
        self.problems.push(Problem { key, text: text.into() });
    }

    fn section(&mut self, name: &'static str) -> Section<'_> {
        let members = match self.members.remove(name) {
            None => Map::new(),
            Some(Value::Object(members)) => members,
            Some(_) => {
                self.problem(name, "must be an object");
                Map::new()
            }
        };
        Section { path: name, members, problems: self.problems }
    }

    fn bool(&mut self, name: &str, default: bool) -> bool {
        match self.members.remove(name) {
            None => default,
            Some(Value::Bool(value)) => value,
            Some(_) => {
                self.problem(name, "must be true or false");
                default
            }
        }
    }

    fn number(&mut self, name: &str, default: u64, range: RangeInclusive<u64>) -> u64 {
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

    fn u32(&mut self, name: &str, default: u32, range: RangeInclusive<u32>) -> u32 {
        let (min, max) = range.into_inner();
        let number = self.number(name, default.into(), min.into()..=max.into());
        u32::try_from(number).unwrap_or(default)
    }

    fn choice<T: Copy>(&mut self, name: &str, choices: &[(&str, T)]) -> Option<T> {
        let value = self.members.remove(name)?;
        let found = choices.iter().find(|(word, _)| value.as_str() == Some(word));
        if found.is_none() {
            let words: Vec<_> = choices.iter().map(|(word, _)| format!("{word:?}")).collect();
            self.problem(name, format!("must be {}", words.join(" or ")));
        }
        found.map(|(_, choice)| *choice)
    }

    fn strings(&mut self, name: &str, default: &[&str], min: usize) -> Vec<String> {
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

    fn globs(&mut self, name: &str, default: &[&str], min: usize) -> Vec<Glob> {
        let mut globs = Vec::new();
        for (index, pattern) in self.strings(name, default, min).iter().enumerate() {
            match Glob::parse(pattern) {
                Ok(glob) => globs.push(glob),
                Err(error) => self.problem(&format!("{name}[{index}]"), error.to_string()),
            }
        }
        globs
    }

    /// A prefix that cannot match a header of HTTP itself: everything under it is stripped.
    fn prefix(&mut self, name: &str, default: &str) -> String {
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

    fn finish(self) {
        let Self { path, members, problems } = self;
        for name in members.keys() {
            let key = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            problems.push(Problem { key, text: "is not a known field".to_owned() });
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.text)
    }
}

#[cfg(test)]
mod tests;
