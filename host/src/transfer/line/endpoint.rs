//! What belongs to an endpoint: its health and its sealed secrets.

use super::{Wrong, base64, bytes, parsed, unknown};
use crate::store::{EndpointHealth, SealedSecret};
use livekit_webhook_core::health::{Breaker, Disabled, DisabledReason, Failing, Health as Doing};
use livekit_webhook_core::time::Timestamp;
use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Health {
    endpoint: String,
    version: u64,
    open: Option<Open>,
    paused_until_ms: Option<i64>,
    disabled: Option<Off>,
    failing: Option<Fails>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Open {
    until_ms: i64,
    periods: u32,
    successes: u32,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Off {
    reason: String,
    at_ms: i64,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fails {
    since_ms: i64,
    last_ms: i64,
    attempts: u32,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Secret {
    id: String,
    endpoint: String,
    key_id: String,
    sealed: String,
    created_at_ms: i64,
    expires_at_ms: Option<i64>,
}

pub fn health_line(of: &EndpointHealth) -> Health {
    let health = &of.health;
    Health {
        endpoint: of.endpoint.clone(),
        version: of.version,
        open: match health.breaker {
            Breaker::Closed => None,
            Breaker::Open { until, periods, successes } => {
                Some(Open { until_ms: until.as_millis(), periods, successes })
            }
        },
        paused_until_ms: health.paused_until.map(Timestamp::as_millis),
        disabled: health.disabled.map(|disabled| Off {
            reason: disabled.reason.as_str().to_owned(),
            at_ms: disabled.at.as_millis(),
        }),
        failing: health.failing.map(|failing| Fails {
            since_ms: failing.since.as_millis(),
            last_ms: failing.last.as_millis(),
            attempts: failing.attempts,
        }),
    }
}

pub fn health_record(line: Health) -> Result<EndpointHealth, Wrong> {
    let breaker = match line.open {
        None => Breaker::Closed,
        Some(Open { until_ms, periods, successes }) => {
            Breaker::Open { until: Timestamp::from_millis(until_ms), periods, successes }
        }
    };
    let disabled = match line.disabled {
        None => None,
        Some(Off { reason, at_ms }) => {
            let reason =
                DisabledReason::parse(&reason).ok_or_else(|| unknown("reason", &reason))?;
            Some(Disabled { reason, at: Timestamp::from_millis(at_ms) })
        }
    };
    let failing = line.failing.map(|fails| Failing {
        since: Timestamp::from_millis(fails.since_ms),
        last: Timestamp::from_millis(fails.last_ms),
        attempts: fails.attempts,
    });
    let paused_until = line.paused_until_ms.map(Timestamp::from_millis);
    let health = Doing { breaker, paused_until, disabled, failing };
    Ok(EndpointHealth { endpoint: line.endpoint, health, version: line.version })
}

pub fn secret_line(secret: &SealedSecret) -> Secret {
    Secret {
        id: secret.id.to_string(),
        endpoint: secret.endpoint.clone(),
        key_id: secret.key_id.clone(),
        sealed: base64(&secret.sealed),
        created_at_ms: secret.created_at.as_millis(),
        expires_at_ms: secret.expires_at.map(Timestamp::as_millis),
    }
}

pub fn secret_record(line: Secret) -> Result<SealedSecret, Wrong> {
    Ok(SealedSecret {
        id: parsed(&line.id)?,
        endpoint: line.endpoint,
        key_id: line.key_id,
        sealed: bytes(&line.sealed)?,
        created_at: Timestamp::from_millis(line.created_at_ms),
        expires_at: line.expires_at_ms.map(Timestamp::from_millis),
    })
}
