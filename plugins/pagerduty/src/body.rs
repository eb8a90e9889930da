//! The body of a request to PagerDuty's Events API v2, within its limits.
//!
//! PagerDuty, "Send an Alert Event": `dedup_key` of 255 characters, `payload.summary` of 1,024, the
//! whole of 512 KiB.

use crate::alert::{Action, Class, News, text};
use crate::{Config, Severity};
use livekit_webhook_plugin::Event;
use livekit_webhook_plugin::story::{self, Style};
use livekit_webhook_plugin::time;
use serde_json::{Map, Value, json};

const SUMMARY_CHARS_MAX: usize = 1024;
const KEY_CHARS_MAX: usize = 255;
/// A value of the details, in characters.
const DETAIL_CHARS_MAX: usize = 1024;

/// What is shown of an event, where it has it.
const DETAILS: [(&str, &str); 10] = [
    ("egress_id", "/egressInfo/egressId"),
    ("egress_status", "/egressInfo/status"),
    ("egress_error", "/egressInfo/error"),
    ("egress_details", "/egressInfo/details"),
    ("ingress_id", "/ingressInfo/ingressId"),
    ("ingress_error", "/ingressInfo/state/error"),
    ("agent_job_id", "/job/id"),
    ("agent_error", "/job/state/error"),
    ("disconnect_reason", "/participant/disconnectReason"),
    ("room_end_reason", "/roomEndReason"),
];

/// Plain text: PagerDuty formats nothing.
struct Plain;

/// One alert event.
pub fn of(event: &Event, news: &News, config: &Config) -> Value {
    let mut body = json!({
        "routing_key": config.routing_key,
        "event_action": news.action,
        "dedup_key": key(event, news),
    });
    if news.action == Action::Trigger {
        body["payload"] = payload(event, news, config);
        body["client"] = "livekit-webhook".into();
        if let Some(url) = &config.client_url {
            body["client_url"] = url.as_str().into();
        }
    }
    body
}

fn payload(event: &Event, news: &News, config: &Config) -> Value {
    let severity = config.severity.get(&news.class).copied().unwrap_or(match news.class {
        Class::Room => Severity::Critical,
        Class::Egress | Class::Ingress | Class::Agent => Severity::Error,
        Class::Connection => Severity::Warning,
    });
    let mut details = Map::new();
    let mut detail = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            details.insert(name.to_owned(), cut(&value, DETAIL_CHARS_MAX).into());
        }
    };
    detail("event_id", text(event, "/id").map(str::to_owned));
    detail("gateway_id", Some(event.id()));
    detail("room", event.room_name());
    detail("participant", event.participant_identity());
    for (name, pointer) in DETAILS {
        detail(name, text(event, pointer).map(str::to_owned));
    }
    let mut payload = json!({
        "summary": cut(&story::of(event, &Plain).text, SUMMARY_CHARS_MAX),
        "timestamp": time::rfc3339_ms(event.created_at_ms()),
        "severity": severity,
        "source": Plain.name(&format!("livekit/{}", event.source())),
        "group": news.class,
        "class": event.kind(),
        "custom_details": details,
    });
    if let Some(room) = event.room_name() {
        payload["component"] = Plain.name(&room).into();
    }
    payload
}

/// The same for a failure and its recovery. What does not fit is replaced by a number that follows
/// from the whole.
fn key(event: &Event, news: &News) -> String {
    let class = serde_json::to_value(news.class).unwrap_or_default();
    let class = class.as_str().unwrap_or_default();
    let key = format!("livekit/{}/{class}/{}", event.source(), news.about);
    if key.chars().count() <= KEY_CHARS_MAX {
        return key;
    }
    let hash = format!("#{:016x}", fnv1a(key.as_bytes()));
    key.chars().take(KEY_CHARS_MAX - hash.len()).chain(hash.chars()).collect()
}

/// FNV-1a, 64 bits. Two alerts that it confuses would have to agree in 238 characters as well.
fn fnv1a(bytes: &[u8]) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3);
    bytes.iter().fold(0xCBF2_9CE4_8422_2325, step)
}

fn cut(text: &str, chars_max: usize) -> String {
    if text.chars().count() <= chars_max {
        return text.to_owned();
    }
    text.chars().take(chars_max.saturating_sub(1)).chain(['…']).collect()
}

// === impl Plain ===

impl Style for Plain {
    fn name(&self, raw: &str) -> String {
        story::plain(raw).collect()
    }

    fn strong(&self, escaped: &str) -> String {
        escaped.to_owned()
    }
}
