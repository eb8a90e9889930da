//! Making, replacing and withdrawing secrets in the store.
//!
//! A new secret is written before the old ones are given their end, so that a crash in between
//! leaves more live secrets and never none.

use super::Vault;
use crate::entropy::{Entropy, unguessable};
use crate::store::{self, Recorded, SealedSecret, Store};
use livekit_webhook_core::id::SecretId;
use livekit_webhook_core::signature::{SECRETS_MAX, StandardSecret};
use livekit_webhook_core::time::Timestamp;

/// Longest overlap of an old and a new secret, in milliseconds: 7 days.
pub const OVERLAP_MS_MAX: i64 = 7 * 24 * 3_600_000;
/// Overlap unless given: 24 hours.
pub const OVERLAP_MS_DEFAULT: i64 = 24 * 3_600_000;

/// What kind of secret is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `whsec_…`: both sides have it.
    Shared,
    /// `whsk_…`: receivers have the public half.
    Ed25519,
}

/// A rotation that took place.
#[derive(Clone, Debug)]
pub struct Rotated {
    /// Of the new secret.
    pub id: SecretId,
    /// To be shown once.
    pub secret: StandardSecret,
    /// Older secrets and when they stop to sign.
    pub retired: Vec<(SecretId, Timestamp)>,
}

/// Why nothing was rotated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The store's.
    #[error("the store did not do it")]
    Store(#[from] store::Error),
    /// The vault's.
    #[error(transparent)]
    Vault(#[from] super::Error),
    /// Too many at once.
    #[error(
        "{SECRETS_MAX} secrets of {0} are live already: revoke one (`secret list`, `secret revoke ID`), or give --overlap 0s to withdraw all of them"
    )]
    TooMany(String),
    /// Longer than a rotation should take.
    #[error("an overlap of {0} ms: must be 0 to {OVERLAP_MS_MAX} ms (7 days)")]
    Overlap(i64),
    /// No such id.
    #[error("there is no secret {0}: `livekit-webhook secret list` shows those there are")]
    Unknown(SecretId),
}

/// Makes a new secret for `endpoint`; the others that are live sign for `overlap_ms` longer, or no
/// more when that is 0.
///
/// # Errors
/// [`Error`].
pub async fn rotate(
    store: &dyn Store,
    vault: &Vault,
    entropy: &Entropy,
    now: Timestamp,
    endpoint: &str,
    overlap_ms: i64,
    kind: Kind,
) -> Result<Rotated, Error> {
    if !(0..=OVERLAP_MS_MAX).contains(&overlap_ms) {
        return Err(Error::Overlap(overlap_ms));
    }
    let rows = store.secrets().await?;
    let own: Vec<SealedSecret> = rows.into_iter().filter(|row| row.endpoint == endpoint).collect();
    let (live, over): (Vec<_>, Vec<_>) = own.into_iter().partition(|row| is_live(row, now));
    if overlap_ms > 0 && live.len() >= SECRETS_MAX {
        return Err(Error::TooMany(endpoint.to_owned()));
    }
    let random = unguessable().map_err(super::Error::Entropy)?;
    let secret = match kind {
        Kind::Shared => StandardSecret::generate(random),
        Kind::Ed25519 => StandardSecret::generate_ed25519(random),
    };
    let id = entropy.secret_id(now);
    let (key_id, sealed) = vault.seal(endpoint, id, &secret)?;
    let endpoint = endpoint.to_owned();
    let row = SealedSecret { id, endpoint, key_id, sealed, created_at: now, expires_at: None };
    store.put_secret(row).await?;
    let end = now.plus_millis(overlap_ms);
    let mut retired = Vec::with_capacity(live.len());
    for mut row in live {
        let expires_at = row.expires_at.map_or(end, |earlier| earlier.min(end));
        retired.push((row.id, expires_at));
        if overlap_ms == 0 {
            store.remove_secret(row.id).await?;
        } else if row.expires_at != Some(expires_at) {
            row.expires_at = Some(expires_at);
            store.put_secret(row).await?;
        }
    }
    // What signs no more is of no use to anybody but a thief.
    for row in over {
        store.remove_secret(row.id).await?;
    }
    Ok(Rotated { id, secret, retired })
}

/// Withdraws a secret at once. Tells its endpoint, and how many live secrets that has left.
///
/// # Errors
/// [`Error::Unknown`], the store's.
pub async fn revoke(
    store: &dyn Store,
    now: Timestamp,
    id: SecretId,
) -> Result<(String, usize), Error> {
    let rows = store.secrets().await?;
    let row = rows.iter().find(|row| row.id == id).ok_or(Error::Unknown(id))?;
    if store.remove_secret(id).await? == Recorded::Stale {
        return Err(Error::Unknown(id));
    }
    let others = rows.iter().filter(|other| other.endpoint == row.endpoint && other.id != id);
    Ok((row.endpoint.clone(), others.filter(|other| is_live(other, now)).count()))
}

/// Seals everything under the vault's first key that is under another. Tells how many that were;
/// afterwards the other keys can go. Can be repeated after an interruption.
///
/// # Errors
/// [`Error::Vault`] for the first that does not open; those before it are done.
pub async fn reseal(store: &dyn Store, vault: &Vault) -> Result<usize, Error> {
    let first = vault.keys().first().ok_or(super::Error::NoKey)?;
    let mut count = 0;
    for mut row in store.secrets().await? {
        if row.key_id == first.id() {
            continue;
        }
        let secret = vault.open(&row)?;
        (row.key_id, row.sealed) = vault.seal(&row.endpoint, row.id, &secret)?;
        store.put_secret(row).await?;
        count += 1;
    }
    Ok(count)
}

/// Whether it signs at `now`.
pub fn is_live(row: &SealedSecret, now: Timestamp) -> bool {
    row.expires_at.is_none_or(|expires_at| expires_at > now)
}
