//! What LiveKit's services add to an event: recordings (egress), streams in (ingress), agents.

use super::{Sample, id, nanos};
use serde_json::{Map, Value, json};

/// How long the sampled recording, stream or agent ran, in seconds.
const RUN_S: i64 = 61;

impl Sample<'_> {
    /// A recording of the whole room. Its first status, EGRESS_STARTING, is the zero value and
    /// therefore absent.
    pub(super) fn egress(&self, kind: &str) -> Value {
        let egress_id = id("EG_", self.seed, self.room);
        let started_s = if kind == "egress_ended" { self.now_s - RUN_S } else { self.now_s };
        let mut egress = Map::new();
        let mut put = |name: &str, value: Value| egress.insert(name.into(), value);
        put("egressId", egress_id.as_str().into());
        put("roomId", self.room_sid().into());
        put("roomName", self.room.into());
        match kind {
            "egress_updated" => {
                put("status", "EGRESS_ACTIVE".into());
                put("startedAt", nanos(started_s).into());
            }
            "egress_ended" => {
                put("status", "EGRESS_COMPLETE".into());
                put("startedAt", nanos(started_s).into());
                put("endedAt", nanos(self.now_s).into());
            }
            _ => {}
        }
        put("updatedAt", nanos(self.now_s).into());
        put(
            "roomComposite",
            json!({
                "roomName": self.room,
                "layout": "speaker",
                "preset": "H264_1080P_30",
                "fileOutputs": [{
                    "fileType": "MP4",
                    "filepath": "rec/{room_name}-{time}",
                    "s3": {
                        "accessKey": "{access_key}",
                        "secret": "{secret}",
                        "region": "eu-central-1",
                        "bucket": "recordings",
                    },
                }],
            }),
        );
        if kind == "egress_ended" {
            let filename = ["rec/", self.room, ".mp4"].concat();
            let location = ["https://recordings.s3.example.com/", &filename].concat();
            put(
                "fileResults",
                json!([{
                    "filename": filename,
                    "startedAt": nanos(started_s),
                    "endedAt": nanos(self.now_s),
                    "duration": nanos(RUN_S),
                    "size": "48211934",
                    "location": location,
                }]),
            );
            put("details", "End reason: Source closed".into());
            put("manifestLocation", [&egress_id, ".json"].concat().into());
        }
        Value::Object(egress)
    }

    /// An RTMP stream. Its last status, ENDPOINT_INACTIVE, is the zero value and therefore absent.
    pub(super) fn ingress(&self, kind: &str) -> Value {
        let mut state = Map::new();
        let mut put = |name: &str, value: Value| state.insert(name.into(), value);
        let ended = kind == "ingress_ended";
        let started_s = if ended { self.now_s - RUN_S } else { self.now_s };
        if !ended {
            put("status", "ENDPOINT_PUBLISHING".into());
            put(
                "video",
                json!({
                    "mimeType": "video/h264",
                    "averageBitrate": 2_500_000,
                    "width": 1920,
                    "height": 1080,
                    "framerate": 29.97,
                }),
            );
            put(
                "audio",
                json!({
                    "mimeType": "audio/aac",
                    "averageBitrate": 128_000,
                    "channels": 2,
                    "sampleRate": 48_000,
                }),
            );
        }
        put("roomId", self.room_sid().into());
        put("startedAt", nanos(started_s).into());
        if ended {
            put("endedAt", nanos(self.now_s).into());
        }
        put("resourceId", id("RT_", self.seed, self.room).into());
        json!({
            "ingressId": id("IN_", self.seed, self.room),
            "name": "obs",
            "streamKey": self.sample_secret("stream"),
            "url": "rtmp://ingress.example.com/x",
            "audio": { "source": "MICROPHONE", "preset": "OPUS_STEREO_96KBPS" },
            "video": { "source": "CAMERA", "preset": "H264_1080P_30FPS_3_LAYERS" },
            "roomName": self.room,
            "participantIdentity": self.identity,
            "participantName": self.identity,
            "reusable": true,
            "state": state,
            "enabled": true,
        })
    }

    /// An agent for one participant. Its first status, JS_PENDING, is the zero value and therefore
    /// absent.
    pub(super) fn agent_job(&self, kind: &str) -> Value {
        let ended = kind == "agent_job_ended";
        let started_s = if ended { self.now_s - RUN_S } else { self.now_s };
        let state = if ended {
            json!({
                "status": "JS_SUCCESS",
                "startedAt": nanos(started_s),
                "endedAt": nanos(self.now_s),
                "updatedAt": nanos(self.now_s),
            })
        } else {
            json!({ "startedAt": nanos(started_s), "updatedAt": nanos(self.now_s) })
        };
        json!({
            "id": id("AJ_", self.seed, self.room),
            "dispatchId": id("AD_", self.seed, self.room),
            "type": "JT_PARTICIPANT",
            "room": self.full_room(1),
            "participant": self.full_participant("ACTIVE", None),
            "metadata": r#"{"order":42}"#,
            "agentName": "support-bot",
            "state": state,
            "enableRecording": true,
            "deployment": "prod",
            "attributes": { "tier": "gold" },
        })
    }
}
