//! Which events are news of which alert.

use livekit_webhook_plugin::Event;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// Recordings and streams out of a room.
    Egress,
    /// Streams into a room.
    Ingress,
    /// Agents in a room.
    Agent,
    /// Rooms that could not open.
    Room,
    /// Participants who could not connect.
    Connection,
}

/// PagerDuty's `event_action`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// It is broken.
    Trigger,
    /// Somebody is at it.
    Acknowledge,
    /// It works.
    Resolve,
}

/// One thing to tell PagerDuty.
#[derive(Debug, PartialEq, Eq)]
pub struct News {
    pub class: Class,
    pub action: Action,
    /// What the alert is about within its class; with it, it is known again.
    pub about: String,
}

/// What `event` tells, if anything. `acknowledge`: a new try after a failure is news too.
pub fn of(event: &Event, acknowledge: bool) -> Option<News> {
    let retried = acknowledge.then_some(Action::Acknowledge);
    let (class, action) = match event.kind().as_str() {
        "egress_started" => (Class::Egress, retried?),
        "egress_updated" => {
            let is_active = text(event, "/egressInfo/status")? == "EGRESS_ACTIVE";
            (Class::Egress, is_active.then_some(Action::Resolve)?)
        }
        "egress_ended" => {
            // Without a status nothing is known to have failed; the zero value is "starting".
            let action = match text(event, "/egressInfo/status").unwrap_or_default() {
                "EGRESS_COMPLETE" => Action::Resolve,
                "EGRESS_FAILED" | "EGRESS_ABORTED" | "EGRESS_LIMIT_REACHED" => Action::Trigger,
                _ => text(event, "/egressInfo/error").map(|_| Action::Trigger)?,
            };
            (Class::Egress, action)
        }
        "ingress_started" => (Class::Ingress, Action::Resolve),
        "ingress_ended" => {
            let is_error = text(event, "/ingressInfo/state/status") == Some("ENDPOINT_ERROR")
                || text(event, "/ingressInfo/state/error").is_some();
            (Class::Ingress, is_error.then_some(Action::Trigger)?)
        }
        "agent_job_started" => (Class::Agent, retried?),
        "agent_job_ended" => match text(event, "/job/state/status")? {
            "JS_FAILED" => (Class::Agent, Action::Trigger),
            "JS_SUCCESS" => (Class::Agent, Action::Resolve),
            _ => return None,
        },
        "room_started" => (Class::Room, Action::Resolve),
        "room_finished" => {
            let is_failed = text(event, "/roomEndReason")? == "ROOM_END_OPEN_FAILED";
            (Class::Room, is_failed.then_some(Action::Trigger)?)
        }
        "participant_connection_aborted" => (Class::Connection, Action::Trigger),
        "participant_joined" => (Class::Connection, Action::Resolve),
        _ => return None,
    };
    Some(News { class, action, about: about(event, class)? })
}

/// What stays the same from a failure to the recovery. An egress has a new id each time, so it is
/// the room; an ingress keeps its id.
fn about(event: &Event, class: Class) -> Option<String> {
    let owned = |pointer| text(event, pointer).map(str::to_owned);
    let room = event.room_name();
    match class {
        Class::Egress => room.or_else(|| owned("/egressInfo/egressId")),
        Class::Ingress => owned("/ingressInfo/ingressId").or(room),
        Class::Agent => {
            let (room, agent) = (room?, owned("/job/agentName").unwrap_or_default());
            Some(format!("{room}/{agent}"))
        }
        Class::Room => room,
        Class::Connection => Some(format!("{}/{}", room?, event.participant_identity()?)),
    }
}

/// A text of the event that says something.
pub fn text<'e>(event: &'e Event, pointer: &str) -> Option<&'e str> {
    event.field(pointer).and_then(Value::as_str).filter(|text| !text.is_empty())
}
