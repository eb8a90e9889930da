//! What to do with one request, as a pure state machine.
//!
//! Cast: the [`Policy`] is what the operator wants, shared by all requests of a worker. A
//! [`Decision`] is one request: it is told the [`Head`], how much of the body has come, and the
//! whole body at its end, and answers each with an [`Action`]. No clock, no proxy: `now_s` is an
//! argument, and who calls is `request.rs`, a test, or later another shell.
//!
//! Mechanism: the head is judged first, cheapest check first, so that only a request whose token
//! has passed may occupy a buffer. Pieces of the body are only counted; the body is hashed and
//! read once, when it is whole, however it ended: with the head, with data, or with trailers.
//!
//! Guarantee: [`Action::Forward`] is given at most once, and only for a body that hashes to what
//! its token says. An authentic body that cannot be read is forwarded, never dropped: the host
//! keeps it in quarantine.
//! Non-guarantee: a captured request is forwarded as often as it is sent until its token expires.
//! The host ends that by the event's id.

use livekit_webhook_wire::body_hash::BodyHash;
use livekit_webhook_wire::envelope::Envelope;
use livekit_webhook_wire::glob::Glob;
use livekit_webhook_wire::verify::{Rejection, Token, Verifier};

use crate::answer::Refusal;

/// What the operator wants of every request.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Keys and rules.
    pub verifier: Verifier,
    /// Largest body, in bytes.
    pub body_bytes_max: usize,
    /// Whether the head waits with the body. When false, the head leaves before the body is known.
    pub hold_headers: bool,
    /// Which events go to the host.
    pub events: Events,
}

/// Which events go to the host.
#[derive(Clone, Debug)]
pub struct Events {
    /// Fits at least one of these.
    pub include: Vec<Glob>,
    /// And none of these.
    pub exclude: Vec<Glob>,
    /// What becomes of the others.
    pub on_filtered: OnFiltered,
}

/// What becomes of an event that the lists leave out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFiltered {
    /// Answer 200 here; the host never sees it.
    Ack,
    /// Forward it with a mark.
    Pass,
}

/// What the head says. Values are bytes as received, repeated headers are repeated here.
#[derive(Clone, Debug, Default)]
pub struct Head<'a> {
    /// `:method`.
    pub method: &'a [u8],
    /// Each `Authorization`.
    pub authorization: Vec<&'a [u8]>,
    /// Each `Content-Encoding`.
    pub content_encoding: Vec<&'a [u8]>,
    /// `Content-Length`, the first.
    pub content_length: Option<&'a [u8]>,
}

/// What the caller is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Nothing more: let this part of the request on.
    Continue,
    /// Keep what came and wait for the rest.
    Hold,
    /// Verified: let the whole request on with these facts.
    Forward(Box<Facts>),
    /// Answer 200 here: verified, and not wanted.
    Ack(Box<Facts>),
    /// Answer with a problem.
    Refuse(Refusal),
}

/// What the verdict is based on, for headers, metrics and logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The key that signed.
    pub api_key: String,
    /// What the body says; `None` when it is authentic and unusable.
    pub envelope: Option<Envelope>,
    /// The lists leave this event out.
    pub filtered: bool,
}

/// One request.
#[derive(Debug, Default)]
pub struct Decision {
    state: State,
}

#[derive(Debug, Default)]
enum State {
    /// Nothing has come.
    #[default]
    New,
    /// The token has passed, the body is coming.
    Reading(Box<Token>),
    /// The verdict was to let it on.
    Passed,
    /// The verdict was an answer of our own.
    Answered,
}

// === impl Decision ===

impl Decision {
    /// The head has come. When it is the whole request, [`Decision::end`] must follow.
    pub fn head(&mut self, policy: &Policy, head: &Head<'_>, now_s: i64) -> Action {
        match judge_head(policy, head, now_s) {
            Ok(token) => {
                self.state = State::Reading(Box::new(token));
                if policy.hold_headers { Action::Hold } else { Action::Continue }
            }
            Err(refusal) => self.refuse(refusal),
        }
    }

    /// More of the body has come: `body_bytes` in all so far, and it is not the end.
    pub fn part(&mut self, policy: &Policy, body_bytes: usize) -> Action {
        match &self.state {
            State::Reading(_) if body_bytes > policy.body_bytes_max => {
                self.refuse(Refusal::BodyTooLarge)
            }
            State::Passed => Action::Continue,
            State::New | State::Reading(_) | State::Answered => Action::Hold,
        }
    }

    /// The body is whole: `body` is all of it.
    pub fn end(&mut self, policy: &Policy, body: &[u8]) -> Action {
        let token = match std::mem::replace(&mut self.state, State::Answered) {
            State::Reading(token) => token,
            State::Passed => {
                self.state = State::Passed;
                return Action::Continue;
            }
            // Without a judged head nothing may pass.
            State::New | State::Answered => return Action::Hold,
        };
        if body.len() > policy.body_bytes_max {
            return self.refuse(Refusal::BodyTooLarge);
        }
        if let Err(rejection) = token.check_body(&hash(body)) {
            return self.refuse(Refusal::Token(rejection));
        }
        let envelope = Envelope::parse(body).ok();
        let filtered = envelope.as_ref().is_some_and(|e| !policy.events.wants(&e.event));
        let facts = Box::new(Facts { api_key: token.api_key, envelope, filtered });
        if filtered && policy.events.on_filtered == OnFiltered::Ack {
            return Action::Ack(facts);
        }
        self.state = State::Passed;
        Action::Forward(facts)
    }

    /// The body cannot be had, or will not come. Only an undecided request is refused.
    pub fn give_up(&mut self, refusal: Refusal) -> Action {
        match self.state {
            State::New | State::Reading(_) => self.refuse(refusal),
            State::Passed => Action::Continue,
            State::Answered => Action::Hold,
        }
    }

    /// Whether the body is still awaited.
    pub fn is_reading(&self) -> bool {
        matches!(self.state, State::Reading(_))
    }

    fn refuse(&mut self, refusal: Refusal) -> Action {
        self.state = State::Answered;
        Action::Refuse(refusal)
    }
}

// === impl Events ===

impl Events {
    /// Whether the lists let `event` through to the host.
    pub fn wants(&self, event: &str) -> bool {
        let fits = |globs: &[Glob]| globs.iter().any(|glob| glob.matches(event));
        fits(&self.include) && !fits(&self.exclude)
    }
}

/// Cheapest and least informative first; the HMAC comes last.
fn judge_head(policy: &Policy, head: &Head<'_>, now_s: i64) -> Result<Token, Refusal> {
    if head.method != b"POST" {
        return Err(Refusal::Method);
    }
    if head.content_encoding.iter().any(|value| !value.eq_ignore_ascii_case(b"identity")) {
        return Err(Refusal::ContentEncoding);
    }
    if head.content_length.is_some_and(|value| exceeds(value, policy.body_bytes_max)) {
        return Err(Refusal::BodyTooLarge);
    }
    let authorization = head.authorization.iter().copied();
    let token = policy.verifier.token(authorization, now_s);
    token.map_err(|rejection| match rejection {
        Rejection::NoKeys => Refusal::NoKeys,
        other => Refusal::Token(other),
    })
}

/// Whether a `Content-Length` says more than `max`. One that is no number is the proxy's affair:
/// the body is counted as well.
fn exceeds(content_length: &[u8], max: usize) -> bool {
    let Ok(text) = std::str::from_utf8(content_length) else {
        return false;
    };
    match text.trim().parse::<u64>() {
        Ok(bytes) => u64::try_from(max).is_ok_and(|max| bytes > max),
        // Digits that do not fit 64 bits are more than any limit.
        Err(_) => !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()),
    }
}

fn hash(body: &[u8]) -> [u8; 32] {
    let mut hash = BodyHash::new();
    hash.update(body);
    hash.finish()
}

#[cfg(test)]
mod tests;
