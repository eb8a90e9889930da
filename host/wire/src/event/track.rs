//! Tracks.

use super::room::TimedVersion;
use super::view::{Items, Open, enums, messages};

messages! {
    /// A track.
    TrackInfo {
        /// `TR_…`.
        sid: Option<&'e str> = "sid",
        /// Absent: audio. See also [`TrackInfo::kind`].
        r#type: Open<'e, TrackType> = "type",
        /// Chosen by the publisher.
        name: Option<&'e str> = "name",
        /// Whether it is silent or dark for now.
        muted: bool = "muted",
        /// Pixels; absent for audio.
        width: Option<u32> = "width",
        /// Pixels; absent for audio.
        height: Option<u32> = "height",
        /// Whether it comes in several qualities.
        simulcast: bool = "simulcast",
        /// Whether silence is sent in full.
        disable_dtx: bool = "disableDtx",
        /// Absent: unknown.
        source: Open<'e, TrackSource> = "source",
        /// Its qualities.
        layers: Items<'e, VideoLayer<'e>> = "layers",
        /// `video/VP8` and the like.
        mime_type: Option<&'e str> = "mimeType",
        /// Its place in the SDP.
        mid: Option<&'e str> = "mid",
        /// What it is encoded with.
        codecs: Items<'e, SimulcastCodecInfo<'e>> = "codecs",
        /// Two channels.
        stereo: bool = "stereo",
        /// Without redundant encoding.
        disable_red: bool = "disableRed",
        /// Absent: none.
        encryption: Open<'e, Encryption> = "encryption",
        /// The media stream it belongs to.
        stream: Option<&'e str> = "stream",
        /// Orders states of one track.
        version: Option<TimedVersion<'e>> = "version",
        /// How its audio is made.
        audio_features: Items<'e, Open<'e, AudioTrackFeature>> = "audioFeatures",
        /// Absent: prefer regression.
        backup_codec_policy: Open<'e, BackupCodecPolicy> = "backupCodecPolicy",
    }

    /// One quality of a track.
    VideoLayer {
        /// Absent: low.
        quality: Open<'e, VideoQuality> = "quality",
        /// Pixels.
        width: Option<u32> = "width",
        /// Pixels.
        height: Option<u32> = "height",
        /// Bits per second wanted.
        bitrate: Option<u32> = "bitrate",
        /// RTP's source number.
        ssrc: Option<u32> = "ssrc",
        /// Counted from 0.
        spatial_layer: Option<i32> = "spatialLayer",
        /// RTP's stream id.
        rid: Option<&'e str> = "rid",
        /// RTP's source number of repairs.
        repair_ssrc: Option<u32> = "repairSsrc",
    }

    /// One encoding of a track.
    SimulcastCodecInfo {
        /// `video/VP8` and the like.
        mime_type: Option<&'e str> = "mimeType",
        /// Its place in the SDP.
        mid: Option<&'e str> = "mid",
        /// The client's id of it.
        cid: Option<&'e str> = "cid",
        /// Its qualities.
        layers: Items<'e, VideoLayer<'e>> = "layers",
        /// How layers and streams relate.
        video_layer_mode: Open<'e, VideoLayerMode> = "videoLayerMode",
        /// The client's id of it in the SDP, where it differs.
        sdp_cid: Option<&'e str> = "sdpCid",
    }
}

impl<'e> TrackInfo<'e> {
    /// Audio, video or data; audio when absent, as LiveKit leaves it out.
    pub fn kind(self) -> Open<'e, TrackType> {
        self.r#type()
    }
}

enums! {
    /// What a track carries.
    TrackType {
        /// Sound.
        Audio = "AUDIO" 0,
        /// Pictures.
        Video = "VIDEO" 1,
        /// Data.
        Data = "DATA" 2,
    }

    /// What made a track.
    TrackSource {
        /// Not told.
        Unknown = "UNKNOWN" 0,
        /// A camera.
        Camera = "CAMERA" 1,
        /// A microphone.
        Microphone = "MICROPHONE" 2,
        /// A screen.
        ScreenShare = "SCREEN_SHARE" 3,
        /// A screen's sound.
        ScreenShareAudio = "SCREEN_SHARE_AUDIO" 4,
    }

    /// How media is encrypted end to end.
    Encryption {
        /// Not at all.
        None = "NONE" 0,
        /// AES-GCM.
        Gcm = "GCM" 1,
        /// By the application.
        Custom = "CUSTOM" 2,
    }

    /// How good a layer is.
    VideoQuality {
        /// Low.
        Low = "LOW" 0,
        /// Medium.
        Medium = "MEDIUM" 1,
        /// High.
        High = "HIGH" 2,
        /// Not sent.
        Off = "OFF" 3,
    }

    /// How layers and streams relate.
    VideoLayerMode {
        /// Not told.
        Unused = "MODE_UNUSED" 0,
        /// Each layer in a stream of its own.
        OnePerStream = "ONE_SPATIAL_LAYER_PER_STREAM" 1,
        /// All layers in one stream.
        MultiplePerStream = "MULTIPLE_SPATIAL_LAYERS_PER_STREAM" 2,
        /// As the first, with incomplete sender reports.
        OnePerStreamIncompleteRtcpSr = "ONE_SPATIAL_LAYER_PER_STREAM_INCOMPLETE_RTCP_SR" 3,
    }

    /// How audio is made.
    AudioTrackFeature {
        /// Two channels.
        Stereo = "TF_STEREO" 0,
        /// Silence is sent in full.
        NoDtx = "TF_NO_DTX" 1,
        /// Gain is controlled.
        AutoGainControl = "TF_AUTO_GAIN_CONTROL" 2,
        /// Echo is cancelled.
        EchoCancellation = "TF_ECHO_CANCELLATION" 3,
        /// Noise is suppressed.
        NoiseSuppression = "TF_NOISE_SUPPRESSION" 4,
        /// Noise is cancelled by a model.
        EnhancedNoiseCancellation = "TF_ENHANCED_NOISE_CANCELLATION" 5,
        /// What was said before connecting is sent too.
        PreconnectBuffer = "TF_PRECONNECT_BUFFER" 6,
    }

    /// When a second codec is used.
    BackupCodecPolicy {
        /// For all, where possible.
        PreferRegression = "PREFER_REGRESSION" 0,
        /// Beside the first.
        Simulcast = "SIMULCAST" 1,
        /// For all.
        Regression = "REGRESSION" 2,
    }
}
