//! What to do with one request, as a pure state machine.
//!
//! Cast: the [`Policy`] is what the operator wants, shared by all requests of a worker. A
//! [`Decision`] is one request: it is told the [`Head`], how much of the body has come, the whole
//! body at its end and what the host answered, and says each time with an [`Action`] what follows.
//! No clock, no proxy: the time is an argument, and so is what the workers share. Who calls is
//! `request.rs`, or a test.
//!
//! Mechanism: the head is judged first, cheapest check first, so that only a request whose token
//! has passed may occupy a buffer. Pieces of the body are only counted; the body is hashed and
//! read once, when it is whole, however it ended: with the head, with data, or with trailers. Only
//! then the event is filtered, looked up among the delivered ones and charged to its key.
//!
//! Guarantee: but for shadow mode, [`Action::Forward`] is given at most once, and only for a body
//! that hashes to what its token says. An authentic body that cannot be read is forwarded, never
//! dropped: the host keeps it in quarantine.
//! Non-guarantee: without the replay shield a captured request is forwarded as often as it is sent
//! until its token expires. The host ends that by the event's id.

use std::rc::Rc;

use livekit_webhook_wire::body_hash::BodyHash;
use livekit_webhook_wire::envelope::Envelope;
use livekit_webhook_wire::verify::{Rejection, Token};

use crate::answer::Refusal;
use crate::dedupe::{Fingerprint, Mode, Reservation, Seen};
use crate::policy::{OnFiltered, Policy, Rules};
use crate::proxy::SharedData;

/// What the head says. Values are bytes as received, repeated headers are repeated here.
#[derive(Clone, Debug, Default)]
pub struct Head<'a> {
    /// `:method`.
    pub method: &'a [u8],
    /// `:authority`.
    pub authority: &'a [u8],
    /// `:path`, with its query.
    pub path: &'a [u8],
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
    /// Answer 200 here: verified, and not wanted or not wanted again.
    Ack(Box<Facts>),
    /// Answer with a problem.
    Refuse(Refusal),
    /// Shadow mode: let on what would be refused, with a mark.
    Excuse(Refusal),
}

/// What the verdict is based on, for headers, metrics and logs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The key that signed.
    pub api_key: String,
    /// Which of the key's secrets.
    pub secret_index: usize,
    /// How long ago the token was made, in seconds; negative when its clock is ahead of ours.
    pub token_age_s: Option<i64>,
    /// What the body says; `None` when it is authentic and unusable.
    pub envelope: Option<Envelope>,
    /// Size of the body, in bytes.
    pub body_bytes: usize,
    /// The lists leave this event out.
    pub filtered: bool,
    /// What the replay shield knows of it.
    pub repeat: Repeat,
    /// Shadow mode: why it would be refused, although it is authentic.
    pub excused: Option<Refusal>,
}

/// What the replay shield knows of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Repeat {
    /// Nothing, or there is no shield.
    #[default]
    No,
    /// It was delivered before.
    Delivered,
    /// It is on its way.
    InFlight,
    /// Nothing can be known: another event holds the slot.
    Collision,
}

/// What became of a reservation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// The host has taken the event.
    Confirmed,
    /// It has not; the next try passes.
    Released,
}

/// One request.
#[derive(Debug, Default)]
pub struct Decision {
    state: State,
    shadow: bool,
    reservation: Option<Reservation>,
}

#[derive(Debug, Default)]
enum State {
    /// Nothing has come.
    #[default]
    New,
    /// The token has passed, the body is coming.
    Reading(Box<Held>),
    /// The verdict was to let it on.
    Passed,
    /// The verdict was an answer of our own.
    Answered,
}

/// What must be remembered until the body is whole.
#[derive(Debug)]
struct Held {
    token: Token,
    rules: Rc<Rules>,
    /// `:authority` and `:path`, when the replay shield needs them.
    place: Option<Place>,
}

/// `:authority` and `:path`.
type Place = (Vec<u8>, Vec<u8>);

// === impl Decision ===

impl Decision {
    /// The head has come. When it is the whole request, [`Decision::end`] must follow.
    pub fn head(&mut self, policy: &Policy, head: &Head<'_>, now_ms: u64) -> Action {
        let rules = policy.rules(head.path);
        self.shadow = rules.unwrap_or(&policy.default).shadow;
        let judged = rules.ok_or(Refusal::Path).and_then(|rules| {
            let token = judge_head(policy, rules, head, now_ms)?;
            let shield = policy.dedupe.mode != Mode::Off;
            let place = shield.then(|| (head.authority.to_vec(), head.path.to_vec()));
            Ok(Held { token, rules: Rc::clone(rules), place })
        });
        match judged {
            Ok(held) => {
                self.state = State::Reading(Box::new(held));
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
    pub fn end(
        &mut self,
        policy: &Policy,
        body: &[u8],
        now_ms: u64,
        shared: &impl SharedData,
    ) -> Action {
        let held = match std::mem::replace(&mut self.state, State::Answered) {
            State::Reading(held) => held,
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
        let digest = BodyHash::of(body);
        if let Err(rejection) = held.token.check_body(&digest) {
            return self.refuse(Refusal::Token(rejection));
        }
        let Held { token, rules, place } = *held;
        let facts = facts(token, &rules, body, now_ms);
        self.authentic(policy, (&rules, place), facts, &digest, now_ms, shared)
    }

    /// The body cannot be had, or will not come. Only an undecided request is refused.
    pub fn give_up(&mut self, policy: &Policy, refusal: Refusal) -> Action {
        match self.state {
            State::New => {
                self.shadow = policy.default.shadow;
                self.refuse(refusal)
            }
            State::Reading(_) => self.refuse(refusal),
            State::Passed => Action::Continue,
            State::Answered => Action::Hold,
        }
    }

    /// The host, or somebody in its place, has answered with `status`.
    pub fn answered(
        &mut self,
        policy: &Policy,
        status: Option<u16>,
        now_ms: u64,
        shared: &impl SharedData,
    ) -> Option<Settled> {
        let reservation = self.reservation.take()?;
        if status.is_some_and(|status| (200..300).contains(&status)) {
            policy.dedupe.confirm(shared, reservation, now_ms);
            Some(Settled::Confirmed)
        } else {
            policy.dedupe.release(shared, reservation);
            Some(Settled::Released)
        }
    }

    /// Whether the body is still awaited.
    pub fn is_reading(&self) -> bool {
        matches!(self.state, State::Reading(_))
    }

    /// Whether the host's answer is awaited, to settle a reservation.
    pub fn is_reserved(&self) -> bool {
        self.reservation.is_some()
    }

    /// The body is what LiveKit signed. What remains is whether the host is to have it.
    fn authentic(
        &mut self,
        policy: &Policy,
        (rules, place): (&Rules, Option<Place>),
        mut facts: Box<Facts>,
        digest: &[u8; 32],
        now_ms: u64,
        shared: &impl SharedData,
    ) -> Action {
        let acks = rules.events.on_filtered == OnFiltered::Ack && !self.shadow;
        if facts.filtered && acks {
            return Action::Ack(facts);
        }
        if let Some((authority, path)) = place {
            let of = Fingerprint::of(&authority, &path, &facts.api_key, digest);
            let seen = policy.dedupe.reserve(shared, of, now_ms);
            let acks = policy.dedupe.mode == Mode::Ack && !self.shadow;
            facts.repeat = match seen {
                Seen::New(reservation) => {
                    self.reservation = Some(reservation);
                    Repeat::No
                }
                Seen::Delivered => Repeat::Delivered,
                Seen::InFlight => Repeat::InFlight,
                Seen::Collision => Repeat::Collision,
            };
            match facts.repeat {
                Repeat::Delivered if acks => return Action::Ack(facts),
                Repeat::InFlight if acks => return self.refuse(Refusal::InFlight),
                _ => {}
            }
        }
        let taken = policy.rate.map_or(Ok(()), |rate| rate.take(shared, &facts.api_key, now_ms));
        if let Err(wait_s) = taken {
            let refusal = Refusal::RateLimited { wait_s };
            if !self.shadow {
                self.answered(policy, None, now_ms, shared);
                return self.refuse(refusal);
            }
            facts.excused = Some(refusal);
        }
        self.state = State::Passed;
        Action::Forward(facts)
    }

    fn refuse(&mut self, refusal: Refusal) -> Action {
        if self.shadow {
            self.state = State::Passed;
            return Action::Excuse(refusal);
        }
        self.state = State::Answered;
        Action::Refuse(refusal)
    }
}

/// Cheapest and least informative first; the HMAC comes last.
fn judge_head(
    policy: &Policy,
    rules: &Rules,
    head: &Head<'_>,
    now_ms: u64,
) -> Result<Token, Refusal> {
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
    let token = policy.verifier.token(authorization, seconds(now_ms));
    let token = token.map_err(|rejection| match rejection {
        Rejection::NoKeys => Refusal::NoKeys,
        other => Refusal::Token(other),
    })?;
    if !rules.allows(&token.api_key) {
        // As if it were unknown, after the same work.
        return Err(Refusal::Token(Rejection::UnknownKey { api_key: token.api_key }));
    }
    Ok(token)
}

fn facts(token: Token, rules: &Rules, body: &[u8], now_ms: u64) -> Box<Facts> {
    let envelope = Envelope::parse(body).ok();
    let wanted = envelope.as_ref().is_none_or(|envelope| rules.events.wants(&envelope.event));
    Box::new(Facts {
        filtered: !wanted,
        envelope,
        secret_index: token.secret_index,
        token_age_s: token.issued_at_s.map(|at_s| seconds(now_ms).saturating_sub(at_s)),
        api_key: token.api_key,
        body_bytes: body.len(),
        ..Facts::default()
    })
}

fn seconds(now_ms: u64) -> i64 {
    i64::try_from(now_ms / 1_000).unwrap_or(i64::MAX)
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

#[cfg(test)]
mod tests;
