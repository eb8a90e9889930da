//! `headers` of an endpoint: `{ "x-tenant" = "a", "x-api-key" = { secret_file = "key" } }`, and
//! `attribute_headers`: `["ce-*"]`.

use super::Context;
use crate::config::reader::{Section, kind};
use crate::config::secret;
use livekit_webhook_core::endpoint::{AttributeHeaders, ExtraHeader, PatternError};
use toml::{Table, Value};

/// Reads all headers; `None` when a problem was noted.
pub fn headers(section: &mut Section, context: &Context<'_>) -> Option<Vec<ExtraHeader>> {
    let members = match section.value("headers") {
        None => return Some(Vec::new()),
        Some(Value::Table(members)) => members,
        Some(other) => {
            let example = "expected a table, for example headers = { \"x-tenant\" = \"blue\" }";
            section.problem("headers", format_args!("{example}, found {}", kind(&other)));
            return None;
        }
    };
    let read = |(name, value)| header(section, name, value, context);
    let found: Vec<Option<ExtraHeader>> = members.into_iter().map(read).collect();
    let mut headers: Vec<ExtraHeader> = found.into_iter().collect::<Option<_>>()?;
    headers.sort_by(|a, b| a.name().cmp(b.name()));
    Some(headers)
}

fn header(
    section: &Section,
    name: String,
    value: Value,
    context: &Context<'_>,
) -> Option<ExtraHeader> {
    let key = format!("headers.{name}");
    let (value, is_secret) = match value {
        Value::String(text) => (text, false),
        Value::Table(members) => (hidden(section, &key, members, context)?, true),
        other => {
            let expected = "a string, or a table with secret_file or secret_env";
            section.problem(&key, format_args!("expected {expected}, found {}", kind(&other)));
            return None;
        }
    };
    let made = ExtraHeader::new(&name, &value, is_secret);
    made.map_err(|error| section.problem(&key, error)).ok()
}

/// Which attributes of events are headers; `None` when a problem was noted.
pub fn of_attributes(section: &mut Section) -> Option<AttributeHeaders> {
    let patterns = section.strings("attribute_headers").unwrap_or_default();
    let (mut allowed, mut is_well) = (AttributeHeaders::default(), true);
    for (index, pattern) in patterns.iter().enumerate() {
        if let Err(error) = allowed.allow(pattern) {
            section.problem(&format!("attribute_headers[{index}]"), &error);
            is_well = false;
            if error == PatternError::Patterns {
                break;
            }
        }
    }
    is_well.then_some(allowed)
}

/// A value that is not shown.
fn hidden(section: &Section, key: &str, members: Table, context: &Context<'_>) -> Option<String> {
    let mut table = section.child(section.key(key), members);
    let secret = secret::take(&mut table, context.folder, context.environment);
    table.finish();
    let text = String::from_utf8(secret?.reveal().to_vec());
    text.map_err(|_| section.problem(key, "the secret is not UTF-8")).ok()
}
