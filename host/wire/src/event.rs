//! The lossless typed view of an event: every field optional, enums open, unknown members kept.
//!
//! Cast: an [`Event`] owns the JSON object as it came. Views ([`room::Room`],
//! [`egress::EgressInfo`], …) borrow from it and read a field when it is asked for, under its
//! camelCase or its snake_case name. [`Event::problems`] says which known fields do not fit.
//!
//! Guarantee: a field that does not fit is as good as absent and never costs the event;
//! [`Event::to_json`] gives every member back, known or not, in its order. Not guaranteed: the same
//! bytes (spacing, escapes, the spelling of numbers, and the last digits of numbers beyond 64
//! bits). Signatures are made over the bytes as received, not over this.

use serde_json::Value;

pub mod agent;
pub mod egress;
pub mod ingress;
pub mod participant;
pub mod problems;
pub mod room;
pub mod table;
pub mod track;
pub mod view;

use crate::envelope;
use agent::Job;
use egress::EgressInfo;
use ingress::IngressInfo;
use participant::ParticipantInfo;
use problems::{Expected, Fit, Problem};
use room::{Room, RoomEndReason};
use track::TrackInfo;
use view::{Message, Object, Open, messages};

/// An event's JSON object, with an `event` that is a non-empty string.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    object: Object,
}

/// Why there is no view at all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The bytes are unusable.
    #[error(transparent)]
    Envelope(#[from] envelope::Error),
    /// The general parser refuses what ours accepted. Not known to happen.
    #[error("the body could not be parsed")]
    Json(#[source] serde_json::Error),
    /// A value that is no object.
    #[error("expected an object")]
    NotAnObject,
}

messages! {
    /// The event's own fields.
    Fields {
        /// Which event.
        event: Option<&'e str> = "event",
        /// The room.
        room: Option<Room<'e>> = "room",
        /// The participant.
        participant: Option<ParticipantInfo<'e>> = "participant",
        /// The egress.
        egress_info: Option<EgressInfo<'e>> = "egressInfo",
        /// The ingress.
        ingress_info: Option<IngressInfo<'e>> = "ingressInfo",
        /// The track.
        track: Option<TrackInfo<'e>> = "track",
        /// The agent job.
        job: Option<Job<'e>> = "job",
        /// `EV_…`.
        id: Option<&'e str> = "id",
        /// Unix seconds.
        created_at: Option<i64> = "createdAt",
        /// Of servers before 1.9.
        num_dropped: Option<i32> = "numDropped",
        /// Why the room ended.
        room_end_reason: Open<'e, RoomEndReason> = "roomEndReason",
    }
}

// === impl Event ===

impl Event {
    /// Reads a body as strictly as [`envelope::Envelope::parse`].
    ///
    /// # Errors
    /// When the envelope refuses it.
    pub fn from_slice(body: &[u8]) -> Result<Self, Error> {
        envelope::event_type(body)?;
        Self::from_value(serde_json::from_slice(body).map_err(Error::Json)?)
    }

    /// Takes a value as it is.
    ///
    /// # Errors
    /// When it is no object, or its `event` is not a non-empty string.
    pub fn from_value(value: Value) -> Result<Self, Error> {
        let Value::Object(object) = value else {
            return Err(Error::NotAnObject);
        };
        match object.get("event").and_then(Value::as_str) {
            None | Some("") => Err(envelope::Error::NoEvent.into()),
            Some(_) => Ok(Self { object }),
        }
    }

    /// The object, with the members that have no getter.
    pub fn object(&self) -> &Object {
        &self.object
    }

    /// Gives the object away, to be changed.
    pub fn into_value(self) -> Value {
        Value::Object(self.object)
    }

    /// The object as one line of JSON.
    pub fn to_json(&self) -> String {
        Value::Object(self.object.clone()).to_string()
    }

    /// Which event: `room_started` and so on. Never empty.
    pub fn event(&self) -> &str {
        self.fields().event().unwrap_or_default()
    }

    /// `EV_…`, the same in every attempt and for every URL.
    pub fn id(&self) -> Option<&str> {
        self.fields().id().filter(|id| !id.is_empty())
    }

    /// Unix seconds at which LiveKit queued the event.
    pub fn created_at_s(&self) -> Option<i64> {
        self.fields().created_at()
    }

    /// The room. Absent on agent events; only sid and name on most others.
    pub fn room(&self) -> Option<Room<'_>> {
        self.fields().room()
    }

    /// The participant, on participant and track events.
    pub fn participant(&self) -> Option<ParticipantInfo<'_>> {
        self.fields().participant()
    }

    /// The track, on track events.
    pub fn track(&self) -> Option<TrackInfo<'_>> {
        self.fields().track()
    }

    /// The egress, on egress events.
    pub fn egress(&self) -> Option<EgressInfo<'_>> {
        self.fields().egress_info()
    }

    /// The ingress, on ingress events.
    pub fn ingress(&self) -> Option<IngressInfo<'_>> {
        self.fields().ingress_info()
    }

    /// What LiveKit calls a job, on agent events.
    pub fn agent_job(&self) -> Option<Job<'_>> {
        self.fields().job()
    }

    /// How many events older servers dropped before this one.
    pub fn num_dropped(&self) -> Option<i32> {
        self.fields().num_dropped()
    }

    /// Why the room ended, on `room_finished`; absent: unknown.
    pub fn room_end_reason(&self) -> Open<'_, RoomEndReason> {
        self.fields().room_end_reason()
    }

    /// The room's name, wherever the event tells it.
    pub fn room_name(&self) -> Option<&str> {
        first([
            self.room().and_then(Room::name),
            self.egress().and_then(EgressInfo::room_name),
            self.ingress().and_then(IngressInfo::room_name),
            self.agent_job().and_then(Job::room).and_then(Room::name),
        ])
    }

    /// The room's sid, wherever the event tells it.
    pub fn room_sid(&self) -> Option<&str> {
        let ingress_state = self.ingress().and_then(IngressInfo::state);
        first([
            self.room().and_then(Room::sid),
            self.egress().and_then(EgressInfo::room_id),
            ingress_state.and_then(ingress::IngressState::room_id),
            self.agent_job().and_then(Job::room).and_then(Room::sid),
        ])
    }

    /// The participant's identity, also of an agent's participant.
    pub fn participant_identity(&self) -> Option<&str> {
        let agents = self.agent_job().and_then(Job::participant);
        first([
            self.participant().and_then(ParticipantInfo::identity),
            agents.and_then(ParticipantInfo::identity),
        ])
    }

    /// The table of an event's own fields; those of its parts are reached from it.
    pub fn rows() -> &'static [table::Row] {
        Fields::rows()
    }

    /// The known fields that do not fit, at most [`problems::PROBLEMS_MAX`].
    pub fn problems(&self) -> Vec<Problem> {
        problems::collect(&self.object, Fields::rows())
    }

    /// The worst of [`Event::problems`].
    pub fn fit(&self) -> Fit {
        let fits = self.problems().into_iter().map(|problem| match problem.expected {
            Expected::KnownEnumValue => Fit::Newer,
            _ => Fit::Wrong,
        });
        fits.max().unwrap_or(Fit::Whole)
    }

    fn fields(&self) -> Fields<'_> {
        Fields::over(&self.object)
    }
}

/// The first that says something.
fn first<const N: usize>(places: [Option<&str>; N]) -> Option<&str> {
    places.into_iter().flatten().find(|text| !text.is_empty())
}

/// Towards minus infinity, so that no time moves forward.
fn ns_to_ms(ns: i64) -> i64 {
    ns.div_euclid(1_000_000)
}

#[cfg(test)]
mod tests;
