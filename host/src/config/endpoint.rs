//! `[[endpoint]]`: from what was typed to `host/core`'s endpoint.

use super::duration::parse_ms;
use super::reader::{Section, kind};
use super::secret::Environment;
use super::traffic::traffic;
use livekit_webhook_core::address_policy::{AddressPolicy, Refusal};
use livekit_webhook_core::attempt::ClientErrors;
use livekit_webhook_core::endpoint::{
    ATTEMPT_TIMEOUT_MS_DEFAULT, ATTEMPT_TIMEOUT_MS_MAX, Endpoint, EndpointUrl, Error,
    IN_FLIGHT_DEFAULT, IN_FLIGHT_MAX, Name, UrlError,
};
use livekit_webhook_core::retry::{Policy, Schedule};
use std::path::Path;
use toml::Value;

mod auth;
mod headers;
mod signing;
mod tls;

/// What to do about `http://`.
const PLAIN_HTTP: &str = "[deliver] allow can make an exception by network and port, such as allow = [\"10.1.0.0/16:8080\"], and plain_http = true one for every public address";

/// What is needed beside the section itself.
pub struct Context<'a> {
    pub folder: &'a Path,
    pub environment: &'a Environment,
    pub policy: &'a AddressPolicy,
    /// Whether secrets can be kept in the store.
    pub has_sealing_keys: bool,
}

/// Reads one endpoint; `None` when a problem was noted.
pub fn parse(mut section: Section, context: &Context<'_>) -> Option<Endpoint> {
    let name = name(&mut section, "name", "billing");
    let example = "https://billing.example.com/livekit";
    let url = url(&mut section, "url", example, context.policy);
    let signing = signing::signing(&mut section, context);
    let headers = headers::headers(&mut section, context);
    let attribute_headers = headers::of_attributes(&mut section);
    let auth = auth::auth(&mut section, context);
    let content_type = section.string("content_type");
    let tls = tls::tls(&mut section, context);
    let policy = policy(&mut section);
    let traffic = traffic(&mut section, signing.as_deref());
    let timeout_default = ATTEMPT_TIMEOUT_MS_DEFAULT;
    let timeout =
        section.integer("attempt_timeout_ms", timeout_default, 1..=ATTEMPT_TIMEOUT_MS_MAX);
    let in_flight = integer(&mut section, "in_flight_max", IN_FLIGHT_DEFAULT, IN_FLIGHT_MAX);
    let endpoint = (|| {
        let endpoint = Endpoint::new(name?, url?).with_limits(timeout, in_flight).ok()?;
        let endpoint = endpoint.with_signing(signing?).ok()?;
        let endpoint = endpoint.with_request(headers?, auth?);
        let key = |error: &Error| if *error == Error::AuthTwice { "auth" } else { "headers" };
        let mut endpoint =
            endpoint.map_err(|error| section.problem(key(&error), error)).ok()?.with_tls(tls?);
        if let Some(content_type) = content_type {
            let typed = endpoint.with_content_type(content_type);
            endpoint = typed.map_err(|error| section.problem("content_type", error)).ok()?;
        }
        endpoint.policy = policy?;
        endpoint.traffic = traffic?;
        let endpoint = endpoint.with_attribute_headers(attribute_headers?);
        endpoint.map_err(|error| section.problem("attribute_headers", error)).ok()
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

/// A URL that may be dialled under `policy`.
fn url(
    section: &mut Section,
    key: &'static str,
    example: &str,
    policy: &AddressPolicy,
) -> Option<EndpointUrl> {
    let text = section.required_string(key, example)?;
    let url = match EndpointUrl::parse(&text, policy.plain_http()) {
        Ok(url) => url,
        Err(error @ UrlError::PlainHttp) => {
            section.problem(key, format_args!("{error}; {PLAIN_HTTP}"));
            return None;
        }
        Err(error) => {
            section.problem(key, error);
            return None;
        }
    };
    // Fast feedback; the authority is the check when it is dialled.
    match policy.judge_url(&url) {
        Ok(()) => return Some(url),
        Err(refusal @ Refusal::PlainHttp(_)) => {
            section.problem(key, format_args!("{refusal}; {PLAIN_HTTP}"));
        }
        Err(refusal) => {
            let hint = "[deliver] allow can make an exception by network and port";
            section.problem(key, format_args!("{refusal}; {hint}"));
        }
    }
    None
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
