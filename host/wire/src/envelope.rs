//! Phase C: what a router needs of verified bytes. One strict pass, no copy of the body.
//!
//! Guarantee: what is accepted is one JSON object that every parser reads alike (no duplicate
//! members, no lone surrogates, no numbers out of range), and `serde_json` finds the same `event`
//! in it. Not guaranteed: that the fields have the types LiveKit gives them. A known field of a
//! wrong type is as good as absent here; [`crate::event::Event::problems`] names it.

use std::borrow::Cow;

use crate::json::{self, Reader, Text, Value};

/// Deepest nesting of a body.
pub const DEPTH_MAX: usize = json::DEPTH_MAX;

/// Longest string kept, in bytes. A longer `event` makes the body unusable, any other longer string
/// is `None`. LiveKit allows names and identities of 256 bytes.
pub const FIELD_BYTES_MAX: usize = 1024;

/// What every part of the gateway may rely on. Unknown members are left where they are: in the
/// bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Envelope {
    /// `event`, never empty.
    pub event: String,
    /// `id`, when present and not empty.
    pub id: Option<String>,
    /// `createdAt`, unix seconds.
    pub created_at_s: Option<i64>,
    /// Room name from `room`, `egressInfo`, `ingressInfo` or `job.room`, the first that is there.
    pub room_name: Option<String>,
    /// Room sid from the same places (`egressInfo.roomId`, `ingressInfo.state.roomId`).
    pub room_sid: Option<String>,
    /// `participant.identity` (or `job.participant`'s).
    pub participant_identity: Option<String>,
    /// LiveKit's own ordering key: egress id, else ingress id, else room sid or name, else job id.
    pub lane: Option<String>,
}

/// Why authentic bytes cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No bytes, or nothing but white space.
    #[error("the body is empty")]
    Empty,
    /// A byte order mark, which JSON forbids a sender to write.
    #[error("the body begins with a byte order mark")]
    Bom,
    /// Not the JSON we take.
    #[error(transparent)]
    Json(#[from] json::Error),
    /// No `event`, or an empty one, or not a string.
    #[error("`event` must be a non-empty string")]
    NoEvent,
    /// `event` is longer than [`FIELD_BYTES_MAX`].
    #[error("`event` has more than {FIELD_BYTES_MAX} bytes")]
    EventTooLong,
}

/// What one pass collects. Borrows from the body.
#[derive(Default)]
struct Draft<'a> {
    event: Option<Text<'a>>,
    id: Option<Text<'a>>,
    created_at_s: Option<i64>,
    room: Option<Place<'a>>,
    participant: Option<Place<'a>>,
    egress: Option<Place<'a>>,
    ingress: Option<Place<'a>>,
    job: Option<Place<'a>>,
}

/// The strings of one of the objects that name a room.
#[derive(Clone, Copy, Default)]
struct Place<'a> {
    /// Of the thing itself: an egress, an ingress, a job.
    id: Option<Text<'a>>,
    room_name: Option<Text<'a>>,
    room_sid: Option<Text<'a>>,
    identity: Option<Text<'a>>,
}

/// The `event` of `body`: the same pass and the same refusals as [`Envelope::parse`], nothing else
/// kept.
///
/// # Errors
/// As [`Envelope::parse`].
pub fn event_type(body: &[u8]) -> Result<Cow<'_, str>, Error> {
    Draft::read(body)?.event()
}

// === impl Envelope ===

impl Envelope {
    /// Reads `body`: UTF-8, one JSON object, no BOM, no duplicate members, no lone surrogates,
    /// depth within [`DEPTH_MAX`], `event` a non-empty string. A known field of a wrong type is
    /// `None`, not an error.
    ///
    /// A field counts under its camelCase and its snake_case name; where both are there, the first
    /// counts.
    ///
    /// # Errors
    /// The first thing that makes the body unusable, with its byte offset.
    pub fn parse(body: &[u8]) -> Result<Self, Error> {
        let draft = Draft::read(body)?;
        let event = draft.event()?.into_owned();
        let room_name = draft.first(|place| place.room_name);
        let room_sid = draft.first(|place| place.room_sid);
        let lane = [draft.egress, draft.ingress].into_iter().flatten().find_map(|place| place.id);
        let lane = lane.or(room_sid).or(room_name).or(draft.job.and_then(|job| job.id));
        let identity = draft.participant.and_then(|participant| participant.identity);
        let identity = identity.or(draft.job.and_then(|job| job.identity));
        Ok(Self {
            event,
            id: kept(draft.id),
            created_at_s: draft.created_at_s,
            room_name: kept(room_name),
            room_sid: kept(room_sid),
            participant_identity: kept(identity),
            lane: kept(lane),
        })
    }
}

fn kept(text: Option<Text<'_>>) -> Option<String> {
    let text = text?.text();
    (text.len() <= FIELD_BYTES_MAX).then(|| text.into_owned())
}

// === impl Error ===

impl Error {
    /// A stable word for logs and metrics.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Bom => "bom",
            Self::Json(error) => error.code(),
            Self::NoEvent => "no_event",
            Self::EventTooLong => "event_too_long",
        }
    }
}

// === impl Draft ===

impl<'a> Draft<'a> {
    fn read(body: &'a [u8]) -> Result<Self, Error> {
        if body.trim_ascii().is_empty() {
            return Err(Error::Empty);
        }
        if body.starts_with(b"\xef\xbb\xbf") {
            return Err(Error::Bom);
        }
        let mut draft = Self::default();
        json::document(body, |reader, name| draft.member(reader, name))?;
        Ok(draft)
    }

    fn member(&mut self, reader: &mut Reader<'a>, name: &[u8]) -> Result<(), json::Error> {
        match name {
            b"event" => self.event = text(reader)?,
            b"id" => self.id = text(reader)?,
            b"createdAt" => self.created_at_s = integer(reader)?.or(self.created_at_s),
            b"created_at" => self.created_at_s = self.created_at_s.or(integer(reader)?),
            b"room" => self.room = object(reader, Place::room_member)?,
            b"participant" => self.participant = object(reader, Place::participant_member)?,
            b"egressInfo" => self.egress = object(reader, Place::egress_member)?.or(self.egress),
            b"egress_info" => self.egress = self.egress.or(object(reader, Place::egress_member)?),
            b"ingressInfo" => {
                self.ingress = object(reader, Place::ingress_member)?.or(self.ingress);
            }
            b"ingress_info" => {
                self.ingress = self.ingress.or(object(reader, Place::ingress_member)?);
            }
            b"job" => self.job = object(reader, Place::job_member)?,
            _ => reader.skip()?,
        }
        Ok(())
    }

    fn event(&self) -> Result<Cow<'a, str>, Error> {
        let event = self.event.ok_or(Error::NoEvent)?.text();
        if event.len() > FIELD_BYTES_MAX { Err(Error::EventTooLong) } else { Ok(event) }
    }

    fn first(&self, field: impl Fn(&Place<'a>) -> Option<Text<'a>>) -> Option<Text<'a>> {
        let places = [&self.room, &self.egress, &self.ingress, &self.job];
        places.into_iter().flatten().find_map(field)
    }
}

// === impl Place ===

impl<'a> Place<'a> {
    /// Of `room`.
    fn room_member(&mut self, reader: &mut Reader<'a>, name: &[u8]) -> Result<(), json::Error> {
        match name {
            b"sid" => self.room_sid = text(reader)?,
            b"name" => self.room_name = text(reader)?,
            _ => reader.skip()?,
        }
        Ok(())
    }

    /// Of `participant`.
    fn participant_member(
        &mut self,
        reader: &mut Reader<'a>,
        name: &[u8],
    ) -> Result<(), json::Error> {
        match name {
            b"identity" => self.identity = text(reader)?,
            _ => reader.skip()?,
        }
        Ok(())
    }

    /// Of `egressInfo`.
    fn egress_member(&mut self, reader: &mut Reader<'a>, name: &[u8]) -> Result<(), json::Error> {
        match name {
            b"egressId" => self.id = text(reader)?.or(self.id),
            b"egress_id" => self.id = self.id.or(text(reader)?),
            b"roomId" => self.room_sid = text(reader)?.or(self.room_sid),
            b"room_id" => self.room_sid = self.room_sid.or(text(reader)?),
            b"roomName" => self.room_name = text(reader)?.or(self.room_name),
            b"room_name" => self.room_name = self.room_name.or(text(reader)?),
            _ => reader.skip()?,
        }
        Ok(())
    }

    /// Of `ingressInfo`.
    fn ingress_member(&mut self, reader: &mut Reader<'a>, name: &[u8]) -> Result<(), json::Error> {
        match name {
            b"ingressId" => self.id = text(reader)?.or(self.id),
            b"ingress_id" => self.id = self.id.or(text(reader)?),
            b"roomName" => self.room_name = text(reader)?.or(self.room_name),
            b"room_name" => self.room_name = self.room_name.or(text(reader)?),
            b"state" => {
                let state = object(reader, Place::ingress_state_member)?;
                self.room_sid = state.and_then(|state| state.room_sid);
            }
            _ => reader.skip()?,
        }
        Ok(())
    }

    /// Of `ingressInfo.state`.
    fn ingress_state_member(
        &mut self,
        reader: &mut Reader<'a>,
        name: &[u8],
    ) -> Result<(), json::Error> {
        match name {
            b"roomId" => self.room_sid = text(reader)?.or(self.room_sid),
            b"room_id" => self.room_sid = self.room_sid.or(text(reader)?),
            _ => reader.skip()?,
        }
        Ok(())
    }

    /// Of `job`.
    fn job_member(&mut self, reader: &mut Reader<'a>, name: &[u8]) -> Result<(), json::Error> {
        match name {
            b"id" => self.id = text(reader)?,
            b"room" => {
                let room = object(reader, Place::room_member)?.unwrap_or_default();
                (self.room_name, self.room_sid) = (room.room_name, room.room_sid);
            }
            b"participant" => {
                let participant = object(reader, Place::participant_member)?;
                self.identity = participant.and_then(|participant| participant.identity);
            }
            _ => reader.skip()?,
        }
        Ok(())
    }
}

/// A string that is not empty.
fn text<'a>(reader: &mut Reader<'a>) -> Result<Option<Text<'a>>, json::Error> {
    Ok(match reader.value()? {
        Value::Text(text) if !text.is_empty() => Some(text),
        _ => None,
    })
}

/// An int64, which LiveKit writes as a string.
fn integer(reader: &mut Reader<'_>) -> Result<Option<i64>, json::Error> {
    Ok(match reader.value()? {
        Value::Integer(value) => Some(value),
        Value::Text(text) => text.text().parse().ok(),
        _ => None,
    })
}

/// An object, read member by member.
fn object<'a>(
    reader: &mut Reader<'a>,
    member: fn(&mut Place<'a>, &mut Reader<'a>, &[u8]) -> Result<(), json::Error>,
) -> Result<Option<Place<'a>>, json::Error> {
    if !reader.at_object() {
        return reader.skip().map(|()| None);
    }
    let mut place = Place::default();
    reader.object(&mut |reader, name| member(&mut place, reader, name))?;
    Ok(Some(place))
}

#[cfg(test)]
mod tests;
