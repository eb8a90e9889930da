//! Turns events into posts for a Slack incoming webhook.
//!
//! A chosen event becomes one post: a section of text, and a line of context with its type, room
//! and id. An event that was not chosen is dropped for this subscription. [`story`] says what each
//! type of event reads like, [`post`] holds Slack's limits and escapes. What users of LiveKit named
//! themselves (rooms, participants) can neither mention anybody nor make a link.

mod post;

use livekit_webhook_plugin::kinds::Patterns;
use livekit_webhook_plugin::prelude::*;
use livekit_webhook_plugin::story;
use serde::Deserialize;

/// Types of event that are posted when the configuration names none: what people ask about, and not
/// every track.
const EVENTS: [&str; 6] =
    ["room_*", "participant_*", "egress_started", "egress_ended", "ingress_*", "agent_job_*"];
/// Longest name of a channel, in bytes; Slack, "Channel names".
const CHANNEL_BYTES_MAX: usize = 80;

/// What the operator may say.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// Another channel than the webhook's own. Only old webhooks obey it.
    channel: Option<String>,
    /// Types of event to post; `*` at the end stands for the rest.
    #[serde(default = "events")]
    events: Patterns,
}

fn events() -> Patterns {
    Patterns::of(&EVENTS)
}

#[configure]
fn check(config: &Config) -> Result<(), String> {
    let bytes = config.channel.as_ref().map_or(1, String::len);
    if bytes == 0 || bytes > CHANNEL_BYTES_MAX {
        return Err(format!(
            "channel: must have 1 to {CHANNEL_BYTES_MAX} bytes, such as \"#calls\" or an id"
        ));
    }
    Ok(())
}

#[transform]
fn slack(event: &Event) -> Result<Option<Draft>, Failure> {
    let config: Config = config()?;
    if !config.events.matches(&event.kind()) {
        return Ok(None);
    }
    let body = post::body(event, &story::of(event, &post::Mrkdwn), config.channel.as_deref());
    Ok(Some(Draft { body: body.to_string().into_bytes(), ..Draft::default() }))
}

#[cfg(test)]
mod tests;
