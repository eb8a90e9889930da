//! One request to one answer.

use super::body::{self, Received};
use super::rates::Peer;
use super::{Answer, Ingest, Known, OnUnverified, Source};
use crate::metrics::{EventLabel, ReasonLabel, kind_label};
use crate::store::{Appended, Error as StoreError, NewEvent, Quarantined};
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body, Incoming};
use hyper::header::{AUTHORIZATION, CONTENT_ENCODING};
use hyper::{HeaderMap, Method, Request, Response};
use livekit_webhook_core::time::Timestamp;
use livekit_webhook_wire::body_hash::BodyHash;
use livekit_webhook_wire::envelope::Envelope;
use livekit_webhook_wire::verify::{Rejection, Token};
use std::net::SocketAddr;
use tokio::time::Instant;
use tracing::{error, info, warn};

/// Bytes kept of a body that is over the limit. Its signature can no longer be checked, so it must
/// not fill the store.
pub const CUT_BODY_BYTES_KEPT: usize = 64 * 1024;

/// The end of a request.
struct End {
    answer: Answer,
    /// The body was left unread, in part at least.
    unread: bool,
    /// When the last byte that was waited for had arrived.
    arrived: Instant,
}

// === impl Ingest ===

impl Ingest {
    /// Answers one request. Never fails: whatever happens becomes an answer.
    ///
    /// # Cancel safety
    /// Dropped before the store was asked, nothing is kept; dropped after, the event may be kept.
    /// It is never half kept.
    pub(super) async fn receive(
        &self,
        request: Request<Incoming>,
        peer: SocketAddr,
    ) -> Response<Full<Bytes>> {
        let arrived = Instant::now();
        let known = self.senders.current();
        let end = match self.head(&known, &request, peer) {
            Ok(token) => self.body(&known, token, request, peer).await,
            Err(answer) => End { answer, unread: true, arrived },
        };
        self.metrics.answered(end.answer.label(), end.arrived.elapsed());
        end.answer.into_response(end.unread)
    }

    /// Everything that can be told before the first byte of the body. The token of an unverified
    /// request that is to be quarantined is its rejection.
    fn head(
        &self,
        known: &Known,
        request: &Request<Incoming>,
        peer: SocketAddr,
    ) -> Result<Result<Token, Rejection>, Answer> {
        if !matches!(request.uri().path(), "/webhook" | "/webhook/") {
            return Err(Answer::Path);
        }
        if request.method() != Method::POST {
            return Err(Answer::Method);
        }
        if !is_identity(request.headers()) {
            return Err(Answer::Encoding);
        }
        if !self.peer_rates.allows(Peer::of(peer.ip()), self.clock.now()) {
            return Err(self.limited("peer_rate", None, peer));
        }
        let values = request.headers().get_all(AUTHORIZATION);
        let values = values.iter().map(hyper::header::HeaderValue::as_bytes);
        match known.verifier.token(values, self.clock.now().as_secs()) {
            Ok(token) => Ok(Ok(token)),
            Err(Rejection::NoKeys) => Err(Answer::Unavailable("no_keys")),
            Err(rejection) if self.options.on_unverified == OnUnverified::Quarantine => {
                Ok(Err(rejection))
            }
            Err(rejection) => Err(self.refuse(&rejection, peer)),
        }
    }

    async fn body(
        &self,
        known: &Known,
        token: Result<Token, Rejection>,
        request: Request<Incoming>,
        peer: SocketAddr,
    ) -> End {
        let body = request.into_body();
        let mut limit = self.options.body_bytes_max;
        // Declared too large: only its beginning is worth reading. Not declared: the count decides.
        if body.size_hint().lower() > limit as u64 {
            limit = limit.min(CUT_BODY_BYTES_KEPT);
        }
        let read = body::read(body, limit, self.options.body_timeout, &self.body_room);
        let received = match read.await {
            Ok(received) => received,
            Err(error) => {
                let answer = match error {
                    body::Error::Slow => Answer::Slow,
                    body::Error::Broken => Answer::Broken,
                    body::Error::NoRoom => Answer::Unavailable("body_room"),
                };
                warn!(%peer, answer = answer.label(), "the body did not arrive");
                return End { answer, unread: true, arrived: Instant::now() };
            }
        };
        let (unread, arrived) = (received.cut, Instant::now());
        // A durable write is asked for once and awaited with a deadline; giving up on the answer
        // does not undo it.
        let judged = self.judge(known, token, received, peer);
        let answer = tokio::time::timeout(self.options.answer_timeout, judged)
            .await
            .unwrap_or(Answer::Unavailable("deadline"));
        if let Answer::Unavailable(why) = answer {
            warn!(%peer, why, "cannot store now");
        }
        End { answer, unread, arrived }
    }

    async fn judge(
        &self,
        known: &Known,
        token: Result<Token, Rejection>,
        received: Received,
        peer: SocketAddr,
    ) -> Answer {
        let now = self.clock.now();
        let verified = token.and_then(|token| {
            if received.cut {
                return Ok((token, [0; 32]));
            }
            let mut hash = BodyHash::new();
            hash.update(&received.bytes);
            let digest = hash.finish();
            token.check_body(&digest).map(|()| (token, digest))
        });
        let (token, digest) = match verified {
            Ok(verified) => verified,
            Err(rejection) => return self.unverified(&rejection, received, now, peer).await,
        };
        let Some(source) = known.sources.get(&token.api_key) else {
            // The verifier and the sources are built from one list.
            return Answer::Unavailable("no_source");
        };
        if !self.source_rates.allows(source.name.clone(), now) {
            return self.limited("source_rate", Some(source), peer);
        }
        if received.cut {
            warn!(%peer, source = source.name, "the body is over the limit, LiveKit will not send it again");
            return self
                .keep(Some(source), "body_too_large", received, now, Answer::TooLarge)
                .await;
        }
        let envelope = match Envelope::parse(&received.bytes) {
            Ok(envelope) => envelope,
            Err(error) => {
                let code = error.code();
                warn!(%peer, source = source.name, code, %error, "authentic but unusable, quarantined");
                return self.keep(Some(source), code, received, now, Answer::Unusable(code)).await;
            }
        };
        if !source.events.is_empty() && !source.events.iter().any(|g| g.matches(&envelope.event)) {
            return Answer::Filtered;
        }
        self.append(source, token, envelope, received.bytes, digest, now).await
    }

    async fn append(
        &self,
        source: &Source,
        token: Token,
        envelope: Envelope,
        body: Bytes,
        body_sha256: [u8; 32],
        now: Timestamp,
    ) -> Answer {
        let kind = kind_label(&envelope.event);
        let id = self.entropy.event_id(now);
        let event = NewEvent {
            id,
            source: source.name.clone(),
            dedupe_key: envelope.id.unwrap_or_else(|| format!("sha256:{}", hex(&body_sha256))),
            kind: envelope.event,
            room: envelope.room_name,
            lane: envelope.lane,
            created_at: envelope
                .created_at_s
                .map(|s| Timestamp::from_millis(s.saturating_mul(1000))),
            received_at: now,
            api_key: token.api_key,
            body,
            body_sha256,
        };
        match self.store.append(event).await {
            Ok(Appended::Stored) => {
                let source = source.name.clone();
                self.metrics.events.get_or_create(&EventLabel { source, kind }).inc();
                self.bell.ring();
                Answer::Stored
            }
            Ok(Appended::Duplicate { of }) => {
                info!(event_id = %of, source = source.name, "duplicate");
                Answer::Duplicate
            }
            Ok(Appended::Conflict { of }) => {
                warn!(event_id = %id, of = %of, source = source.name, "another body under a known id, kept");
                Answer::Conflict
            }
            Err(error) => self.store_failed(&error),
        }
    }

    async fn unverified(
        &self,
        rejection: &Rejection,
        received: Received,
        now: Timestamp,
        peer: SocketAddr,
    ) -> Answer {
        if self.options.on_unverified == OnUnverified::Reject {
            return self.refuse(rejection, peer);
        }
        // Anybody can send what is not authentic, so there must be an end to keeping it.
        match self.store.depth().await {
            Ok(depth) if depth.quarantined < self.options.quarantine_max => {}
            Ok(_) => return self.refuse(rejection, peer),
            Err(error) => return self.store_failed(&error),
        }
        let reason = rejection.code();
        self.metrics.ingest_refused.get_or_create(&ReasonLabel { reason }).inc();
        // An alert: this mode is for the hours of a key rotation, and somebody has to look.
        error!(%peer, reason, detail = %rejection, "not authentic, quarantined and answered 200");
        self.keep(None, reason, received, now, Answer::QuarantinedUnverified).await
    }

    fn refuse(&self, rejection: &Rejection, peer: SocketAddr) -> Answer {
        let reason = rejection.code();
        self.metrics.ingest_refused.get_or_create(&ReasonLabel { reason }).inc();
        info!(%peer, reason, detail = %rejection, "not authentic");
        Answer::Refused(rejection.public_code())
    }

    fn limited(&self, reason: &'static str, source: Option<&Source>, peer: SocketAddr) -> Answer {
        self.metrics.ingest_limited.get_or_create(&ReasonLabel { reason }).inc();
        let source = source.map(|source| source.name.as_str());
        info!(%peer, source, reason, "over the rate, answered 503");
        Answer::Limited(reason)
    }

    /// Keeps what cannot become an event, then answers `answer`.
    async fn keep(
        &self,
        source: Option<&Source>,
        reason: &'static str,
        received: Received,
        now: Timestamp,
        answer: Answer,
    ) -> Answer {
        let mut body = received.bytes.clone();
        if received.cut {
            body.truncate(CUT_BODY_BYTES_KEPT);
        }
        let item = Quarantined {
            id: self.entropy.event_id(now),
            source: source.map(|source| source.name.clone()),
            reason: reason.to_owned(),
            received_at: now,
            body,
        };
        match self.store.quarantine(item).await {
            Ok(()) => {
                self.metrics.ingest_quarantined.get_or_create(&ReasonLabel { reason }).inc();
                answer
            }
            Err(error) => self.store_failed(&error),
        }
    }

    fn store_failed(&self, error: &StoreError) -> Answer {
        self.metrics.store_errors.inc();
        warn!(error = error as &dyn std::error::Error, "the store failed");
        match error {
            StoreError::Full => Answer::Unavailable("full"),
            _ => Answer::Unavailable("store"),
        }
    }
}

/// LiveKit never compresses; what is encoded cannot be hashed as sent.
fn is_identity(headers: &HeaderMap) -> bool {
    headers
        .get_all(CONTENT_ENCODING)
        .iter()
        .all(|value| value.as_bytes().eq_ignore_ascii_case(b"identity"))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
