//! Turns events into posts for a Discord webhook.
//!
//! A chosen event becomes one post with one embed: what happened, the room and the participant, the
//! type and id below, a colour at the side. An event that was not chosen is dropped for this
//! subscription. [`story`] says what each type of event reads like, [`post`] holds Discord's limits
//! and escapes. What users of LiveKit named themselves (rooms, participants) is shown as it is: it
//! mentions nobody, formats nothing and makes no link.

mod post;

use livekit_webhook_plugin::kinds::{self, Pattern, Patterns};
use livekit_webhook_plugin::prelude::*;
use livekit_webhook_plugin::story::{self, Tone};
use post::Color;
use serde::Deserialize;
use std::collections::BTreeMap;

/// Types of event that are posted when the configuration names none: what people ask about, and not
/// every track.
const EVENTS: [&str; 6] =
    ["room_*", "participant_*", "egress_started", "egress_ended", "ingress_*", "agent_job_*"];
/// Longest name of who posts, in characters; Discord, "Usernames and Nicknames".
const USERNAME_CHARS_MAX: usize = 80;
/// Longest URL of a picture, in bytes.
const AVATAR_BYTES_MAX: usize = 2048;

/// What the operator may say.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// Types of event to post; `*` at the end stands for the rest.
    #[serde(default = "events")]
    events: Patterns,
    /// Who posts, instead of the webhook's own name.
    username: Option<String>,
    /// A picture of who posts, instead of the webhook's own.
    avatar_url: Option<String>,
    /// Colours by type of event. The closest pattern wins; without one the colour says whether it
    /// is good news.
    #[serde(default)]
    colors: BTreeMap<Pattern, Color>,
}

fn events() -> Patterns {
    Patterns::of(&EVENTS)
}

#[configure]
fn check(config: &Config) -> Result<(), String> {
    if let Some(username) = &config.username {
        let chars = username.chars().count();
        if chars == 0 || chars > USERNAME_CHARS_MAX {
            return Err(format!("username: must have 1 to {USERNAME_CHARS_MAX} characters"));
        }
        let lower = username.to_lowercase();
        if let Some(word) = ["discord", "clyde"].iter().find(|word| lower.contains(*word)) {
            return Err(format!("username: Discord refuses names with \"{word}\" in them"));
        }
    }
    if let Some(url) = &config.avatar_url
        && !(url.starts_with("https://") && url.len() <= AVATAR_BYTES_MAX)
    {
        return Err(format!(
            "avatar_url: must begin with https://, at most {AVATAR_BYTES_MAX} bytes"
        ));
    }
    Ok(())
}

#[transform]
fn discord(event: &Event) -> Result<Option<Draft>, Failure> {
    let config: Config = config()?;
    let kind = event.kind();
    if !config.events.matches(&kind) {
        return Ok(None);
    }
    let story = story::of(event, &post::Markdown);
    let color = kinds::closest(&config.colors, &kind).copied();
    let color = color.unwrap_or(match story.tone {
        Tone::Began => post::GREEN,
        Tone::Over => post::GREY,
        Tone::Note => post::BLUE,
        Tone::Trouble => post::RED,
    });
    let mut body = post::body(event, &story, color);
    if let Some(username) = config.username {
        body["username"] = username.into();
    }
    if let Some(avatar_url) = config.avatar_url {
        body["avatar_url"] = avatar_url.into();
    }
    Ok(Some(Draft { body: body.to_string().into_bytes(), ..Draft::default() }))
}

#[cfg(test)]
mod tests;
