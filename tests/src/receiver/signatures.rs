//! What a receiver checks, written for itself and not with the gateway's own signing code.

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use livekit_webhook_wire::keys::KeyRing;
use livekit_webhook_wire::verify::{Rules, Token, Verifier};
use sha2::Sha256;

use super::Seen;

/// Most seconds between `webhook-timestamp` and now; Standard Webhooks, "Verifying webhook
/// authenticity".
const TOLERANCE_S: i64 = 300;

// === impl Seen ===

impl Seen {
    /// A header's text, when it is there once.
    ///
    /// # Errors
    /// When it is absent, there twice, or no text.
    pub fn header(&self, name: &str) -> anyhow::Result<&str> {
        let mut values = self.headers.get_all(name).iter();
        let value = values.next().with_context(|| format!("no `{name}`"))?;
        anyhow::ensure!(values.next().is_none(), "`{name}` is there twice");
        value.to_str().with_context(|| format!("`{name}` is no text"))
    }

    /// Standard Webhooks, symmetric signatures (`v1`): `secret` is `whsec_` and base64. One
    /// matching signature of several is enough, as in a rotation.
    ///
    /// # Errors
    /// What does not fit.
    pub fn verify_standard(&self, secret: &str, now_s: i64) -> anyhow::Result<()> {
        let key = secret.strip_prefix("whsec_").context("a secret begins with `whsec_`")?;
        let key = STANDARD.decode(key).map_err(|error| anyhow::anyhow!("the secret: {error}"))?;
        let id = self.header("webhook-id")?;
        let timestamp = self.header("webhook-timestamp")?;
        let age_s = now_s - timestamp.parse::<i64>().context("webhook-timestamp")?;
        anyhow::ensure!(age_s.abs() <= TOLERANCE_S, "signed {age_s} s ago");
        let mut mac = Hmac::<Sha256>::new_from_slice(&key)?;
        mac.update(format!("{id}.{timestamp}.").as_bytes());
        mac.update(&self.body);
        let expected = STANDARD.encode(mac.finalize().into_bytes());
        let signatures = self.header("webhook-signature")?;
        let mut found = signatures.split(' ').filter_map(|one| one.strip_prefix("v1,"));
        anyhow::ensure!(found.any(|one| one == expected), "no v1 signature fits: {signatures}");
        Ok(())
    }

    /// LiveKit's own form, as its SDKs check it: the raw token, its life, and the hash of the body.
    ///
    /// # Errors
    /// What does not fit.
    pub fn verify_livekit(&self, api_key: &str, secret: &str, now_s: i64) -> anyhow::Result<Token> {
        let mut keys = KeyRing::new();
        keys.insert(api_key, secret.as_bytes())?;
        let verifier = Verifier::new(keys, Rules::default());
        let values = self.headers.get_all("authorization");
        let values = values.iter().map(hyper::header::HeaderValue::as_bytes);
        Ok(verifier.verify(values, &self.body, now_s)?)
    }
}
