//! Rooms.

use super::view::{Items, enums, messages};

messages! {
    /// A room. On track, egress and ingress events LiveKit sends only its sid and name, or only one
    /// of them.
    Room {
        /// `RM_…`: one life of a room. A name can live again under another sid.
        sid: Option<&'e str> = "sid",
        /// Chosen by whoever created it.
        name: Option<&'e str> = "name",
        /// Seconds until a room that nobody joined is closed.
        empty_timeout: Option<u32> = "emptyTimeout",
        /// Seconds until a room that everybody left is closed.
        departure_timeout: Option<u32> = "departureTimeout",
        /// Absent: no limit.
        max_participants: Option<u32> = "maxParticipants",
        /// Unix seconds.
        creation_time: Option<i64> = "creationTime",
        /// Unix milliseconds.
        creation_time_ms: Option<i64> = "creationTimeMs",
        /// A secret.
        turn_password: Option<&'e str> = "turnPassword",
        /// What the room's tracks may be encoded with.
        enabled_codecs: Items<'e, Codec<'e>> = "enabledCodecs",
        /// The application's own, often JSON.
        metadata: Option<&'e str> = "metadata",
        /// Absent also when there are none.
        num_participants: Option<u32> = "numParticipants",
        /// Absent also when there are none.
        num_publishers: Option<u32> = "numPublishers",
        /// Whether it is being recorded.
        active_recording: bool = "activeRecording",
        /// Orders states of one room.
        version: Option<TimedVersion<'e>> = "version",
    }

    /// A codec.
    Codec {
        /// `video/VP8` and the like.
        mime: Option<&'e str> = "mime",
        /// Its SDP parameters.
        fmtp_line: Option<&'e str> = "fmtpLine",
    }

    /// LiveKit's logical clock.
    TimedVersion {
        /// Unix microseconds.
        unix_micro: Option<i64> = "unixMicro",
        /// Within the microsecond.
        ticks: Option<i32> = "ticks",
    }
}

enums! {
    /// Why a room ended.
    RoomEndReason {
        /// Not told.
        Unknown = "ROOM_END_UNKNOWN" 0,
        /// `DeleteRoom` was called.
        ApiDelete = "ROOM_END_API_DELETE" 1,
        /// Empty past its timeout.
        IdleTimeout = "ROOM_END_IDLE_TIMEOUT" 2,
        /// The server stopped.
        ServerShutdown = "ROOM_END_SERVER_SHUTDOWN" 3,
        /// Restarted or replaced elsewhere.
        Superseded = "ROOM_END_SUPERSEDED" 4,
        /// Never opened.
        OpenFailed = "ROOM_END_OPEN_FAILED" 5,
    }
}
