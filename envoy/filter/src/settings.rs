//! The configuration: strict JSON in, [`Settings`] or every [`Problem`] out.
//!
//! A field that is not known, is of a wrong type or out of range is a problem, and Envoy then
//! refuses the whole configuration: a typo must not leave a default in force. There is no field
//! that does nothing. Secrets are not fields: they come from the environment, because the
//! configuration is readable in `/config_dump`. `config.schema.json` says the same to editors.

use std::fmt;
use std::rc::Rc;

use livekit_webhook_wire::glob::Glob;
use livekit_webhook_wire::keys::KeyRing;
use livekit_webhook_wire::verify::{self, Verifier};
use serde_json::{Map, Value};

use crate::dedupe::{self, Ring};
use crate::headers::FACTS;
use crate::policy::{Events, OnFiltered, Policy, Route, Rules};
use crate::rate::Rate;

mod section;

use section::Section;

/// `body_bytes_max` when it is not set: a full room's event can exceed 2 MiB, and LiveKit never
/// sends again what was answered 413.
pub const BODY_BYTES_MAX_DEFAULT: u64 = 8 * 1024 * 1024;

/// Most members of one list.
const LIST_MAX: usize = 64;

/// What the operator wants, checked.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Names of the environment variables with keys.
    pub keys_env: Vec<String>,
    /// What the verifier allows.
    pub token: verify::Rules,
    /// Largest body, in bytes.
    pub body_bytes_max: usize,
    /// Whether the head waits with the body.
    pub hold_headers: bool,
    /// What holds where no route does.
    pub default: Rc<Rules>,
    /// What differs by path.
    pub routes: Vec<Route>,
    /// The replay shield.
    pub dedupe: Ring,
    /// What one key may use.
    pub rate: Option<Rate>,
    /// Under which names the verdict goes to the host. Stripped from every request.
    pub header_prefix: String,
    /// Which of [`FACTS`] the host is told.
    pub header_facts: Vec<String>,
    /// Whether the token is kept from the host.
    pub strip_authorization: bool,
    /// Whether the route is chosen again after the verdict.
    pub route_by_event: bool,
}

/// Keys from the environment.
#[derive(Clone, Debug)]
pub struct Keys {
    /// Ready to verify with.
    pub ring: KeyRing,
    /// Each key with how many secrets it has.
    pub secrets: Vec<(String, usize)>,
}

/// One thing wrong, with its key and what would be right. Never quotes a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// As written in the configuration, with dots: `events.include`.
    pub key: String,
    /// What is wrong or what would be right.
    pub text: String,
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
        let settings = Self::read(Section::root(members, &mut problems));
        if problems.is_empty() { Ok(settings) } else { Err(problems) }
    }

    fn read(mut root: Section<'_>) -> Self {
        let token = verify::Rules {
            leeway_s: root.u32("leeway_s", 60, 0..=300),
            token_age_max_s: root.u32("token_age_max_s", 0, 0..=86_400),
            accept_bearer_prefix: root.bool("accept_bearer_prefix", false),
        };
        let body_bytes_max =
            root.number("body_bytes_max", BODY_BYTES_MAX_DEFAULT, 1_024..=64 * 1024 * 1024);
        let hold_headers = root.bool("hold_headers", true);
        let route_by_event = root.bool("route_by_event", false);
        if route_by_event && !hold_headers {
            root.problem("route_by_event", "needs `hold_headers`: a head that has left is routed");
        }

        let mut keys = root.section("keys");
        let keys_env = keys.strings("env", &["LIVEKIT_KEYS"], 1);
        keys.finish();

        let default = Rc::new(Rules {
            shadow: shadow(&mut root, false),
            keys: Vec::new(),
            events: events(root.section("events"), &every()),
        });
        let mut routes = Vec::new();
        root.sections("routes", |section| routes.push(route(section, &default)));
        let dedupe = dedupe(root.section("dedupe"));
        let rate = root.has("rate_limit").then(|| rate(root.section("rate_limit")));

        let mut headers = root.section("headers");
        let header_prefix = headers.prefix("prefix", "x-livekit-");
        let header_facts = header_facts(&mut headers);
        let strip_authorization = headers.bool("strip_authorization", false);
        headers.finish();
        if route_by_event && header_facts.is_empty() {
            root.problem("route_by_event", "needs a header to choose by: see `headers.set`");
        }
        root.finish();

        Self {
            keys_env,
            token,
            body_bytes_max: usize::try_from(body_bytes_max).unwrap_or(usize::MAX),
            hold_headers,
            default,
            routes,
            dedupe,
            rate,
            header_prefix,
            header_facts,
            strip_authorization,
            route_by_event,
        }
    }

    /// Collects the keys from the variables, in order. A variable that is not set is not a
    /// problem: without any key the filter answers 503 until it gets some.
    ///
    /// # Errors
    /// Each variable that cannot be read, by name and line, never with its text; and each key of a
    /// route that is in none of them.
    pub fn keys(&self, variable: impl Fn(&str) -> Option<String>) -> Result<Keys, Vec<Problem>> {
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
        let ring = KeyRing::from_livekit_keys(&all).map_err(|error| {
            vec![Problem { key: "keys.env".to_owned(), text: format!("all together: {error}") }]
        })?;
        let secrets: Vec<_> = ring.secrets().map(|(key, count)| (key.to_owned(), count)).collect();
        for (index, route) in self.routes.iter().enumerate() {
            for key in &route.rules.keys {
                // Without any key nothing passes anyway, and the log says so.
                if !secrets.is_empty() && !secrets.iter().any(|(own, _)| own == key) {
                    let text = format!("{key:?} is in none of {}", self.keys_env.join(", "));
                    problems.push(Problem { key: format!("routes[{index}].keys"), text });
                }
            }
        }
        if problems.is_empty() { Ok(Keys { ring, secrets }) } else { Err(problems) }
    }

    /// Whether any refusal is only noted.
    pub fn shadows(&self) -> bool {
        self.default.shadow || self.routes.iter().any(|route| route.rules.shadow)
    }

    /// What every request is judged by.
    pub fn policy(&self, keys: KeyRing) -> Policy {
        Policy {
            verifier: Verifier::new(keys, self.token.clone()),
            body_bytes_max: self.body_bytes_max,
            hold_headers: self.hold_headers,
            dedupe: self.dedupe,
            rate: self.rate,
            default: Rc::clone(&self.default),
            routes: self.routes.clone(),
        }
    }
}

fn shadow(section: &mut Section<'_>, default: bool) -> bool {
    section.choice("mode", &[("enforce", false), ("shadow", true)]).unwrap_or(default)
}

fn every() -> Events {
    let include = Glob::parse("*").into_iter().collect();
    Events { include, exclude: Vec::new(), on_filtered: OnFiltered::Ack }
}

/// What is not said is as in `default`.
fn events(mut section: Section<'_>, default: &Events) -> Events {
    let choices = [("ack", OnFiltered::Ack), ("pass", OnFiltered::Pass)];
    let events = Events {
        include: section.globs("include", &default.include, 1),
        exclude: section.globs("exclude", &default.exclude, 0),
        on_filtered: section.choice("on_filtered", &choices).unwrap_or(default.on_filtered),
    };
    section.finish();
    events
}

fn route(mut section: Section<'_>, default: &Rules) -> Route {
    let route = Route {
        path: section.path("path"),
        rules: Rc::new(Rules {
            shadow: shadow(&mut section, default.shadow),
            keys: section.strings("keys", &[], 1),
            events: events(section.section("events"), &default.events),
        }),
    };
    section.finish();
    route
}

fn dedupe(mut section: Section<'_>) -> Ring {
    use dedupe::Mode;
    let choices = [("off", Mode::Off), ("observe", Mode::Observe), ("ack", Mode::Ack)];
    let ring = Ring {
        mode: section.choice("mode", &choices).unwrap_or(Mode::Off),
        slots: section.u32("slots", 16_384, 64..=1_048_576),
        window_ms: u64::from(section.u32("window_s", 900, 1..=86_400)) * 1_000,
        // Longer than the host may take, shorter than LiveKit tries.
        pending_ms: u64::from(section.u32("pending_s", 12, 1..=60)) * 1_000,
    };
    section.finish();
    ring
}

fn header_facts(section: &mut Section<'_>) -> Vec<String> {
    let facts = section.strings("set", &FACTS, 0);
    for (index, name) in facts.iter().enumerate() {
        if !FACTS.contains(&name.as_str()) {
            let text = format!("must be one of {}", FACTS.join(", "));
            section.problem(&format!("set[{index}]"), text);
        }
    }
    facts
}

fn rate(mut section: Section<'_>) -> Rate {
    let requests_per_s = section.required_u32("requests_per_s", 1..=100_000);
    let burst = section.u32("burst", requests_per_s, 1..=1_000_000);
    section.finish();
    Rate { requests_per_s, burst }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.text)
    }
}

#[cfg(test)]
mod tests;
