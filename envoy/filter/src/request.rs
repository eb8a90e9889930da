//! One request: translates Envoy's callbacks into [`Decision`]'s words and back.
//!
//! Every ending is met: the head alone, the last data, an empty frame, trailers. A request without
//! a configuration, a head or a clock is refused, never let on.

use std::rc::Rc;

use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types;

use crate::answer::{Answer, Refusal, filtered};
use crate::decision::{Action, Decision, Facts, Head};
use crate::headers;
use crate::hostcalls::{self, Map};
use crate::root::Shared;

/// One stream of one worker.
pub struct Request {
    context_id: u32,
    shared: Option<Rc<Shared>>,
    decision: Decision,
    /// Bytes of body that the callbacks have announced.
    body_bytes: usize,
}

impl Context for Request {}

impl HttpContext for Request {
    fn on_http_request_headers(&mut self, _headers: usize, end_of_stream: bool) -> types::Action {
        let Some(shared) = self.shared.clone() else {
            return self.answer(&Refusal::Unreadable.answer());
        };
        shared.metrics.request();
        let action = self.head(&shared).unwrap_or_else(|| {
            // Without the head or the time nothing can be judged.
            self.decision.give_up(Refusal::Unreadable)
        });
        if end_of_stream && self.decision.is_reading() {
            return self.end(&shared);
        }
        if action == Action::Hold
            && let (Ok(mut watch), Some(now_ms)) =
                (shared.watch.try_borrow_mut(), hostcalls::now_ms())
        {
            watch.held(self.context_id, now_ms);
        }
        self.act(&shared, action)
    }

    fn on_http_request_body(&mut self, body_bytes: usize, end_of_stream: bool) -> types::Action {
        let Some(shared) = self.progress() else {
            return types::Action::Pause;
        };
        self.body_bytes = body_bytes;
        if end_of_stream {
            return self.end(&shared);
        }
        let action = self.decision.part(&shared.policy, body_bytes);
        self.act(&shared, action)
    }

    fn on_http_request_trailers(&mut self, _trailers: usize) -> types::Action {
        let Some(shared) = self.progress() else {
            return types::Action::Pause;
        };
        strip(Map::RequestTrailers, &shared.header_prefix);
        self.end(&shared)
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        if let Some(shared) = &self.shared
            && let Ok(mut watch) = shared.watch.try_borrow_mut()
        {
            watch.ended(self.context_id);
        }
    }
}

// === impl Request ===

impl Request {
    /// A stream has begun. `shared` is absent when the plugin has no configuration.
    pub fn new(context_id: u32, shared: Option<Rc<Shared>>) -> Self {
        Self { context_id, shared, decision: Decision::default(), body_bytes: 0 }
    }

    /// A callback after the head: the flag for holding it works.
    fn progress(&self) -> Option<Rc<Shared>> {
        let shared = self.shared.clone()?;
        if let Ok(mut watch) = shared.watch.try_borrow_mut() {
            watch.progressed();
        }
        Some(shared)
    }

    /// Strips what a stranger may not say, then judges. `None`: there is nothing to judge by.
    fn head(&mut self, shared: &Shared) -> Option<Action> {
        let list = hostcalls::pairs(Map::RequestHeaders)?;
        let lines = headers::parse_pairs(&list)?;
        let mut head = Head::default();
        for (name, value) in lines {
            if name.starts_with(shared.header_prefix.as_bytes()) {
                hostcalls::remove(Map::RequestHeaders, name);
                continue;
            }
            match name {
                b":method" => head.method = value,
                b"authorization" => head.authorization.push(value),
                b"content-encoding" => head.content_encoding.push(value),
                b"content-length" => head.content_length = head.content_length.or(Some(value)),
                _ => {}
            }
        }
        let now_s = i64::try_from(hostcalls::now_ms()? / 1_000).ok()?;
        let action = self.decision.head(&shared.policy, &head, now_s);
        if action == Action::Continue && shared.strip_authorization {
            hostcalls::remove(Map::RequestHeaders, b"authorization");
        }
        Some(action)
    }

    /// The request is whole.
    fn end(&mut self, shared: &Shared) -> types::Action {
        // One byte more than allowed tells too large from just fitting.
        let max = shared.policy.body_bytes_max.saturating_add(1);
        let action = if !self.decision.is_reading() {
            self.decision.end(&shared.policy, &[])
        } else if self.body_bytes > shared.policy.body_bytes_max {
            self.decision.give_up(Refusal::BodyTooLarge)
        } else {
            match hostcalls::body(max) {
                Some(body) => self.decision.end(&shared.policy, &body),
                None if self.body_bytes == 0 => self.decision.end(&shared.policy, &[]),
                None => self.decision.give_up(Refusal::Unreadable),
            }
        };
        self.act(shared, action)
    }

    fn act(&mut self, shared: &Shared, action: Action) -> types::Action {
        match action {
            Action::Continue => types::Action::Continue,
            Action::Hold => types::Action::Pause,
            Action::Forward(facts) => {
                shared.metrics.accepted();
                if facts.filtered {
                    shared.metrics.filtered();
                }
                if facts.envelope.is_none() {
                    shared.metrics.unusable();
                }
                // Once the head is gone there is nothing left to write on.
                if shared.policy.hold_headers && !publish(shared, &facts) {
                    return self.answer(&Refusal::Unreadable.answer());
                }
                types::Action::Continue
            }
            Action::Ack(_) => {
                shared.metrics.filtered();
                self.answer(&filtered())
            }
            Action::Refuse(refusal) => {
                shared.metrics.rejected(&refusal);
                self.answer(&refusal.answer())
            }
        }
    }

    /// If even the answer cannot be sent, the request stays held until Envoy's own time-outs.
    fn answer(&mut self, answer: &Answer) -> types::Action {
        hostcalls::send(answer);
        types::Action::Pause
    }
}

/// Writes the verdict on the held head. False: a header could not be set.
fn publish(shared: &Shared, facts: &Facts) -> bool {
    if shared.strip_authorization {
        hostcalls::remove(Map::RequestHeaders, b"authorization");
    }
    headers::verdict(&shared.header_prefix, facts)
        .iter()
        .all(|(name, value)| hostcalls::set(name, value))
}

fn strip(map: Map, prefix: &str) {
    let Some(list) = hostcalls::pairs(map) else {
        return;
    };
    let lines = headers::parse_pairs(&list).unwrap_or_default();
    for (name, _) in lines.iter().filter(|(name, _)| name.starts_with(prefix.as_bytes())) {
        hostcalls::remove(map, name);
    }
}
