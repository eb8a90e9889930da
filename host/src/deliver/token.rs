//! [`Transport`] that fetches OAuth2 tokens and shows them. RFC 6749, section 4.4.
//!
//! Mechanism: a token is fetched over the same transport as deliveries, with its address guard and
//! limits; it is kept until shortly before it expires. One attempt fetches, the others that need
//! the same token wait for it, each within its own deadline. A failure is remembered for a moment,
//! so that those who waited do not ask one after the other.
//!
//! A 401 of the endpoint drops the token, so that the next attempt has a new one. When the new one
//! is refused too, it stays: the token is not what is wrong, and the token endpoint must not be
//! asked at every attempt.

use super::transport::{Answered, Failure, Outgoing, Transport};
use async_trait::async_trait;
use bytes::Bytes;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use hyper::{HeaderMap, Uri};
use livekit_webhook_core::attempt::ErrorClass;
use livekit_webhook_core::endpoint::auth::ClientCredentials;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How long a token is used whose server does not say how long it lives.
const LIFE_DEFAULT: Duration = Duration::from_secs(300);
/// Longest life that is believed.
const LIFE_MAX: Duration = Duration::from_secs(86_400);
/// A token is not used in the last tenth of its life, at most in the last so long.
const MARGIN_MAX: Duration = Duration::from_secs(60);
/// How long a failure is kept for those who need the same token.
const FAILURE_KEPT: Duration = Duration::from_secs(1);
/// Tokens kept at once: as many as there can be endpoints. Past it all are forgotten.
const TOKENS_MAX: usize = 1_000;

/// Deliveries with tokens over another transport.
pub struct TokenTransport<T> {
    inner: T,
    slots: Mutex<HashMap<ClientCredentials, Arc<Slot>>>,
}

/// The token of one set of credentials. Who holds the lock fetches.
#[derive(Default)]
struct Slot(tokio::sync::Mutex<State>);

#[derive(Default)]
struct State {
    token: Option<Token>,
    failure: Option<(Instant, String)>,
    /// The last token was refused by the endpoint, and no other has been taken since.
    is_second_try: bool,
    /// Counts tokens, to tell an answer to an old one from one to the present one.
    serial: u64,
}

#[derive(Clone)]
struct Token {
    authorization: HeaderValue,
    usable_until: Instant,
    serial: u64,
}

// === impl TokenTransport ===

impl<T: Transport> TokenTransport<T> {
    /// Over `inner`.
    pub fn new(inner: T) -> Self {
        Self { inner, slots: Mutex::default() }
    }

    /// What is beneath.
    pub fn inner(&self) -> &T {
        &self.inner
    }

    fn slot(&self, credentials: &ClientCredentials) -> Arc<Slot> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = slots.get(credentials) {
            return slot.clone();
        }
        if slots.len() >= TOKENS_MAX {
            slots.clear();
        }
        let slot = Arc::<Slot>::default();
        slots.insert(credentials.clone(), slot.clone());
        slot
    }

    /// A token to show, the kept one or a new one.
    ///
    /// # Cancel safety
    /// Dropped, the next one who needs it fetches.
    async fn token(
        &self,
        slot: &Slot,
        credentials: &ClientCredentials,
        outgoing: &Outgoing,
        deadline: Instant,
    ) -> Result<Token, Failure> {
        let mut state = slot.0.lock().await;
        let now = Instant::now();
        if let Some(token) = state.token.as_ref().filter(|token| now < token.usable_until) {
            return Ok(token.clone());
        }
        if let Some((at, text)) = &state.failure
            && now.duration_since(*at) < FAILURE_KEPT
        {
            return Err(Failure::new(ErrorClass::Auth, text.clone()));
        }
        state.token = None;
        let asked = asked(credentials, outgoing, deadline.duration_since(now));
        let answered = match asked {
            Ok(asked) => self.inner.send(asked).await,
            Err(failure) => return Err(failure),
        };
        let read = match answered {
            Ok(answered) => read(&answered),
            Err(failure) => Err(failure.text),
        };
        match read {
            Ok((authorization, life)) => {
                state.serial += 1;
                let margin = (life / 10).min(MARGIN_MAX);
                let usable_until = Instant::now() + (life - margin);
                let token = Token { authorization, usable_until, serial: state.serial };
                state.token = Some(token.clone());
                state.failure = None;
                Ok(token)
            }
            Err(why) => {
                let text = format!("no token from {}: {why}", host(credentials));
                state.failure = Some((Instant::now(), text.clone()));
                Err(Failure::new(ErrorClass::Auth, text))
            }
        }
    }
}

#[async_trait]
impl<T: Transport> Transport for TokenTransport<T> {
    async fn send(&self, mut outgoing: Outgoing) -> Result<Answered, Failure> {
        let Some(credentials) = outgoing.credentials.take() else {
            return self.inner.send(outgoing).await;
        };
        let began = Instant::now();
        let deadline = began + outgoing.timeout;
        let slot = self.slot(&credentials);
        let token = self.token(&slot, &credentials, &outgoing, deadline);
        let token = match tokio::time::timeout_at(deadline, token).await {
            Ok(token) => token?,
            Err(_) => {
                let host = host(&credentials);
                let text = format!("no token from {host}: not within the attempt's time");
                return Err(Failure::new(ErrorClass::Auth, text));
            }
        };
        outgoing.headers.insert(AUTHORIZATION, token.authorization.clone());
        outgoing.timeout = deadline.saturating_duration_since(Instant::now());
        let mut answered = self.inner.send(outgoing).await?;
        let mut state = slot.0.lock().await;
        if state.serial == token.serial {
            let refused = answered.status == 401;
            if refused && !state.is_second_try && state.token.take().is_some() {
                answered.token_dropped = true;
            }
            state.is_second_try = refused;
        }
        Ok(answered)
    }
}

/// Who was asked, for the attempt log: neither path nor query.
fn host(credentials: &ClientCredentials) -> String {
    credentials.token_url().authority()
}

/// The request for a token, with the TLS identity of the endpoint it is for.
fn asked(
    credentials: &ClientCredentials,
    outgoing: &Outgoing,
    timeout: Duration,
) -> Result<Outgoing, Failure> {
    let unusable = || Failure::new(ErrorClass::Auth, "the token request cannot be sent");
    let request = credentials.request();
    let mut headers = HeaderMap::new();
    let form = HeaderValue::from_static("application/x-www-form-urlencoded");
    headers.insert(CONTENT_TYPE, form);
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    if let Some(authorization) = request.authorization {
        let mut value = HeaderValue::try_from(authorization).map_err(|_| unusable())?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    let url: Uri = credentials.token_url().to_string().parse().map_err(|_| unusable())?;
    let body = Bytes::from(request.body);
    Ok(Outgoing { url, headers, body, timeout, tls: outgoing.tls.clone(), credentials: None })
}

/// The token and its life. RFC 6749, sections 5.1 and 5.2. Says nothing of an answer's own text but
/// the error's word, which the RFC lists.
fn read(answered: &Answered) -> Result<(HeaderValue, Duration), String> {
    let json: Option<Value> = serde_json::from_slice(&answered.body_start).ok();
    let text = |name: &str| json.as_ref().and_then(|json| json.get(name)).and_then(Value::as_str);
    if !(200..300).contains(&answered.status) {
        let word = text("error").filter(|word| is_word(word));
        let word = word.map(|word| format!(" ({word})")).unwrap_or_default();
        return Err(format!("status {}{word}", answered.status));
    }
    let token = text("access_token").ok_or("the answer holds no access_token")?;
    if !text("token_type").is_some_and(|kind| kind.eq_ignore_ascii_case("bearer")) {
        return Err("the token_type is not Bearer".to_owned());
    }
    let unusable = "the access_token cannot be sent in a header";
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(unusable.to_owned());
    }
    let mut value = HeaderValue::try_from(format!("Bearer {token}")).map_err(|_| unusable)?;
    value.set_sensitive(true);
    let life_s = json.as_ref().and_then(|json| json.get("expires_in")).and_then(seconds);
    let life = life_s.map_or(LIFE_DEFAULT, Duration::from_secs);
    Ok((value, life.min(LIFE_MAX)))
}

/// Some servers send the number as a string.
fn seconds(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

fn is_word(word: &str) -> bool {
    (1..=64).contains(&word.len()) && word.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'_'))
}

#[cfg(test)]
mod tests;
