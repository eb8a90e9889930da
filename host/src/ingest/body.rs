//! Reads a body within its limits: bytes of one request, bytes of all requests, time.

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// One permit of the room for bodies, in bytes.
const PERMIT_BYTES: usize = 16 * 1024;

/// Permits that stand for `bytes`.
pub fn permits(bytes: usize) -> usize {
    bytes.div_ceil(PERMIT_BYTES).clamp(1, Semaphore::MAX_PERMITS)
}

/// A body, with its share of the room until it is dropped.
pub struct Received {
    /// All bytes, or the first `limit` of them.
    pub bytes: Bytes,
    /// The body went on after `limit`.
    pub cut: bool,
    _room: Option<OwnedSemaphorePermit>,
}

/// Why there is no body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// Too slow.
    Slow,
    /// Broke off, or badly framed.
    Broken,
    /// No room for it now.
    NoRoom,
}

/// Reads until the end, `limit` bytes or `timeout`, whichever comes first.
pub async fn read(
    body: Incoming,
    limit: usize,
    timeout: Duration,
    room: &Arc<Semaphore>,
) -> Result<Received, Error> {
    tokio::time::timeout(timeout, collect(body, limit, room)).await.unwrap_or(Err(Error::Slow))
}

async fn collect(
    mut body: Incoming,
    limit: usize,
    room: &Arc<Semaphore>,
) -> Result<Received, Error> {
    let expected = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX).min(limit);
    let mut bytes = BytesMut::new();
    let mut share = None;
    let mut single = None;
    take_room(room, &mut share, expected)?;
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| Error::Broken)?.into_data() else { continue };
        let place = limit - bytes.len() - single.as_ref().map_or(0, Bytes::len);
        if data.len() > place {
            bytes.extend_from_slice(&single.take().unwrap_or_default());
            bytes.extend_from_slice(data.get(..place).unwrap_or_default());
            return Ok(Received { bytes: bytes.freeze(), cut: true, _room: share });
        }
        // Most events come in one frame: it is kept as it is, without a copy.
        if bytes.is_empty() && single.is_none() {
            take_room(room, &mut share, data.len())?;
            single = Some(data);
            continue;
        }
        if let Some(first) = single.take() {
            bytes.reserve(expected.max(first.len() + data.len()));
            bytes.extend_from_slice(&first);
        }
        take_room(room, &mut share, bytes.len() + data.len())?;
        bytes.extend_from_slice(&data);
    }
    let bytes = single.unwrap_or_else(|| bytes.freeze());
    Ok(Received { bytes, cut: false, _room: share })
}

/// Makes `share` stand for at least `bytes`. Does not wait: full means an answer.
fn take_room(
    room: &Arc<Semaphore>,
    share: &mut Option<OwnedSemaphorePermit>,
    bytes: usize,
) -> Result<(), Error> {
    let have = share.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
    let more = permits(bytes).saturating_sub(have);
    if more == 0 {
        return Ok(());
    }
    let more = u32::try_from(more).map_err(|_| Error::NoRoom)?;
    let permit = room.clone().try_acquire_many_owned(more).map_err(|_| Error::NoRoom)?;
    match share {
        Some(share) => share.merge(permit),
        None => *share = Some(permit),
    }
    Ok(())
}
