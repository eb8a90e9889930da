//! Egress: recordings, streams out. Times are unix nanoseconds on the wire.

use super::view::{Items, Object, Open, enums, messages};

messages! {
    /// An egress.
    EgressInfo {
        /// `EG_…`. Absent when an automatic egress could not start.
        egress_id: Option<&'e str> = "egressId",
        /// The room's sid.
        room_id: Option<&'e str> = "roomId",
        /// The room's name.
        room_name: Option<&'e str> = "roomName",
        /// Absent: a web page.
        source_type: Open<'e, EgressSourceType> = "sourceType",
        /// Absent: starting.
        status: Open<'e, EgressStatus> = "status",
        /// Unix nanoseconds.
        started_at: Option<i64> = "startedAt",
        /// Unix nanoseconds.
        ended_at: Option<i64> = "endedAt",
        /// Unix nanoseconds.
        updated_at: Option<i64> = "updatedAt",
        /// The request, in its newest form.
        egress: Option<&'e Object> = "egress",
        /// The request to export a replay.
        replay: Option<&'e Object> = "replay",
        /// The request for a room's composite.
        room_composite: Option<&'e Object> = "roomComposite",
        /// The request for a web page.
        web: Option<&'e Object> = "web",
        /// The request for a participant.
        participant: Option<&'e Object> = "participant",
        /// The request for two tracks.
        track_composite: Option<&'e Object> = "trackComposite",
        /// The request for one track.
        track: Option<&'e Object> = "track",
        /// Streams sent.
        stream_results: Items<'e, StreamInfo<'e>> = "streamResults",
        /// Files written.
        file_results: Items<'e, FileInfo<'e>> = "fileResults",
        /// Playlists written.
        segment_results: Items<'e, SegmentsInfo<'e>> = "segmentResults",
        /// Images written.
        image_results: Items<'e, ImagesInfo<'e>> = "imageResults",
        /// Why it failed.
        error: Option<&'e str> = "error",
        /// An HTTP status for it.
        error_code: Option<i32> = "errorCode",
        /// Why it ended.
        details: Option<&'e str> = "details",
        /// Where its manifest is.
        manifest_location: Option<&'e str> = "manifestLocation",
        /// Whether the first storage failed.
        backup_storage_used: bool = "backupStorageUsed",
        /// How often it was tried again.
        retry_count: Option<i32> = "retryCount",
        /// The streams, as older servers tell them.
        stream: Option<StreamInfoList<'e>> = "stream",
        /// The file, as older servers tell it.
        file: Option<FileInfo<'e>> = "file",
        /// The playlist, as older servers tell it.
        segments: Option<SegmentsInfo<'e>> = "segments",
    }

    /// A stream sent somewhere.
    StreamInfo {
        /// Where to, without its key.
        url: Option<&'e str> = "url",
        /// Unix nanoseconds.
        started_at: Option<i64> = "startedAt",
        /// Unix nanoseconds.
        ended_at: Option<i64> = "endedAt",
        /// Nanoseconds.
        duration: Option<i64> = "duration",
        /// Absent: active.
        status: Open<'e, StreamStatus> = "status",
        /// Why it failed.
        error: Option<&'e str> = "error",
        /// Unix nanoseconds.
        last_retry_at: Option<i64> = "lastRetryAt",
        /// How often it was tried again.
        retries: Option<u32> = "retries",
    }

    /// Streams, as older servers tell them.
    StreamInfoList {
        /// The streams.
        info: Items<'e, StreamInfo<'e>> = "info",
    }

    /// A file written.
    FileInfo {
        /// Its name in the storage.
        filename: Option<&'e str> = "filename",
        /// Unix nanoseconds.
        started_at: Option<i64> = "startedAt",
        /// Unix nanoseconds.
        ended_at: Option<i64> = "endedAt",
        /// Nanoseconds.
        duration: Option<i64> = "duration",
        /// Bytes.
        size: Option<i64> = "size",
        /// Where it is.
        location: Option<&'e str> = "location",
    }

    /// A playlist and its segments.
    SegmentsInfo {
        /// Its name in the storage.
        playlist_name: Option<&'e str> = "playlistName",
        /// The name of the live one.
        live_playlist_name: Option<&'e str> = "livePlaylistName",
        /// Nanoseconds.
        duration: Option<i64> = "duration",
        /// Bytes.
        size: Option<i64> = "size",
        /// Where it is.
        playlist_location: Option<&'e str> = "playlistLocation",
        /// Where the live one is.
        live_playlist_location: Option<&'e str> = "livePlaylistLocation",
        /// How many segments.
        segment_count: Option<i64> = "segmentCount",
        /// Unix nanoseconds.
        started_at: Option<i64> = "startedAt",
        /// Unix nanoseconds.
        ended_at: Option<i64> = "endedAt",
    }

    /// Images written.
    ImagesInfo {
        /// What their names begin with.
        filename_prefix: Option<&'e str> = "filenamePrefix",
        /// How many.
        image_count: Option<i64> = "imageCount",
        /// Unix nanoseconds.
        started_at: Option<i64> = "startedAt",
        /// Unix nanoseconds.
        ended_at: Option<i64> = "endedAt",
    }
}

impl EgressInfo<'_> {
    /// Unix milliseconds.
    pub fn started_at_ms(self) -> Option<i64> {
        self.started_at().map(super::ns_to_ms)
    }

    /// Unix milliseconds.
    pub fn ended_at_ms(self) -> Option<i64> {
        self.ended_at().map(super::ns_to_ms)
    }

    /// Unix milliseconds.
    pub fn updated_at_ms(self) -> Option<i64> {
        self.updated_at().map(super::ns_to_ms)
    }
}

impl StreamInfo<'_> {
    /// Milliseconds.
    pub fn duration_ms(self) -> Option<i64> {
        self.duration().map(super::ns_to_ms)
    }
}

impl FileInfo<'_> {
    /// Milliseconds.
    pub fn duration_ms(self) -> Option<i64> {
        self.duration().map(super::ns_to_ms)
    }
}

impl SegmentsInfo<'_> {
    /// Milliseconds.
    pub fn duration_ms(self) -> Option<i64> {
        self.duration().map(super::ns_to_ms)
    }
}

enums! {
    /// Where an egress is in its life.
    EgressStatus {
        /// Not running yet.
        Starting = "EGRESS_STARTING" 0,
        /// Running.
        Active = "EGRESS_ACTIVE" 1,
        /// Finishing.
        Ending = "EGRESS_ENDING" 2,
        /// Done.
        Complete = "EGRESS_COMPLETE" 3,
        /// Failed.
        Failed = "EGRESS_FAILED" 4,
        /// Stopped before it ran.
        Aborted = "EGRESS_ABORTED" 5,
        /// Stopped by a limit.
        LimitReached = "EGRESS_LIMIT_REACHED" 6,
    }

    /// What is recorded.
    EgressSourceType {
        /// A web page.
        Web = "EGRESS_SOURCE_TYPE_WEB" 0,
        /// Tracks.
        Sdk = "EGRESS_SOURCE_TYPE_SDK" 1,
    }

    /// Where a stream is in its life.
    StreamStatus {
        /// Running.
        Active = "ACTIVE" 0,
        /// Done.
        Finished = "FINISHED" 1,
        /// Failed.
        Failed = "FAILED" 2,
    }
}
