//! Turns events into posts for a Slack incoming webhook.
//!
//! A chosen event becomes one post: a section of text, and a line of context with its type, room
//! and id. An event that was not chosen is dropped for this subscription. [`text`] says what each
//! type of event reads like, [`post`] holds Slack's limits and escapes. What users of LiveKit named
//! themselves (rooms, participants) can neither mention anybody nor make a link.

mod post;
mod text;

use livekit_webhook_plugin::prelude::*;
use serde::Deserialize;

/// Types of event that are posted when the configuration names none: what people ask about, and not
/// every track.
const EVENTS: [&str; 6] =
    ["room_*", "participant_*", "egress_started", "egress_ended", "ingress_*", "agent_job_*"];
/// Most patterns that can be named.
const EVENTS_MAX: usize = 64;

/// What the operator may say.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// Another channel than the webhook's own. Only old webhooks obey it.
    channel: Option<String>,
    /// Types of event to post; `*` at the end stands for the rest.
    #[serde(default = "events")]
    events: Vec<String>,
}

fn events() -> Vec<String> {
    EVENTS.map(str::to_owned).to_vec()
}

#[configure]
fn check(config: &Config) -> Result<(), String> {
    let Config { channel, events } = config;
    if channel.as_ref().is_some_and(|channel| channel.is_empty() || channel.len() > 80) {
        return Err("channel: must have 1 to 80 bytes, such as \"#calls\" or an id".to_owned());
    }
    if events.is_empty() || events.len() > EVENTS_MAX {
        return Err(format!("events: must name 1 to {EVENTS_MAX} types of event"));
    }
    match events.iter().find(|pattern| !is_pattern(pattern)) {
        None => Ok(()),
        Some(pattern) => Err(format!(
            "events: {pattern:?} is not a type of event; write `room_started`, `room_*` or `*`"
        )),
    }
}

fn is_pattern(pattern: &str) -> bool {
    let name = pattern.strip_suffix('*').unwrap_or(pattern);
    !pattern.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
}

#[transform]
fn slack(event: &Event) -> Result<Option<Draft>, Failure> {
    let config: Config = config()?;
    let kind = event.kind();
    let chosen = |pattern: &String| match pattern.strip_suffix('*') {
        Some(start) => kind.starts_with(start),
        None => *pattern == kind,
    };
    if !config.events.iter().any(chosen) {
        return Ok(None);
    }
    let body = post::body(event, &text::of(event), config.channel.as_deref());
    Ok(Some(Draft { body: body.to_string().into_bytes(), ..Draft::default() }))
}

#[cfg(test)]
mod tests;
