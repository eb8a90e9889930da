//! Where the tenant of an event is written.

use crate::pattern::Pattern;
use livekit_webhook_plugin::Event;
use serde::Deserialize;
use serde_json::Value;

/// Longest tenant, in bytes. A longer text is not taken for one.
const TENANT_BYTES_MAX: usize = 256;

/// One place.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Place {
    /// Part of the room's name.
    RoomName(Pattern),
    /// A JSON pointer into the room's metadata.
    RoomMetadata(String),
    /// A JSON pointer into the participant's metadata.
    ParticipantMetadata(String),
    /// An attribute of the participant.
    ParticipantAttribute(String),
    /// A JSON pointer into what an agent was sent with.
    AgentMetadata(String),
    /// An attribute that an earlier plugin added.
    Attribute(String),
    /// The source the event came from.
    Source(Whole),
}

/// `true`, as there is nothing to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "bool")]
pub struct Whole;

// === impl Place ===

impl Place {
    /// # Errors
    /// In words, when it can never have a tenant.
    pub fn check(&self) -> Result<(), String> {
        match self {
            Self::RoomMetadata(pointer)
            | Self::ParticipantMetadata(pointer)
            | Self::AgentMetadata(pointer)
                if !pointer.is_empty() && !pointer.starts_with('/') =>
            {
                Err(format!("{pointer:?} is not a JSON pointer; write \"/tenant\""))
            }
            Self::ParticipantAttribute(name) | Self::Attribute(name) if name.is_empty() => {
                Err("the name of an attribute is empty".to_owned())
            }
            _ => Ok(()),
        }
    }

    /// The tenant, when it is written here.
    pub fn tenant(&self, event: &Event) -> Option<String> {
        let tenant = match self {
            Self::RoomName(pattern) => pattern.part(&event.room_name()?)?.to_owned(),
            Self::RoomMetadata(pointer) => {
                within(event, &["/room/metadata", "/job/room/metadata"], pointer)?
            }
            Self::ParticipantMetadata(pointer) => {
                within(event, &["/participant/metadata", "/job/participant/metadata"], pointer)?
            }
            Self::AgentMetadata(pointer) => within(event, &["/job/metadata"], pointer)?,
            Self::ParticipantAttribute(name) => {
                let holders = ["/participant/attributes", "/job/participant/attributes"];
                let mut held = holders.iter().filter_map(|holder| event.field(holder)?.get(name));
                held.next()?.as_str()?.to_owned()
            }
            Self::Attribute(name) => event.attribute(name)?,
            Self::Source(Whole) => event.source(),
        };
        (1..=TENANT_BYTES_MAX).contains(&tenant.len()).then_some(tenant)
    }
}

/// A text or a number in the first of `holders` that has metadata. An empty pointer means the
/// metadata itself, which need not be JSON then.
fn within(event: &Event, holders: &[&str], pointer: &str) -> Option<String> {
    let held = holders.iter().find_map(|holder| event.field(holder)?.as_str())?;
    if pointer.is_empty() {
        return Some(held.to_owned());
    }
    let metadata: Value = serde_json::from_str(held).ok()?;
    match metadata.pointer(pointer)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

// === impl Whole ===

impl TryFrom<bool> for Whole {
    type Error = &'static str;

    fn try_from(is_meant: bool) -> Result<Self, Self::Error> {
        is_meant.then_some(Self).ok_or("source: write true")
    }
}
