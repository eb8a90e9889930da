//! Realistic bodies of all events LiveKit sends, for `send`, tests and demonstrations.
//!
//! The form is protojson of `livekit.WebhookEvent` (livekit/protocol 1.52.1) as Go's sender writes
//! it: lowerCamelCase names in the order of declaration, zero values absent, 64-bit integers as
//! strings, one line. Guaranteed: the same arguments give the same bytes, and all samples of one
//! seed tell one story (the same room has the same sid in each). Not guaranteed: that a field
//! LiveKit may send is there; these are usual bodies, not complete ones.

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

mod services;
#[cfg(test)]
mod tests;

/// Characters of LiveKit's ids after the prefix (livekit/protocol, `utils/guid`).
pub const ID_CHARACTERS: usize = 12;

/// LiveKit's alphabet of ids: no `0`, `1`, `I`, `O`, `l`, which are easily mistaken for each other.
const ALPHABET: &[u8; 57] = b"23456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

/// How long the sampled room has existed, in seconds.
const ROOM_AGE_S: i64 = 65;
/// How long ago the sampled participant joined, in seconds.
const PARTICIPANT_AGE_S: i64 = 8;
const ENABLED_CODECS: &str = "audio/PCMU audio/PCMA audio/opus audio/red video/VP8 video/H264 video/VP9 video/AV1 video/H265 video/rtx";
/// Metadata is the application's own text; most write JSON.
const ROOM_METADATA: &str =
    r#"{"tenant":"acme","plan":"pro","title":"Weekly review","tags":["sample","europe"]}"#;
/// Holds personal data, as it often does, so that redaction can be tried on it.
const PARTICIPANT_METADATA: &str = r#"{"role":"host","email":"someone@example.com","avatar":"https://cdn.example.com/a/42.png","device":"desktop"}"#;

/// What a sample tells of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample<'a> {
    /// Name of the room.
    pub room: &'a str,
    /// Identity of the participant.
    pub identity: &'a str,
    /// The event's `id`; see [`id`].
    pub event_id: &'a str,
    /// The event's `createdAt`, unix seconds. All other times follow from it.
    pub now_s: i64,
    /// What the sids are made of. The same seed, room and identity give the same sids.
    pub seed: u64,
}

/// An id in LiveKit's form: `prefix` and twelve characters that follow from `seed` and `of`.
pub fn id(prefix: &str, seed: u64, of: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(seed.to_be_bytes());
    hash.update(prefix.as_bytes());
    hash.update(of.as_bytes());
    let digest = hash.finalize();
    let letters = digest.iter().map(|byte| usize::from(*byte) % ALPHABET.len());
    let letters = letters.filter_map(|at| ALPHABET.get(at)).map(|letter| char::from(*letter));
    prefix.chars().chain(letters.take(ID_CHARACTERS)).collect()
}

/// The body of one event, or `None` when `kind` is not one of [`crate::event_type::ALL`].
pub fn body(kind: &str, sample: &Sample<'_>) -> Option<String> {
    let mut event = Map::new();
    event.insert("event".into(), kind.into());
    let mut put = |name: &str, value: Value| event.insert(name.into(), value);
    match kind {
        "room_started" | "room_finished" => {
            put("room", sample.full_room(0));
        }
        "participant_joined" => {
            put("room", sample.full_room(1));
            put("participant", sample.full_participant("ACTIVE", None));
        }
        "participant_left" => {
            put("room", sample.full_room(0));
            let participant = sample.full_participant("DISCONNECTED", Some("CLIENT_INITIATED"));
            put("participant", participant);
        }
        "participant_connection_aborted" => {
            put("room", sample.full_room(0));
            put("participant", sample.full_participant("DISCONNECTED", Some("JOIN_FAILURE")));
        }
        "track_published" | "track_unpublished" => {
            put("room", sample.room_reference());
            put("participant", sample.participant_reference());
            put("track", sample.track());
        }
        "egress_started" | "egress_updated" | "egress_ended" => {
            put("room", sample.room_reference());
            put("egressInfo", sample.egress(kind));
        }
        "ingress_started" | "ingress_ended" => {
            // LiveKit knows only the name here; the sid is in `ingressInfo.state.roomId`.
            put("room", json!({ "name": sample.room }));
            put("ingressInfo", sample.ingress(kind));
        }
        "agent_job_started" | "agent_job_ended" => {
            put("job", sample.agent_job(kind));
        }
        _ => return None,
    }
    let mut event = sample.finish(event);
    if kind == "room_finished" {
        event.insert("roomEndReason".into(), "ROOM_END_IDLE_TIMEOUT".into());
    }
    Some(Value::Object(event).to_string())
}

/// A body for a name LiveKit does not send today: the full room and nothing else.
pub fn custom(kind: &str, sample: &Sample<'_>) -> String {
    let mut event = Map::new();
    event.insert("event".into(), kind.into());
    event.insert("room".into(), sample.full_room(1));
    Value::Object(sample.finish(event)).to_string()
}

// === impl Sample ===

impl Sample<'_> {
    /// What stands at the end of every event.
    fn finish(&self, mut event: Map<String, Value>) -> Map<String, Value> {
        event.insert("id".into(), self.event_id.into());
        event.insert("createdAt".into(), self.now_s.to_string().into());
        event
    }

    fn room_sid(&self) -> String {
        id("RM_", self.seed, self.room)
    }

    fn participant_sid(&self) -> String {
        id("PA_", self.seed, &[self.room, "/", self.identity].concat())
    }

    /// As in `track_*` and `egress_*`.
    fn room_reference(&self) -> Value {
        json!({ "sid": self.room_sid(), "name": self.room })
    }

    /// As in `track_*`.
    fn participant_reference(&self) -> Value {
        json!({ "sid": self.participant_sid(), "identity": self.identity })
    }

    /// As in `room_*` and `participant_*`. No participants means an absent `numParticipants`.
    fn full_room(&self, participants: u32) -> Value {
        let created_s = self.now_s - ROOM_AGE_S;
        let mut room = json!({
            "sid": self.room_sid(),
            "name": self.room,
            "emptyTimeout": 300,
            "departureTimeout": 20,
            "maxParticipants": 50,
            "creationTime": created_s.to_string(),
            "creationTimeMs": millis(created_s, 137),
            "turnPassword": self.sample_secret("turn"),
            "enabledCodecs": enabled_codecs(),
            "metadata": ROOM_METADATA,
        });
        if participants > 0 {
            room["numParticipants"] = participants.into();
        }
        room["version"] = json!({ "unixMicro": micros(created_s, 137_204) });
        room
    }

    fn full_participant(&self, state: &str, disconnect_reason: Option<&str>) -> Value {
        let joined_s = self.now_s - PARTICIPANT_AGE_S;
        let mut participant = json!({
            "sid": self.participant_sid(),
            "identity": self.identity,
            "state": state,
            "metadata": PARTICIPANT_METADATA,
            "joinedAt": joined_s.to_string(),
            "joinedAtMs": millis(joined_s, 250),
            "name": self.identity,
            "version": 3,
            "permission": {
                "canSubscribe": true,
                "canPublish": true,
                "canPublishData": true,
                "canPublishSources": ["CAMERA", "MICROPHONE", "SCREEN_SHARE"],
                "canUpdateMetadata": true,
            },
            "region": "eu-central",
            "attributes": { "app.build": "2041", "app.team": "blue", "locale": "de-DE" },
        });
        if let Some(reason) = disconnect_reason {
            participant["disconnectReason"] = reason.into();
        }
        participant
    }

    /// A microphone: its type AUDIO is the zero value and therefore absent.
    fn track(&self) -> Value {
        let joined_s = self.now_s - PARTICIPANT_AGE_S;
        json!({
            "sid": id("TR_AM", self.seed, &[self.room, "/", self.identity].concat()),
            "name": "microphone",
            "source": "MICROPHONE",
            "mimeType": "audio/red",
            "mid": "1",
            "codecs": [{
                "mimeType": "audio/red",
                "mid": "1",
                "cid": "a769975c-cf87-480a-b18a-4c4732cfacae",
            }],
            "stream": "camera",
            "version": { "unixMicro": micros(joined_s, 528_591) },
            "audioFeatures": [
                "TF_AUTO_GAIN_CONTROL", "TF_ECHO_CANCELLATION", "TF_NOISE_SUPPRESSION",
            ],
            "backupCodecPolicy": "SIMULCAST",
        })
    }

    /// Looks like a secret, so that redaction can be seen to work, and says that it is none.
    fn sample_secret(&self, of: &str) -> String {
        ["SAMPLE-", &id("", self.seed, &[self.room, of].concat()), "-NOT-A-SECRET"].concat()
    }
}

fn enabled_codecs() -> Value {
    ENABLED_CODECS.split(' ').map(|mime| json!({ "mime": mime })).collect()
}

fn millis(seconds: i64, millis: i64) -> String {
    seconds.saturating_mul(1000).saturating_add(millis).to_string()
}

fn micros(seconds: i64, micros: i64) -> String {
    seconds.saturating_mul(1_000_000).saturating_add(micros).to_string()
}

fn nanos(seconds: i64) -> String {
    seconds.saturating_mul(1_000_000_000).to_string()
}
