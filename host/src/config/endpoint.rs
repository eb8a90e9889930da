//! `[[endpoint]]`: from what was typed to `host/core`'s endpoint.

use super::duration::parse_ms;
use super::reader::{Section, kind};
use super::secret::{self, Environment};
use super::traffic::traffic;
use livekit_webhook_core::address_policy::AddressPolicy;
use livekit_webhook_core::attempt::ClientErrors;
use livekit_webhook_core::endpoint::{
    ATTEMPT_TIMEOUT_MS_DEFAULT, ATTEMPT_TIMEOUT_MS_MAX, Endpoint, EndpointUrl, IN_FLIGHT_DEFAULT,
    IN_FLIGHT_MAX, Name,
};
use livekit_webhook_core::retry::{Policy, Schedule};
use livekit_webhook_core::signature::{Secret, Signing, StandardSecret};
use std::path::Path;
use toml::Value;

/// Header of `signing = ["hmac"]` unless named.
const HMAC_HEADER: &str = "x-webhook-signature";

/// Which way of signing a key is for.
const BELONGS_TO: [(&str, &str); 6] = [
    ("secret_file", "standard"),
    ("secret_env", "standard"),
    ("secret", "standard"),
    ("secrets", "standard"),
    ("livekit", "livekit"),
    ("hmac", "hmac"),
];

/// What is needed beside the section itself.
pub struct Context<'a> {
    pub folder: &'a Path,
    pub environment: &'a Environment,
    pub policy: &'a AddressPolicy,
}

/// Reads one endpoint; `None` when a problem was noted.
pub fn parse(mut section: Section, context: &Context<'_>) -> Option<Endpoint> {
    let name = name(&mut section, "name", "billing");
    let url = url(&mut section, context.policy);
    let signing = signing(&mut section, context);
    let policy = policy(&mut section);
    let traffic = traffic(&mut section, signing.as_deref());
    let timeout_default = ATTEMPT_TIMEOUT_MS_DEFAULT;
    let timeout =
        section.integer("attempt_timeout_ms", timeout_default, 1..=ATTEMPT_TIMEOUT_MS_MAX);
    let in_flight = integer(&mut section, "in_flight_max", IN_FLIGHT_DEFAULT, IN_FLIGHT_MAX);
    let endpoint = (|| {
        let endpoint = Endpoint::new(name?, url?).with_limits(timeout, in_flight).ok()?;
        let mut endpoint = endpoint.with_signing(signing?).ok()?;
        endpoint.policy = policy?;
        endpoint.traffic = traffic?;
        Some(endpoint)
    })();
    section.finish();
    endpoint
}

/// A name that stands in rows, metrics and the command line.
pub fn name(section: &mut Section, key: &'static str, example: &str) -> Option<Name> {
    let text = section.required_string(key, example)?;
    Name::parse(&text)
        .map_err(|_| {
            let text = "a name is 1 to 64 of a-z, 0-9, `-` and `_`";
            section.problem(key, text);
        })
        .ok()
}

/// A count from 1.
pub fn integer(section: &mut Section, key: &'static str, default: usize, max: usize) -> usize {
    let bound = |value: usize| i64::try_from(value).unwrap_or(i64::MAX);
    let value = section.integer(key, bound(default), 1..=bound(max));
    usize::try_from(value).unwrap_or(default)
}

fn url(section: &mut Section, policy: &AddressPolicy) -> Option<EndpointUrl> {
    let text = section.required_string("url", "https://billing.example.com/livekit")?;
    let url = match EndpointUrl::parse(&text, policy.plain_http()) {
        Ok(url) => url,
        Err(error) => {
            section.problem("url", error);
            return None;
        }
    };
    // Fast feedback; the authority is the check when it is dialled.
    if let Err(refusal) = policy.judge_url(&url) {
        let hint = "; [deliver] allow can make an exception by network and port";
        section.problem("url", format_args!("{refusal}{hint}"));
        return None;
    }
    Some(url)
}

fn policy(section: &mut Section) -> Option<Policy> {
    let max_age_ms = match section.string("max_age").map(|text| parse_ms(&text)) {
        None => None,
        Some(Ok(millis)) => Some(millis),
        Some(Err(text)) => {
            section.problem("max_age", text);
            return None;
        }
    };
    let schedule = schedule(section, max_age_ms)?;
    let client_errors = match section.string("client_errors").as_deref() {
        None | Some("retry") => ClientErrors::Retry,
        Some("final") => ClientErrors::Final,
        Some(_) => {
            section.problem("client_errors", "expected \"retry\" or \"final\"");
            return None;
        }
    };
    Some(Policy { schedule, client_errors })
}

fn schedule(section: &mut Section, max_age_ms: Option<i64>) -> Option<Schedule> {
    let hint =
        "expected \"default\", \"realtime\" or a list of waits such as [\"0s\", \"5s\", \"5m\"]";
    let preset = match section.value("retry") {
        None => Schedule::preset("default"),
        Some(Value::String(name)) => Schedule::preset(&name),
        Some(Value::Array(steps)) => return own_schedule(section, steps, max_age_ms),
        Some(_) => None,
    };
    let Some(preset) = preset else {
        section.problem("retry", hint);
        return None;
    };
    match max_age_ms {
        None => Some(preset),
        Some(_) => aged(section, preset.steps_ms().to_vec(), max_age_ms),
    }
}

fn own_schedule(section: &Section, steps: Vec<Value>, max_age_ms: Option<i64>) -> Option<Schedule> {
    let mut steps_ms = Vec::with_capacity(steps.len());
    for (index, step) in steps.iter().enumerate() {
        let parsed = match step {
            Value::String(text) => parse_ms(text),
            other => Err(format!("expected a duration such as \"5s\", found {}", kind(other))),
        };
        match parsed {
            Ok(millis) => steps_ms.push(millis),
            Err(text) => {
                section.problem(&format!("retry[{index}]"), text);
                return None;
            }
        }
    }
    aged(section, steps_ms, max_age_ms)
}

fn aged(section: &Section, steps_ms: Vec<i64>, max_age_ms: Option<i64>) -> Option<Schedule> {
    Schedule::new(steps_ms, max_age_ms).map_err(|error| section.problem("retry", error)).ok()
}

/// `signing` names the ways; each way's secret stands beside it. Standard is the default: an
/// unsigned delivery has to be asked for with `signing = []`.
fn signing(section: &mut Section, context: &Context<'_>) -> Option<Vec<Signing>> {
    let ways = section.strings("signing").unwrap_or_else(|| vec!["standard".to_owned()]);
    let mut signing = Vec::with_capacity(ways.len());
    for (index, way) in ways.iter().enumerate() {
        if ways.iter().take(index).any(|earlier| earlier == way) {
            section.problem(&format!("signing[{index}]"), format_args!("{way:?} stands twice"));
            return None;
        }
        let made = match way.as_str() {
            "standard" => standard(section, context),
            "livekit" => livekit(section, context),
            "hmac" => hmac(section, context),
            other => {
                let text = format!("{other:?}: expected \"standard\", \"livekit\" or \"hmac\"");
                section.problem(&format!("signing[{index}]"), text);
                None
            }
        };
        signing.push(made);
    }
    for (key, way) in BELONGS_TO {
        if ways.iter().all(|named| named != way) && section.value(key).is_some() {
            section.problem(key, format_args!("is not used: signing does not name {way:?}"));
        }
    }
    signing.into_iter().collect()
}

/// `secret_file` and its like on the endpoint, or `secrets = [{…}, {…}]` while one replaces
/// another.
fn standard(section: &mut Section, context: &Context<'_>) -> Option<Signing> {
    let mut rotating = section.sections("secrets");
    if !rotating.is_empty() {
        for key in ["secret_file", "secret_env", "secret"] {
            if section.value(key).is_some() {
                section.problem(key, "give either it or secrets, which holds all of them");
            }
        }
    }
    let found: Vec<Option<StandardSecret>> = if rotating.is_empty() {
        vec![standard_secret(section, context)]
    } else {
        let found = rotating.iter_mut().map(|section| standard_secret(section, context)).collect();
        rotating.into_iter().for_each(Section::finish);
        found
    };
    let secrets: Option<Vec<StandardSecret>> = found.into_iter().collect();
    Signing::standard(secrets?).map_err(|error| section.problem("secrets", error)).ok()
}

fn standard_secret(section: &mut Section, context: &Context<'_>) -> Option<StandardSecret> {
    let secret = secret::take(section, context.folder, context.environment)?;
    let text = std::str::from_utf8(secret.reveal()).unwrap_or_default();
    StandardSecret::parse(text).map_err(|error| section.problem("secret", error)).ok()
}

fn livekit(section: &mut Section, context: &Context<'_>) -> Option<Signing> {
    let mut table = section.section("livekit");
    let api_key = table.required_string("api_key", "APIreceiver");
    let secret = plain_secret(&mut table, context);
    let made = (|| Some(Signing::livekit(&api_key?, secret?)))();
    let made = made.and_then(|made| made.map_err(|error| table.problem("api_key", error)).ok());
    table.finish();
    made
}

fn hmac(section: &mut Section, context: &Context<'_>) -> Option<Signing> {
    let mut table = section.section("hmac");
    let header = table.string("header").unwrap_or_else(|| HMAC_HEADER.to_owned());
    let secret = plain_secret(&mut table, context);
    let made = secret.and_then(|secret| {
        Signing::hmac(&header, secret).map_err(|error| table.problem("header", error)).ok()
    });
    table.finish();
    made
}

fn plain_secret(section: &mut Section, context: &Context<'_>) -> Option<Secret> {
    let secret = secret::take(section, context.folder, context.environment)?;
    Secret::new(secret.reveal().to_vec()).map_err(|error| section.problem("secret", error)).ok()
}
