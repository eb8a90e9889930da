//! Prints the effective values in the form in which they could be typed.

use super::duration::print_ms;
use super::{Config, Source};
use crate::ingest::OnUnverified;
use crate::store::url::Url;
use livekit_webhook_core::subscription::Subscription;
use livekit_webhook_wire::glob::Glob;
use serde_json::Value;
use std::fmt::Write;

mod endpoint;
mod plugin;
mod traffic;

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
    traffic::rate(out, "rate_per_second", "burst", options.source_rate)?;
    traffic::rate(out, "peer_rate_per_second", "peer_burst", options.peer_rate)?;
    writeln!(out, "leeway_s = {}", ingest.rules.leeway_s)?;
    writeln!(out, "token_age_max_s = {}", ingest.rules.token_age_max_s)?;
    writeln!(out, "accept_bearer_prefix = {}", ingest.rules.accept_bearer_prefix)?;
    if let Some(listen) = config.admin {
        writeln!(out, "\n[admin]\nlisten = \"{listen}\"")?;
    }
    writeln!(out, "\n[store]\nurl = {}", quoted(&config.store.url.to_string()))?;
    if let Url::Postgres(_) = config.store.url {
        writeln!(out, "connections_max = {}", config.store.connections_max)?;
    }
    writeln!(out, "dedupe_window_h = {}", config.store.dedupe_window.as_secs() / 3_600)?;
    let kept = &config.store.retention;
    let [delivered, dead, quarantined, lanes] =
        [kept.delivered_ms, kept.dead_ms, kept.quarantined_ms, kept.lanes_ms].map(print_ms);
    let bytes_max = kept.bytes_max.unwrap_or(0);
    writeln!(
        out,
        "retention = {{ delivered = \"{delivered}\", dead = \"{dead}\", quarantined = \"{quarantined}\", lanes = \"{lanes}\", bytes_max = {bytes_max} }}"
    )?;
    let allow: Vec<String> = config.deliver.allow.iter().map(ToString::to_string).collect();
    writeln!(out, "\n[deliver]\nin_flight_max = {}", config.deliver.in_flight_max)?;
    writeln!(out, "allow = {}", list(&allow))?;
    writeln!(out, "plain_http = {}", config.deliver.plain_http)?;
    writeln!(out, "grace_ms = {}", config.deliver.grace.as_millis())?;
    if let Some(proxy) = config.deliver.proxy {
        writeln!(out, "proxy = \"http://{proxy}\"")?;
    }
    if let Some(host) = &config.deliver.host {
        writeln!(out, "host = {}", quoted(host))?;
    }
    let keys: Vec<String> = config.vault.keys().iter().map(|key| key.id().to_owned()).collect();
    if !keys.is_empty() {
        let key = |id: &String| format!("{{ id = {}, secret = \"[redacted]\" }}", quoted(id));
        let keys: Vec<String> = keys.iter().map(key).collect();
        writeln!(out, "\n[secrets]\nkeys = [{}]", keys.join(", "))?;
    }
    if !config.plugins.is_empty() {
        plugin::all(out, &config.deploy)?;
    }
    config.sources.iter().try_for_each(|one| source(out, one))?;
    config.plugins.iter().try_for_each(|one| plugin::plugin(out, one))?;
    config.endpoints.iter().try_for_each(|one| endpoint::endpoint(out, one))?;
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
    if let Some(server) = &source.server {
        writeln!(out, "server = {}", quoted(&server.to_string()))?;
    }
    globs(out, "events", &source.events)
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
