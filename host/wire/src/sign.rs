//! What LiveKit does when it sends: the token over a body. For `send`, for LiveKit-mode deliveries,
//! for tests.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{KeyInit, Mac};

use crate::body_hash::BodyHash;
use crate::keys::HmacSha256;

/// How long LiveKit's own tokens live, in seconds.
pub const TOKEN_LIFETIME_S: i64 = 300;

/// `{"alg":"HS256","typ":"JWT"}`, the header LiveKit's servers write.
#[doc(hidden)]
pub const HEADER: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9";

/// The value of `Authorization` for `body`: an HS256 JWT with `iss`, `nbf`, `iat`, `exp` and
/// `sha256`, no scheme.
///
/// An empty secret is not refused here: whoever holds keys parses them first
/// ([`crate::keys::KeyRing::insert`]).
pub fn authorization(api_key: &str, secret: &[u8], body: &[u8], now_s: i64) -> String {
    let issuer = serde_json::Value::from(api_key);
    let expires_at_s = now_s.saturating_add(TOKEN_LIFETIME_S);
    let sha256 = STANDARD.encode(BodyHash::of(body));
    let claims = format!(
        r#"{{"iss":{issuer},"exp":{expires_at_s},"nbf":{now_s},"iat":{now_s},"sha256":"{sha256}"}}"#
    );
    signed(secret, HEADER, &claims)
}

/// The compact form of `claims` under `header`, which is encoded already. For tests and fuzzers,
/// which sign what LiveKit never would.
#[doc(hidden)]
pub fn signed(secret: &[u8], header: &str, claims: &str) -> String {
    let mut token = format!("{header}.");
    URL_SAFE_NO_PAD.encode_string(claims, &mut token);
    // HMAC takes keys of any length, so this cannot fail; an empty signature would verify nowhere.
    let mac = HmacSha256::new_from_slice(secret).map(|mac| mac.chain_update(&token).finalize());
    token.push('.');
    if let Ok(mac) = mac {
        URL_SAFE_NO_PAD.encode_string(mac.into_bytes(), &mut token);
    }
    token
}
