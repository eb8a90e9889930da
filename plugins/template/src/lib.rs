//! Makes any payload of an event, by a template the operator writes.
//!
//! [`parse`] turns the text into a [`tree`], with the line and column of what is wrong in it;
//! [`render`] fills it from an event; [`filter`] has the functions behind `|`. In a template of
//! JSON a value knows where it stands: within a JSON string its text is escaped, elsewhere it is
//! written as JSON ([`place`]). So no name a user chose can break out of the payload.
//!
//! Guarantee: what leaves is JSON where JSON was asked for, within the limits on output and work,
//! or it is a failure with words. A template that is wrong is refused when the plugin is loaded.
//! What renders to nothing but white space drops the event.
//!
//! Non-guarantee: a payload that is JSON for some events may not be for others (a comma too many);
//! that shows when it happens.

mod filter;
mod lexer;
mod parse;
mod place;
mod render;
mod tree;

use livekit_webhook_plugin::kinds::{self, Pattern};
use livekit_webhook_plugin::prelude::*;
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::collections::BTreeMap;

/// Longest template, in bytes.
const TEMPLATE_BYTES_MAX: usize = 64 * 1024;
/// Most templates by type of event.
const TEMPLATES_MAX: usize = 64;

/// What the operator may say.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// For every type of event that `templates` does not name.
    template: Option<String>,
    /// By type of event; the closest pattern wins. What no template is for is dropped.
    #[serde(default)]
    templates: BTreeMap<Pattern, String>,
    /// What the templates make.
    #[serde(default)]
    content: Content,
    /// Another type of event for what is made.
    kind: Option<String>,
}

/// What a template makes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Content {
    /// One JSON document.
    #[default]
    Json,
    /// Any text; nothing is escaped.
    Text,
}

#[configure]
fn check(config: &Config) -> Result<(), String> {
    let Config { template, templates, content, kind } = config;
    if template.is_none() && templates.is_empty() {
        return Err("template: write one, or several in templates".to_owned());
    }
    if templates.len() > TEMPLATES_MAX {
        return Err(format!("templates: {}, at most {TEMPLATES_MAX}", templates.len()));
    }
    if kind.as_deref() == Some("") {
        return Err("kind: must not be empty".to_owned());
    }
    for (name, text) in
        templates.iter().map(|(pattern, text)| (format!("templates: {pattern:?}"), text))
    {
        parsed(text, *content).map_err(|error| format!("{name}: {error}"))?;
    }
    match template {
        Some(text) => {
            parsed(text, *content).map(drop).map_err(|error| format!("template: {error}"))
        }
        None => Ok(()),
    }
}

fn parsed(text: &str, content: Content) -> Result<tree::Template, String> {
    if text.len() > TEMPLATE_BYTES_MAX {
        return Err(format!("{} bytes, at most {TEMPLATE_BYTES_MAX}", text.len()));
    }
    parse::template(text, content).map_err(|error| error.to_string())
}

#[transform]
fn template(event: &Event) -> Result<Option<Draft>, Failure> {
    let config: Config = config()?;
    let chosen = kinds::closest(&config.templates, &event.kind());
    let Some(text) = chosen.or(config.template.as_ref()) else {
        return Ok(None);
    };
    let made = render::template(&parsed(text, config.content)?, event)?;
    if made.trim().is_empty() {
        return Ok(None);
    }
    if config.content == Content::Json
        && let Err(error) = serde_json::from_str::<IgnoredAny>(&made)
    {
        return Err(Failure::Other(format!("the template made no JSON: {error}")));
    }
    Ok(Some(Draft { kind: config.kind, body: made.into_bytes(), attributes: Vec::new() }))
}

#[cfg(test)]
mod tests;
