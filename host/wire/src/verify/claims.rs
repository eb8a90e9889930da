//! The claims LiveKit sends, and those that must not be there.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{Part, Rejection, Rules};
use crate::json::{self, Value};

/// Characters of 32 bytes in padded base64.
const SHA256_CHARS: usize = 44;

/// The claims we look at, as found. Which of them may be looked at when is the caller's business.
#[derive(Default)]
pub(super) struct Claims<'a> {
    iss: Option<Value<'a>>,
    exp: Option<Value<'a>>,
    nbf: Option<Value<'a>>,
    iat: Option<Value<'a>>,
    aud: Option<Value<'a>>,
    sub: Option<Value<'a>>,
    jti: Option<Value<'a>>,
    sha256: Option<Value<'a>>,
}

/// Times that passed.
pub(super) struct Times {
    pub(super) expires_at_s: i64,
    pub(super) issued_at_s: Option<i64>,
}

impl<'a> Claims<'a> {
    /// Reads the decoded second part.
    pub(super) fn parse(payload: &'a [u8]) -> Result<Self, Rejection> {
        let mut claims = Self::default();
        let read = json::document(payload, |reader, name| {
            let value = reader.value()?;
            let place = match name {
                b"iss" => &mut claims.iss,
                b"exp" => &mut claims.exp,
                b"nbf" => &mut claims.nbf,
                b"iat" => &mut claims.iat,
                b"aud" => &mut claims.aud,
                b"sub" => &mut claims.sub,
                b"jti" => &mut claims.jti,
                b"sha256" => &mut claims.sha256,
                _ => return Ok(()),
            };
            *place = Some(value);
            Ok(())
        });
        read.map_err(|source| Rejection::Json { part: Part::Payload, source })?;
        Ok(claims)
    }

    /// The key the token says it is signed with: the one claim that counts before the HMAC.
    pub(super) fn issuer(&self) -> Result<Cow<'a, str>, Rejection> {
        match self.iss {
            Some(Value::Text(iss)) if !iss.is_empty() => Ok(iss.text()),
            _ => Err(Rejection::IssMissing),
        }
    }

    /// `exp`, `nbf`, `iat` against `now_s`.
    pub(super) fn times(&self, rules: &Rules, now_s: i64) -> Result<Times, Rejection> {
        let leeway_s = rules.leeway_s;
        let leeway = i64::from(leeway_s);
        let Some(Value::Integer(expires_at_s)) = self.exp else {
            return Err(Rejection::ExpMissing);
        };
        if now_s >= expires_at_s.saturating_add(leeway) {
            let ago_s = now_s.saturating_sub(expires_at_s);
            return Err(Rejection::Expired { ago_s, leeway_s });
        }
        for (claim, value) in [("nbf", self.nbf), ("iat", self.iat)] {
            match value {
                None => {}
                Some(Value::Integer(at_s)) if at_s > now_s.saturating_add(leeway) => {
                    let ahead_s = at_s.saturating_sub(now_s);
                    return Err(Rejection::NotYetValid { claim, ahead_s, leeway_s });
                }
                Some(Value::Integer(_)) => {}
                Some(_) => {
                    return Err(Rejection::ClaimType { claim, expected: "an integer" });
                }
            }
        }
        let issued_at_s = match (self.iat, self.nbf) {
            (Some(Value::Integer(at_s)), _) | (_, Some(Value::Integer(at_s))) => Some(at_s),
            _ => None,
        };
        if rules.token_age_max_s > 0 {
            let max_s = i64::from(rules.token_age_max_s) + leeway;
            let age_s = now_s.saturating_sub(issued_at_s.ok_or(Rejection::IssuedMissing)?);
            if age_s > max_s {
                return Err(Rejection::TooOld { age_s, max_s });
            }
        }
        Ok(Times { expires_at_s, issued_at_s })
    }

    /// Claims LiveKit's webhooks do not carry: `aud` must be absent, `sub` and `jti` strings if
    /// anything.
    pub(super) fn check_strangers(&self) -> Result<(), Rejection> {
        if self.aud.is_some() {
            return Err(Rejection::Audience);
        }
        for (claim, value) in [("sub", self.sub), ("jti", self.jti)] {
            if !matches!(value, None | Some(Value::Text(_))) {
                return Err(Rejection::ClaimType { claim, expected: "a string" });
            }
        }
        Ok(())
    }

    /// What the body must hash to.
    pub(super) fn body_sha256(&self) -> Result<[u8; 32], Rejection> {
        let text = match self.sha256 {
            None => return Err(Rejection::ShaMissing),
            Some(Value::Text(text)) => text.bytes(),
            Some(_) => return Err(Rejection::ShaMalformed),
        };
        if text.len() != SHA256_CHARS {
            return Err(Rejection::ShaMalformed);
        }
        // Decoding may ask for room for 33 bytes before it has seen the padding.
        let mut buffer = [0; 33];
        let bytes = STANDARD.decode_slice(&text, &mut buffer).ok();
        let bytes = bytes.and_then(|bytes| buffer.get(..bytes)?.try_into().ok());
        bytes.ok_or(Rejection::ShaMalformed)
    }
}
