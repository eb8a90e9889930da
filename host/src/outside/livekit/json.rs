//! LiveKit's messages as JSON in the shape of webhook bodies: lowerCamelCase, zero values absent,
//! 64-bit integers as text.
//!
//! What this build's protocol does not know is left out: fields, and values of enumerations, which
//! then look like their zero values. `turnPassword` is left out too: an enriched event has no use for
//! it.

use super::unavailable;
use crate::plugin::outside::LiveKitError;
use livekit_protocol as proto;
use serde::Serialize;

pub fn room(mut room: proto::Room) -> Result<Vec<u8>, LiveKitError> {
    room.turn_password.clear();
    text(&room)
}

pub fn participant(mut participant: proto::ParticipantInfo) -> Result<Vec<u8>, LiveKitError> {
    use proto::participant_info::{Kind, KindDetail, State};
    known::<State>(&mut participant.state);
    known::<Kind>(&mut participant.kind);
    known::<proto::DisconnectReason>(&mut participant.disconnect_reason);
    all_known::<KindDetail>(&mut participant.kind_details);
    all_known::<proto::client_info::Capability>(&mut participant.capabilities);
    if let Some(permission) = &mut participant.permission {
        all_known::<proto::TrackSource>(&mut permission.can_publish_sources);
    }
    participant.tracks.iter_mut().for_each(track);
    // Tracks of data are described in ways of their own; without them when they are too new.
    text(&participant).or_else(|_| {
        participant.data_tracks.clear();
        text(&participant)
    })
}

pub fn egress(mut egress: proto::EgressInfo) -> Result<Vec<u8>, LiveKitError> {
    known::<proto::EgressSourceType>(&mut egress.source_type);
    known::<proto::EgressStatus>(&mut egress.status);
    for stream in &mut egress.stream_results {
        known::<proto::stream_info::Status>(&mut stream.status);
    }
    // The request is as large as all the rest; without it when something in it is too new.
    text(&egress).or_else(|_| {
        egress.request = None;
        egress.result = None;
        text(&egress)
    })
}

/// A JSON array.
pub fn list<T>(
    items: Vec<T>,
    one: impl Fn(T) -> Result<Vec<u8>, LiveKitError>,
) -> Result<Vec<u8>, LiveKitError> {
    let items: Vec<Vec<u8>> = items.into_iter().map(one).collect::<Result<_, _>>()?;
    let mut all = b"[".to_vec();
    all.extend(items.join(&b","[..]));
    all.push(b']');
    Ok(all)
}

#[expect(deprecated, reason = "older servers still send layers there")]
fn track(track: &mut proto::TrackInfo) {
    known::<proto::TrackType>(&mut track.r#type);
    known::<proto::TrackSource>(&mut track.source);
    known::<proto::encryption::Type>(&mut track.encryption);
    known::<proto::BackupCodecPolicy>(&mut track.backup_codec_policy);
    all_known::<proto::AudioTrackFeature>(&mut track.audio_features);
    all_known::<proto::PacketTrailerFeature>(&mut track.packet_trailer_features);
    track.layers.iter_mut().for_each(layer);
    for codec in &mut track.codecs {
        known::<proto::video_layer::Mode>(&mut codec.video_layer_mode);
        codec.layers.iter_mut().for_each(layer);
    }
}

fn layer(layer: &mut proto::VideoLayer) {
    known::<proto::VideoQuality>(&mut layer.quality);
}

/// Zero for what this build has no name for.
fn known<E: TryFrom<i32>>(value: &mut i32) {
    if E::try_from(*value).is_err() {
        *value = 0;
    }
}

fn all_known<E: TryFrom<i32>>(values: &mut Vec<i32>) {
    values.retain(|value| E::try_from(*value).is_ok());
}

fn text(message: &impl Serialize) -> Result<Vec<u8>, LiveKitError> {
    serde_json::to_vec(message)
        .map_err(|_| unavailable("its answer has something this gateway does not know"))
}
