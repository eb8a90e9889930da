//! Removes secrets and phone numbers from events, and leaves every other byte as it was.
//!
//! [`rule`] says which values, [`scan`] finds them in the text of the body and puts something else
//! in their place. The body is not parsed and written again: unknown members, the order of members,
//! the spelling of numbers and the whitespace stay. A body that is not JSON is rejected, since
//! nothing can be said about what is in it.
//!
//! Non-guarantee: a phone number that somebody wrote into a name, an identity or metadata is found
//! only with `phones`, and only in its international form.

mod rule;
mod scan;

use livekit_webhook_plugin::prelude::*;
use rule::Rule;
use serde::Deserialize;

/// Stands for a text that was removed, unless the configuration says otherwise.
const REPLACE: &str = "[redacted]";
/// Longest replacement, in bytes.
const REPLACE_BYTES_MAX: usize = 256;
/// Most fields that can be named.
const FIELDS_MAX: usize = 256;

/// What the operator may say.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// Which values to remove; see the README. `default` stands for the shipped rules.
    #[serde(default = "shipped")]
    fields: Vec<String>,
    /// What stands in place of a text. A value that is not a text becomes `null`.
    #[serde(default = "replacement")]
    replace: String,
    /// Whether telephone numbers within any text are replaced too.
    #[serde(default)]
    phones: bool,
}

fn shipped() -> Vec<String> {
    vec![rule::DEFAULT.to_owned()]
}

fn replacement() -> String {
    REPLACE.to_owned()
}

#[configure]
fn check(config: &Config) -> Result<(), String> {
    rules(config).map(drop)
}

#[transform]
fn redact(event: Event) -> Result<Event, Failure> {
    let config: Config = config()?;
    let rules = rules(&config)?;
    let replace = serde_json::to_string(&config.replace)?;
    let wish = scan::Wish { rules: &rules, phones: config.phones, replace: &replace };
    match scan::redact(event.json(), wish) {
        Ok(scan::Redacted { body, removed }) => {
            metrics::count("removed", removed, &[]);
            Ok(event.with_body(body))
        }
        Err(error) => Err(Failure::reject(error)),
    }
}

fn rules(config: &Config) -> Result<Vec<Rule>, String> {
    let Config { fields, replace, .. } = config;
    if replace.len() > REPLACE_BYTES_MAX {
        return Err(format!("replace: {} bytes, at most {REPLACE_BYTES_MAX}", replace.len()));
    }
    if fields.len() > FIELDS_MAX {
        return Err(format!("fields: {} of them, at most {FIELDS_MAX}", fields.len()));
    }
    let mut rules = Vec::new();
    for field in fields {
        if field == rule::DEFAULT {
            rules.extend(rule::shipped());
        } else {
            rules.push(Rule::parse(field)?);
        }
    }
    Ok(rules)
}

#[cfg(test)]
mod tests;
