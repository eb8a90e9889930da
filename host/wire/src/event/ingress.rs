//! Ingress: streams in. Times are unix nanoseconds on the wire.

use super::track::TrackInfo;
use super::view::{Items, Object, Open, enums, messages};

messages! {
    /// An ingress.
    IngressInfo {
        /// `IN_…`.
        ingress_id: Option<&'e str> = "ingressId",
        /// For people to read.
        name: Option<&'e str> = "name",
        /// A secret.
        stream_key: Option<&'e str> = "streamKey",
        /// Where to push to, or to pull from.
        url: Option<&'e str> = "url",
        /// Absent: RTMP.
        input_type: Open<'e, IngressInput> = "inputType",
        /// Media is passed on as it comes; older servers.
        bypass_transcoding: bool = "bypassTranscoding",
        /// Media is encoded anew.
        enable_transcoding: bool = "enableTranscoding",
        /// How audio is encoded.
        audio: Option<&'e Object> = "audio",
        /// How video is encoded.
        video: Option<&'e Object> = "video",
        /// The room's name.
        room_name: Option<&'e str> = "roomName",
        /// The participant it appears as.
        participant_identity: Option<&'e str> = "participantIdentity",
        /// The participant it appears as.
        participant_name: Option<&'e str> = "participantName",
        /// The participant it appears as.
        participant_metadata: Option<&'e str> = "participantMetadata",
        /// Whether it may be used again.
        reusable: bool = "reusable",
        /// What it does now.
        state: Option<IngressState<'e>> = "state",
        /// Whether it takes connections. Absent means yes, but `false` here: ask [`Self::object`].
        enabled: bool = "enabled",
    }

    /// What an ingress does now.
    IngressState {
        /// Absent: inactive.
        status: Open<'e, IngressStatus> = "status",
        /// What is wrong.
        error: Option<&'e str> = "error",
        /// The video that comes in.
        video: Option<InputVideoState<'e>> = "video",
        /// The audio that comes in.
        audio: Option<InputAudioState<'e>> = "audio",
        /// The room's sid.
        room_id: Option<&'e str> = "roomId",
        /// Unix nanoseconds.
        started_at: Option<i64> = "startedAt",
        /// Unix nanoseconds.
        ended_at: Option<i64> = "endedAt",
        /// Unix nanoseconds.
        updated_at: Option<i64> = "updatedAt",
        /// Names one connection.
        resource_id: Option<&'e str> = "resourceId",
        /// What it publishes.
        tracks: Items<'e, TrackInfo<'e>> = "tracks",
    }

    /// Video that comes in.
    InputVideoState {
        /// Its encoding.
        mime_type: Option<&'e str> = "mimeType",
        /// Bits per second.
        average_bitrate: Option<u32> = "averageBitrate",
        /// Pixels.
        width: Option<u32> = "width",
        /// Pixels.
        height: Option<u32> = "height",
        /// Frames per second.
        framerate: Option<f64> = "framerate",
    }

    /// Audio that comes in.
    InputAudioState {
        /// Its encoding.
        mime_type: Option<&'e str> = "mimeType",
        /// Bits per second.
        average_bitrate: Option<u32> = "averageBitrate",
        /// How many.
        channels: Option<u32> = "channels",
        /// Hertz.
        sample_rate: Option<u32> = "sampleRate",
    }
}

impl IngressState<'_> {
    /// Unix milliseconds.
    pub fn started_at_ms(self) -> Option<i64> {
        self.started_at().map(super::ns_to_ms)
    }

    /// Unix milliseconds.
    pub fn ended_at_ms(self) -> Option<i64> {
        self.ended_at().map(super::ns_to_ms)
    }
}

enums! {
    /// How a stream comes in.
    IngressInput {
        /// RTMP.
        Rtmp = "RTMP_INPUT" 0,
        /// WHIP.
        Whip = "WHIP_INPUT" 1,
        /// Pulled from a URL.
        Url = "URL_INPUT" 2,
    }

    /// Where an ingress is in its life.
    IngressStatus {
        /// Nothing comes in.
        Inactive = "ENDPOINT_INACTIVE" 0,
        /// Something comes in.
        Buffering = "ENDPOINT_BUFFERING" 1,
        /// It is in the room.
        Publishing = "ENDPOINT_PUBLISHING" 2,
        /// Failed.
        Error = "ENDPOINT_ERROR" 3,
        /// Done.
        Complete = "ENDPOINT_COMPLETE" 4,
    }
}
