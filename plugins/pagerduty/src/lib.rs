//! Turns what goes wrong in LiveKit into alerts of PagerDuty's Events API v2, and resolves them
//! when it goes right again.
//!
//! [`alert`] says which events are news of which alert: a failed egress triggers, the next one of
//! the same room that completes resolves. An alert is known by its `dedup_key`, which follows from
//! the source and the room, ingress or agent only; so trigger and resolve meet without a memory. An
//! event that is no news is dropped for this subscription.
//!
//! Non-guarantee: a resolve that arrives before its trigger resolves nothing. Order the endpoint by
//! room (`ordered = "room"`) where that matters.

mod alert;
mod body;

use alert::Class;
use livekit_webhook_plugin::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// PagerDuty, "Events API v2": an integration key has 32 characters.
const ROUTING_KEY_BYTES: usize = 32;
/// Longest link, in bytes.
const URL_BYTES_MAX: usize = 2048;

/// What the operator may say.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// The integration key. A secret.
    routing_key: String,
    /// What is watched.
    #[serde(default = "classes")]
    alerts: Vec<Class>,
    /// How bad each is.
    #[serde(default)]
    severity: BTreeMap<Class, Severity>,
    /// Whether a new try after a failure acknowledges the alert.
    #[serde(default)]
    acknowledge: bool,
    /// A link to show with each alert.
    client_url: Option<String>,
}

/// PagerDuty's own four.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Severity {
    Critical,
    Error,
    Warning,
    Info,
}

fn classes() -> Vec<Class> {
    vec![Class::Egress, Class::Ingress, Class::Agent]
}

#[configure]
fn check(config: &Config) -> Result<(), String> {
    let Config { routing_key, alerts, client_url, .. } = config;
    let is_key = routing_key.bytes().all(|b| b.is_ascii_alphanumeric());
    if routing_key.len() != ROUTING_KEY_BYTES || !is_key {
        // The key itself is a secret and not repeated.
        return Err(format!(
            "routing_key: must be the {ROUTING_KEY_BYTES} letters and digits of an Events API v2 \
             integration"
        ));
    }
    if alerts.is_empty() {
        return Err("alerts: must name at least one, such as \"egress\"".to_owned());
    }
    if let Some(url) = client_url
        && !(url.starts_with("https://") && url.len() <= URL_BYTES_MAX)
    {
        return Err(format!("client_url: must begin with https://, at most {URL_BYTES_MAX} bytes"));
    }
    Ok(())
}

#[transform]
fn pagerduty(event: &Event) -> Result<Option<Draft>, Failure> {
    let config: Config = config()?;
    let Some(news) = alert::of(event, config.acknowledge) else {
        return Ok(None);
    };
    if !config.alerts.contains(&news.class) {
        return Ok(None);
    }
    let body = body::of(event, &news, &config);
    Ok(Some(Draft { body: body.to_string().into_bytes(), ..Draft::default() }))
}

#[cfg(test)]
mod tests;
