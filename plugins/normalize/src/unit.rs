//! Units of instants and durations, by the names LiveKit gives them.
//!
//! On the wire an integer of 64 bits is a text, and here a converted value is a number (or an RFC
//! 3339 text, which is no integer). So what was converted is never converted again. A member whose
//! name tells its unit (`joinedAtMs`, `unixMicro`) keeps it.

use livekit_webhook_plugin::time;
use serde::Deserialize;
use serde_json::Value;

/// What one member measures, with nanoseconds for one of its unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// Since 1970.
    Instant(i64),
    /// A length of time.
    Duration(i64),
}

/// How instants are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum Instants {
    /// Milliseconds since 1970, as a number.
    #[default]
    #[serde(rename = "ms")]
    Millis,
    /// Seconds since 1970, as a number.
    #[serde(rename = "s")]
    Seconds,
    /// A text such as `2026-11-23T20:34:25.137Z`.
    #[serde(rename = "rfc3339")]
    Rfc3339,
    /// Seconds or nanoseconds, as LiveKit has them.
    #[serde(rename = "keep")]
    Keep,
}

/// What stands for an instant that has not come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unset {
    /// `null`: a receiver cannot take it for 1970.
    #[default]
    Null,
    /// 0, as protobuf means it.
    Zero,
}

/// How durations are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum Durations {
    /// Milliseconds, as a number.
    #[default]
    #[serde(rename = "ms")]
    Millis,
    /// Seconds, as a number with a fraction.
    #[serde(rename = "s")]
    Seconds,
    /// Nanoseconds, as LiveKit has them.
    #[serde(rename = "keep")]
    Keep,
}

const SECOND: i64 = 1_000_000_000;
const MILLI: i64 = 1_000_000;

/// What a member of this name measures, if it is time without its unit in the name.
pub fn of(name: &str) -> Option<Measure> {
    match name {
        "createdAt" | "creationTime" | "joinedAt" => Some(Measure::Instant(SECOND)),
        "startedAt" | "endedAt" | "updatedAt" | "lastRetryAt" => Some(Measure::Instant(1)),
        "duration" => Some(Measure::Duration(1)),
        _ => None,
    }
}

// === impl Instants ===

impl Instants {
    /// `amount` of a unit of so many nanoseconds. `None` to leave it as it is.
    pub fn write(self, amount: i64, unit_ns: i64, unset: Unset) -> Option<Value> {
        if amount == 0 && unset == Unset::Null {
            return Some(Value::Null);
        }
        match self {
            Self::Millis => scaled(amount, unit_ns, MILLI).map(Value::from),
            Self::Seconds => scaled(amount, unit_ns, SECOND).map(Value::from),
            Self::Rfc3339 => amount.checked_mul(unit_ns).map(|ns| time::rfc3339_ns(ns).into()),
            Self::Keep => None,
        }
    }
}

impl Durations {
    /// `amount` of a unit of so many nanoseconds. `None` to leave it as it is.
    pub fn write(self, amount: i64, unit_ns: i64) -> Option<Value> {
        match self {
            Self::Millis => scaled(amount, unit_ns, MILLI).map(Value::from),
            Self::Seconds => {
                let ms = scaled(amount, unit_ns, MILLI)?;
                Some(Value::from(ms as f64 / 1000.0))
            }
            Self::Keep => None,
        }
    }
}

/// Towards minus infinity, so that no time moves forward.
fn scaled(amount: i64, from_ns: i64, to_ns: i64) -> Option<i64> {
    if from_ns >= to_ns {
        amount.checked_mul(from_ns / to_ns)
    } else {
        Some(amount.div_euclid(to_ns / from_ns))
    }
}
