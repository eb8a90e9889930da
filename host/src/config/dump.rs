//! Prints the effective values in the form in which they could be typed.

use super::duration::print_ms;
use super::{Config, Endpoint, Plugin, Source};
use crate::ingest::OnUnverified;
use crate::plugin::registry::OnError;
use livekit_webhook_core::attempt::ClientErrors;
use livekit_webhook_core::signature::Signing;
use livekit_webhook_core::subscription::Subscription;
use livekit_webhook_wire::glob::Glob;
use serde_json::Value;
use std::fmt::Write;

/// See [`Config::dump`].
pub fn dump(config: &Config) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = sections(&mut text, config);
    text
}

fn sections(out: &mut String, config: &Config) -> std::fmt::Result {
    let ingest = &config.ingest;
    let options = &ingest.options;
    let on_unverified = match options.on_unverified {
        OnUnverified::Reject => "reject",
        OnUnverified::Quarantine => "quarantine",
    };
    writeln!(out, "[ingest]")?;
    writeln!(out, "listen = \"{}\"", ingest.listen)?;
    writeln!(out, "body_bytes_max = {}", options.body_bytes_max)?;
    writeln!(out, "body_bytes_in_flight_max = {}", options.body_bytes_in_flight_max)?;
    writeln!(out, "body_timeout_ms = {}", options.body_timeout.as_millis())?;
    writeln!(out, "answer_timeout_ms = {}", options.answer_timeout.as_millis())?;
    writeln!(out, "header_timeout_ms = {}", options.header_timeout.as_millis())?;
    writeln!(out, "connections_max = {}", options.connections_max)?;
    writeln!(out, "on_unverified = \"{on_unverified}\"")?;
    writeln!(out, "quarantine_max = {}", options.quarantine_max)?;
    writeln!(out, "leeway_s = {}", ingest.rules.leeway_s)?;
    writeln!(out, "token_age_max_s = {}", ingest.rules.token_age_max_s)?;
    writeln!(out, "accept_bearer_prefix = {}", ingest.rules.accept_bearer_prefix)?;
    if let Some(listen) = config.admin {
        writeln!(out, "\n[admin]\nlisten = \"{listen}\"")?;
    }
    let url = format!("sqlite:{}", config.store.path.display());
    writeln!(out, "\n[store]\nurl = {}", quoted(&url))?;
    writeln!(out, "dedupe_window_h = {}", config.store.dedupe_window.as_secs() / 3_600)?;
    let allow: Vec<String> = config.deliver.allow.iter().map(ToString::to_string).collect();
    writeln!(out, "\n[deliver]\nin_flight_max = {}", config.deliver.in_flight_max)?;
    writeln!(out, "allow = {}", list(&allow))?;
    writeln!(out, "plain_http = {}", config.deliver.plain_http)?;
    writeln!(out, "grace_ms = {}", config.deliver.grace.as_millis())?;
    if let Some(proxy) = config.deliver.proxy {
        writeln!(out, "proxy = \"http://{proxy}\"")?;
    }
    config.sources.iter().try_for_each(|one| source(out, one))?;
    config.plugins.iter().try_for_each(|one| plugin(out, one))?;
    config.endpoints.iter().try_for_each(|one| endpoint(out, one))?;
    config.subscriptions.iter().try_for_each(|one| subscription(out, one))
}

fn source(out: &mut String, source: &Source) -> std::fmt::Result {
    writeln!(out, "\n[[source]]\nname = {}", quoted(&source.name))?;
    let keys: Vec<String> = source
        .keys
        .iter()
        .map(|key| format!("{{ api_key = {}, secret = \"[redacted]\" }}", quoted(&key.api_key)))
        .collect();
    writeln!(out, "keys = [{}]", keys.join(", "))?;
    globs(out, "events", &source.events)
}

fn plugin(out: &mut String, plugin: &Plugin) -> std::fmt::Result {
    let on_error = plugin.on_error.map(|on_error| match on_error {
        OnError::Fail => "fail",
        OnError::Pass => "pass",
        OnError::Drop => "drop",
    });
    writeln!(out, "\n[[plugin]]\nname = {}", quoted(&plugin.name))?;
    writeln!(out, "file = {}", quoted(&plugin.file.display().to_string()))?;
    // It was TOML before it was JSON, so it can be written as TOML again.
    let config = serde_json::from_str(&plugin.config).unwrap_or_default();
    writeln!(out, "config = {}", inline(&config))?;
    if let Some(on_error) = on_error {
        writeln!(out, "on_error = \"{on_error}\"")?;
    }
    // A limit of 0 is one that follows the machine; it is had by not naming it.
    let limits = plugin.limits.rows().filter(|(_, value)| *value > 0);
    let limits: Vec<String> =
        limits.map(|(row, value)| format!("{} = {value}", row.name)).collect();
    writeln!(out, "limits = {{ {} }}", limits.join(", "))
}

fn endpoint(out: &mut String, endpoint: &Endpoint) -> std::fmt::Result {
    writeln!(out, "\n[[endpoint]]\nname = \"{}\"", endpoint.name)?;
    writeln!(out, "url = \"{}\"", endpoint.url)?;
    let ways: Vec<&str> = endpoint.signing().iter().map(Signing::as_str).collect();
    writeln!(out, "signing = {}", list(&ways))?;
    for way in endpoint.signing() {
        match way {
            Signing::Standard(secrets) => {
                let secrets = vec!["{ secret = \"[redacted]\" }"; secrets.len()];
                writeln!(out, "secrets = [{}]", secrets.join(", "))?;
            }
            Signing::Livekit { api_key, .. } => {
                let api_key = quoted(api_key);
                writeln!(out, "livekit = {{ api_key = {api_key}, secret = \"[redacted]\" }}")?;
            }
            Signing::Hmac { header, .. } => {
                let header = quoted(header);
                writeln!(out, "hmac = {{ header = {header}, secret = \"[redacted]\" }}")?;
            }
            _ => {}
        }
    }
    let steps = endpoint.policy.schedule.steps_ms();
    let steps: Vec<String> = steps.iter().map(|millis| print_ms(*millis)).collect();
    writeln!(out, "retry = {}", list(&steps))?;
    if let Some(max_age_ms) = endpoint.policy.schedule.max_age_ms() {
        writeln!(out, "max_age = \"{}\"", print_ms(max_age_ms))?;
    }
    let client_errors = match endpoint.policy.client_errors {
        ClientErrors::Retry => "retry",
        ClientErrors::Final => "final",
    };
    writeln!(out, "client_errors = \"{client_errors}\"")?;
    writeln!(out, "attempt_timeout_ms = {}", endpoint.attempt_timeout_ms())?;
    writeln!(out, "in_flight_max = {}", endpoint.in_flight_max())
}

fn subscription(out: &mut String, subscription: &Subscription) -> std::fmt::Result {
    writeln!(out, "\n[[subscription]]\nendpoint = \"{}\"", subscription.endpoint())?;
    if !subscription.sources().is_empty() {
        writeln!(out, "sources = {}", list(subscription.sources()))?;
    }
    globs(out, "events", subscription.events())?;
    globs(out, "rooms", subscription.rooms())?;
    writeln!(out, "plugins = {}", list(subscription.plugins()))
}

fn globs(out: &mut String, key: &str, globs: &[Glob]) -> std::fmt::Result {
    if globs.is_empty() {
        return Ok(());
    }
    let texts: Vec<&str> = globs.iter().map(Glob::as_str).collect();
    writeln!(out, "{key} = {}", list(&texts))
}

/// `["a", "b"]`
fn list(texts: &[impl AsRef<str>]) -> String {
    let texts: Vec<String> = texts.iter().map(|text| quoted(text.as_ref())).collect();
    format!("[{}]", texts.join(", "))
}

/// A basic string of TOML 1.0: Rust's own escapes are other ones.
fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            control if control.is_control() => {
                quoted.push_str(&format!("\\u{:04x}", u32::from(control)));
            }
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

/// A JSON value as an inline TOML value. TOML has no null, and a configuration that was TOML has
/// none.
fn inline(value: &Value) -> String {
    match value {
        Value::Null => quoted("null"),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => quoted(text),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(inline).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(members) if members.is_empty() => "{}".to_owned(),
        Value::Object(members) => {
            let member =
                |(name, value): (&String, &Value)| format!("{} = {}", quoted(name), inline(value));
            let members: Vec<String> = members.iter().map(member).collect();
            format!("{{ {} }}", members.join(", "))
        }
    }
}
