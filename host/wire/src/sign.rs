//! Tokens: what LiveKit does when it sends, over a body, for `send`, for LiveKit-mode deliveries and
//! for tests; and what its server API takes.

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

/// What a token for LiveKit's server API allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grant<'a> {
    /// To list rooms.
    RoomList,
    /// To look into this room.
    RoomAdmin(&'a str),
    /// To list egresses.
    RoomRecord,
}

/// A token for LiveKit's server API, an HS256 JWT that begins at `now_s` and lives for `lifetime_s`.
/// It goes behind `Bearer`.
pub fn access_token(
    api_key: &str,
    secret: &[u8],
    grant: Grant<'_>,
    now_s: i64,
    lifetime_s: i64,
) -> String {
    let issuer = serde_json::Value::from(api_key);
    let expires_at_s = now_s.saturating_add(lifetime_s);
    let video = match grant {
        Grant::RoomList => serde_json::json!({ "roomList": true }),
        Grant::RoomAdmin(room) => serde_json::json!({ "roomAdmin": true, "room": room }),
        Grant::RoomRecord => serde_json::json!({ "roomRecord": true }),
    };
    let claims =
        format!(r#"{{"iss":{issuer},"exp":{expires_at_s},"nbf":{now_s},"video":{video}}}"#);
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
