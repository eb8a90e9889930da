//! Makes CloudEvents 1.0 of events, in both modes of the HTTP binding.
//!
//! Structured: the body is the whole CloudEvent. The event's own bytes become `data` as they are;
//! they are not parsed and written again. What is not JSON (an earlier plugin may leave a text)
//! becomes `data` as text, or `data_base64`.
//!
//! Binary: the body stays as it is, and the context goes into attributes of the event, which its
//! endpoint gets as headers where `attribute_headers = ["ce-*"]` allows it.
//!
//! Non-guarantee: the content type is the endpoint's to set. No plugin can.

mod attributes;
mod base64;
mod binary;

use attributes::Extension;
use livekit_webhook_plugin::prelude::*;
use livekit_webhook_plugin::time;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Before the type of event: reverse DNS, as the specification asks.
const TYPE_PREFIX: &str = "io.livekit.";
/// Longest prefix, in bytes.
const TYPE_PREFIX_BYTES_MAX: usize = 128;
/// Longest source and data schema, in bytes.
const URI_BYTES_MAX: usize = 2048;
/// Longest id that is taken from LiveKit, in bytes: as a header it is at most three times as long.
/// One that is cut may not be unique any more, so another is used.
const ID_BYTES_MAX: usize = 512;
/// Most extension attributes.
const EXTENSIONS_MAX: usize = 32;

/// What the operator may say.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// How the CloudEvent stands in a request.
    #[serde(default)]
    mode: Mode,
    /// Before the type of event.
    #[serde(default = "type_prefix")]
    type_prefix: String,
    /// A URI reference. `/livekit/` and the source's name when none is given.
    source: Option<String>,
    /// A URI of a schema of the data.
    dataschema: Option<String>,
    /// Extension attributes, each with the attribute of the event that it is taken from.
    #[serde(default)]
    extensions: BTreeMap<Extension, String>,
}

/// CloudEvents, "HTTP Protocol Binding", section 1.3.
#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Mode {
    /// The whole of it is the body.
    #[default]
    Structured,
    /// The data is the body, all else are headers.
    Binary,
}

fn type_prefix() -> String {
    TYPE_PREFIX.to_owned()
}

#[configure]
fn check(config: &Config) -> Result<(), String> {
    let Config { mode, type_prefix, source, dataschema, extensions } = config;
    let is_type = |b: u8| b.is_ascii_alphanumeric() || b"._-/".contains(&b);
    if type_prefix.len() > TYPE_PREFIX_BYTES_MAX || !type_prefix.bytes().all(is_type) {
        return Err(format!(
            "type_prefix: at most {TYPE_PREFIX_BYTES_MAX} letters, digits and .-_/"
        ));
    }
    for (key, uri) in [("source", source), ("dataschema", dataschema)] {
        let Some(uri) = uri else { continue };
        if !attributes::is_uri(uri) || uri.len() > URI_BYTES_MAX {
            return Err(format!("{key}: must be a URI of 1 to {URI_BYTES_MAX} bytes"));
        }
        if *mode == Mode::Binary && !binary::fits(uri) {
            let max = binary::VALUE_BYTES_MAX;
            return Err(format!("{key}: over {max} bytes as a header, in which % takes three"));
        }
    }
    if dataschema.as_ref().is_some_and(|uri| !uri.contains(':')) {
        return Err("dataschema: must be an absolute URI, such as https://…".to_owned());
    }
    if extensions.len() > EXTENSIONS_MAX {
        return Err(format!("extensions: {}, at most {EXTENSIONS_MAX}", extensions.len()));
    }
    Ok(())
}

#[transform]
fn cloudevents(event: &Event) -> Result<Draft, Failure> {
    let config: Config = config()?;
    let mode = config.mode;
    let context = context(event, config);
    Ok(match mode {
        Mode::Structured => Draft { body: structured(context, event.json()), ..Draft::default() },
        Mode::Binary => {
            let attributes = binary::headers(&context);
            Draft { body: event.json().to_vec(), attributes, ..Draft::default() }
        }
    })
}

/// All of the CloudEvent but its data and what its data is. Every value is a text.
fn context(event: &Event, config: Config) -> Map<String, Value> {
    let mut context = Map::new();
    let mut put = |name: &str, value: String| context.insert(name.to_owned(), value.into());
    put("specversion", "1.0".to_owned());
    put("id", id(event));
    put("source", config.source.unwrap_or_else(|| attributes::source(&event.source())));
    put("type", [&config.type_prefix, event.kind().as_str()].concat());
    if let Some(subject) = attributes::subject(event) {
        put("subject", subject);
    }
    put("time", time::rfc3339_ms(event.created_at_ms()));
    if let Some(dataschema) = config.dataschema {
        put("dataschema", dataschema);
    }
    for (extension, attribute) in &config.extensions {
        // A string attribute that is absent is left out, one that is empty is not allowed.
        let value = event.attribute(attribute).map(|value| attributes::text(&value));
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            put(extension.as_str(), value);
        }
    }
    context
}

/// LiveKit's id, the same however often the event is sent; the gateway's where there is none, or
/// one that no header has room for.
fn id(event: &Event) -> String {
    let own = event.field("/id").and_then(Value::as_str);
    let own = own.filter(|id| (1..=ID_BYTES_MAX).contains(&id.len()));
    own.map_or_else(|| event.id(), str::to_owned)
}

/// CloudEvents, "JSON Event Format", section 3.1.
fn structured(mut context: Map<String, Value>, data: &[u8]) -> Vec<u8> {
    let (content_type, name, value) = match std::str::from_utf8(data) {
        Ok(text) if serde_json::from_str::<IgnoredAny>(text).is_ok() => {
            ("application/json", "data", text.trim().to_owned())
        }
        Ok(text) => ("text/plain; charset=utf-8", "data", Value::from(text).to_string()),
        Err(_) => {
            let encoded = Value::from(base64::encode(data)).to_string();
            ("application/octet-stream", "data_base64", encoded)
        }
    };
    context.insert("datacontenttype".to_owned(), content_type.into());
    let mut body = Value::Object(context).to_string();
    body.pop();
    body.push_str(&format!(",\"{name}\":{value}}}"));
    body.into_bytes()
}

#[cfg(test)]
mod tests;
