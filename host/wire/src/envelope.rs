//! Phase C: what a router needs of verified bytes. One strict pass, no copy of the body.

/// Deepest nesting of a body.
pub const DEPTH_MAX: usize = 64;

/// What every part of the gateway may rely on. Unknown members are left where they are: in the bytes.
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

impl Envelope {
    /// Reads `body`: UTF-8, one JSON object, no BOM, no duplicate members, no lone surrogates, depth within
    /// [`DEPTH_MAX`], `event` a non-empty string. A known field of a wrong type is `None`, not an error.
    ///
    /// # Errors
    /// The first thing that makes the body unusable, with its byte offset.
    pub fn parse(body: &[u8]) -> Result<Self, Error> {
        let _ = body;
        unimplemented!()
    }
}

/// Why authentic bytes cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No `event`, or an empty one, or not a string.
    #[error("`event` must be a non-empty string")]
    NoEvent,
}
