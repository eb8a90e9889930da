//! `livekit-webhook verify`.
