//! Gives every event of a type one shape, whatever LiveKit left out.
//!
//! LiveKit writes protobuf's JSON: a value that is zero is absent, a 64-bit integer is a text, an
//! instant is in seconds here and in nanoseconds there. [`shape`] walks the body along the tables
//! of the wire crate and puts absent values back, makes numbers of texts, brings instants and
//! durations to one unit, and sorts known members into the order of the protocol. [`unit`] knows
//! the units.
//!
//! Guarantee: unknown members stay, behind the known ones; a value that does not fit its field
//! stays as it is; normalizing again changes nothing. A part that LiveKit sends in short (the room
//! of a track event has only sid and name) is not filled up: there, absent does not mean zero.
//!
//! Non-guarantee: the same bytes. Spacing, the spelling of numbers and digits beyond 64 bits of
//! unknown numbers may change.

mod shape;
mod unit;

use livekit_webhook_plugin::prelude::*;
use serde::Deserialize;
use serde_json::Value;
use unit::{Durations, Instants, Unset};

/// What the operator may say.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Config {
    /// How instants are written.
    times: Instants,
    /// What stands for an instant that has not come.
    unset_times: Unset,
    /// How durations are written.
    durations: Durations,
    /// How 64-bit integers are written that are neither.
    integers: Integers,
}

/// How 64-bit integers are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Integers {
    /// As numbers where every reader of JSON gets them right, up to 2^53.
    #[default]
    Number,
    /// As LiveKit does.
    Text,
}

#[configure]
fn check(_config: &Config) {}

#[transform]
fn normalize(event: Event) -> Result<Event, Failure> {
    let config: Config = config()?;
    let Ok(Value::Object(body)) = serde_json::from_slice(event.json()) else {
        return Err(Failure::reject("the body is not a JSON object"));
    };
    let body = shape::event(body, &config);
    Ok(event.with_body(Value::Object(body).to_string()))
}

#[cfg(test)]
mod tests;
