//! One request: translates the proxy's callbacks into [`Decision`]'s words and back.
//!
//! Every ending is met: the head alone, the last data, an empty frame, trailers. A request without
//! a configuration, a head or a clock is refused, never let on.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use crate::answer::{Answer, Refusal, acknowledged};
use crate::decision::{Action, Decision, Facts, Head, Repeat, Settled};
use crate::headers::{Names, Pairs, Verdict};
use crate::metrics::{Counted, Metrics};
use crate::policy::Policy;
use crate::proxy::{Level, Map, Proxy};
use crate::watch::Watch;

/// What the proxy says of an answer that the host gave; its own have other words.
const VIA_UPSTREAM: &[u8] = b"via_upstream";
/// And of one that it gave for want of a route.
const NO_ROUTE: &[u8] = b"route_not_found";

/// What the requests of one plugin on one worker have in common.
#[derive(Debug)]
pub struct Shared {
    /// What every request is judged by.
    pub policy: Policy,
    /// Stripped from requests, and set on those that pass.
    pub names: Names,
    /// Whether the token is kept from the host.
    pub strip_authorization: bool,
    /// Whether the route is chosen again after the verdict.
    pub route_by_event: bool,
    /// The metrics.
    pub metrics: Metrics,
    /// The held requests, until the flag is proven. Borrowed with `try_borrow_mut` only.
    pub watch: RefCell<Watch>,
    /// Another configuration is in force: nobody flushes the metrics but who is left.
    pub retired: Cell<bool>,
    /// A request has got past us: see [`Request::response_headers`]. From then on none may.
    pub crippled: Cell<bool>,
}

/// What the proxy is to do with this part of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// Let it on.
    Continue = 0,
    /// Keep it.
    Pause = 1,
}

/// One stream of one worker.
#[derive(Debug)]
pub struct Request {
    context_id: u32,
    shared: Option<Rc<Shared>>,
    decision: Decision,
    /// Bytes of body that the callbacks have announced.
    body_bytes: usize,
    /// When the head came.
    head_ms: u64,
    /// What was taken from the head until the proxy has shown that it asks us for the body.
    path: Option<Vec<u8>>,
}

// === impl Request ===

impl Request {
    /// A stream has begun. `shared` is absent when the plugin has no configuration.
    pub fn new(context_id: u32, shared: Option<Rc<Shared>>) -> Self {
        Self {
            context_id,
            shared,
            decision: Decision::default(),
            body_bytes: 0,
            head_ms: 0,
            path: None,
        }
    }

    /// The head has come.
    pub fn request_headers(&mut self, proxy: &impl Proxy, end_of_stream: bool) -> Flow {
        let Some(shared) = self.shared.clone() else {
            return answer(proxy, &Refusal::Unreadable.answer());
        };
        shared.metrics.request();
        // Without the head or the time nothing can be judged.
        let action = self
            .head(proxy, &shared)
            .unwrap_or_else(|| self.decision.give_up(&shared.policy, Refusal::Unreadable));
        if end_of_stream && self.decision.is_reading() {
            self.give_route_back(proxy);
            return self.end(proxy, &shared);
        }
        if action == Action::Hold
            && let Ok(mut watch) = shared.watch.try_borrow_mut()
        {
            watch.held(self.context_id, self.head_ms);
        }
        self.act(proxy, &shared, action)
    }

    /// More of the body is there: `body_bytes` in all when the head is held.
    pub fn request_body(
        &mut self,
        proxy: &impl Proxy,
        body_bytes: usize,
        end_of_stream: bool,
    ) -> Flow {
        let Some(shared) = self.progress(proxy) else {
            return Flow::Pause;
        };
        self.body_bytes = body_bytes;
        if end_of_stream {
            return self.end(proxy, &shared);
        }
        let action = self.decision.part(&shared.policy, body_bytes);
        self.act(proxy, &shared, action)
    }

    /// The trailers are there, and with them the end.
    pub fn request_trailers(&mut self, proxy: &impl Proxy) -> Flow {
        let Some(shared) = self.progress(proxy) else {
            return Flow::Pause;
        };
        strip_trailers(proxy, &shared.names);
        self.end(proxy, &shared)
    }

    /// An answer is on its way to the client.
    ///
    /// When it is for want of a route that we took away, or comes from the host while our verdict
    /// is still open, the proxy has let the request on without asking us: it does not call the
    /// callbacks for bodies or trailers.
    pub fn response_headers(&mut self, proxy: &impl Proxy) -> Flow {
        let Some(shared) = self.shared.clone() else {
            return Flow::Continue;
        };
        if self.decision.is_reserved() {
            let status = proxy.value(Map::ResponseHeaders, ":status");
            let status = status.and_then(|text| std::str::from_utf8(&text).ok()?.parse().ok());
            self.settle(proxy, &shared, status);
        }
        if !shared.policy.hold_headers || !self.decision.is_reading() {
            return Flow::Continue;
        }
        let details = proxy.answer_details().unwrap_or_default();
        let reached_host = details == VIA_UPSTREAM;
        if reached_host || (self.path.is_some() && details == NO_ROUTE) {
            shared.crippled.set(true);
            if reached_host {
                shared.metrics.bypassed();
            }
            proxy.log(
                Level::Error,
                "livekit-webhook: a request was let on unverified, because the proxy does not \
                 call this filter for bodies or trailers. Remove \
                 `capability_restriction_config` from the plugin, or add \
                 `proxy_on_request_body: {}` and `proxy_on_request_trailers: {}` to its \
                 `allowed_capabilities`. Until then every request is answered 503",
            );
            return answer(proxy, &Refusal::NotCalled.answer());
        }
        Flow::Continue
    }

    /// The stream is over, whatever came of it.
    pub fn ended(&mut self, proxy: &impl Proxy) {
        let Some(shared) = self.shared.clone() else {
            return;
        };
        if self.decision.is_reserved() {
            self.settle(proxy, &shared, None);
        }
        if let Ok(mut watch) = shared.watch.try_borrow_mut() {
            watch.ended(self.context_id);
        }
        if shared.retired.get() {
            shared.metrics.flush(proxy);
        }
    }

    /// The body callback has not come in time. Speaks for this request.
    pub fn overdue(&mut self, proxy: &impl Proxy) {
        let Some(shared) = self.shared.clone() else {
            return;
        };
        self.give_route_back(proxy);
        let action = self.decision.give_up(&shared.policy, Refusal::NotHeld);
        if self.act(proxy, &shared, action) == Flow::Continue {
            proxy.resume();
        }
    }

    /// A callback after the head: the flag for holding it works.
    fn progress(&mut self, proxy: &impl Proxy) -> Option<Rc<Shared>> {
        let shared = self.shared.clone()?;
        self.give_route_back(proxy);
        if let Ok(mut watch) = shared.watch.try_borrow_mut() {
            watch.progressed();
        }
        Some(shared)
    }

    /// Until the proxy has asked this worker for a body, a held head has no path, and so no route:
    /// let on behind our back, it reaches nobody.
    fn take_route(&mut self, proxy: &impl Proxy, path: &[u8]) {
        self.path = Some(path.to_vec());
        proxy.remove(Map::RequestHeaders, b":path");
        proxy.rematch_route();
    }

    fn give_route_back(&mut self, proxy: &impl Proxy) {
        if let Some(path) = self.path.take() {
            // If it cannot be set, the request has no route and reaches nobody.
            proxy.set(":path", &path);
            proxy.rematch_route();
        }
    }

    /// Strips what a stranger may not say, then judges. `None`: there is nothing to judge by.
    fn head(&mut self, proxy: &impl Proxy, shared: &Shared) -> Option<Action> {
        if shared.crippled.get() {
            return Some(self.decision.give_up(&shared.policy, Refusal::NotCalled));
        }
        let list = proxy.pairs(Map::RequestHeaders)?;
        let mut head = Head::default();
        let mut lines = Pairs::of(&list)?;
        for (name, value) in lines.by_ref() {
            match name {
                b":method" => head.method = value,
                b":authority" => head.authority = value,
                b":path" => head.path = value,
                b"authorization" => head.authorization.push(value),
                b"content-encoding" => head.content_encoding.push(value),
                b"content-length" => head.content_length = head.content_length.or(Some(value)),
                _ if shared.names.claims(name) => _ = proxy.remove(Map::RequestHeaders, name),
                _ => {}
            }
        }
        (lines.left() == 0).then_some(())?;
        self.head_ms = proxy.now_ms()?;
        let action = self.decision.head(&shared.policy, &head, self.head_ms);
        let proven = shared.watch.try_borrow().is_ok_and(|watch| watch.is_proven());
        if action == Action::Hold && !proven {
            self.take_route(proxy, head.path);
        }
        if action == Action::Continue && shared.strip_authorization {
            proxy.remove(Map::RequestHeaders, b"authorization");
        }
        Some(action)
    }

    /// The request is whole.
    fn end(&mut self, proxy: &impl Proxy, shared: &Shared) -> Flow {
        let policy = &shared.policy;
        // One byte more than allowed tells too large from just fitting.
        let max = policy.body_bytes_max.saturating_add(1);
        // The shield and the rates need the time as it is now; all else has that of the head.
        let now_ms = if policy.needs_time() { proxy.now_ms() } else { Some(self.head_ms) };
        let judge = |decision: &mut Decision, body: &[u8]| match now_ms {
            Some(now_ms) => decision.end(policy, body, now_ms, proxy),
            None => decision.give_up(policy, Refusal::Unreadable),
        };
        let action = if !self.decision.is_reading() {
            judge(&mut self.decision, &[])
        } else if self.body_bytes > policy.body_bytes_max {
            self.decision.give_up(policy, Refusal::BodyTooLarge)
        } else {
            match proxy.body(max) {
                Some(body) => judge(&mut self.decision, &body),
                None if self.body_bytes == 0 => judge(&mut self.decision, &[]),
                None => self.decision.give_up(policy, Refusal::Unreadable),
            }
        };
        self.act(proxy, shared, action)
    }

    fn act(&mut self, proxy: &impl Proxy, shared: &Shared, action: Action) -> Flow {
        match action {
            Action::Continue => Flow::Continue,
            Action::Hold => Flow::Pause,
            Action::Forward(facts) => {
                shared.metrics.verified(proxy, &facts, Counted::Forwarded, self.head_ms);
                if publish(proxy, shared, &facts) {
                    return Flow::Continue;
                }
                self.settle(proxy, shared, None);
                answer(proxy, &Refusal::Unreadable.answer())
            }
            Action::Ack(facts) => acknowledge(proxy, shared, &facts, self.head_ms),
            Action::Refuse(refusal) => refuse(proxy, shared, &refusal),
            Action::Excuse(refusal) => excuse(proxy, shared, &refusal),
        }
    }

    fn settle(&mut self, proxy: &impl Proxy, shared: &Shared, status: Option<u16>) {
        // Without a time a delivered event is remembered from the time of its head.
        let now_ms = proxy.now_ms().unwrap_or(self.head_ms);
        let settled: Option<Settled> =
            self.decision.answered(&shared.policy, status, now_ms, proxy);
        if let Some(settled) = settled {
            shared.metrics.settled(settled);
        }
    }
}

// What is answered here stands apart from what is forwarded: nearly every request is forwarded, and
// each page of code that it runs through is a page to fetch.

#[cold]
#[inline(never)]
fn acknowledge(proxy: &impl Proxy, shared: &Shared, facts: &Facts, head_ms: u64) -> Flow {
    shared.metrics.verified(proxy, facts, Counted::Acknowledged, head_ms);
    // For the access log: this request goes nowhere.
    publish(proxy, shared, facts);
    let delivered = facts.repeat == Repeat::Delivered;
    let result = if delivered { "duplicate" } else { "filtered" };
    proxy.note("verdict", result);
    answer(proxy, &acknowledged(result))
}

#[cold]
#[inline(never)]
fn refuse(proxy: &impl Proxy, shared: &Shared, refusal: &Refusal) -> Flow {
    shared.metrics.rejected(refusal);
    proxy.note("verdict", refusal.code());
    answer(proxy, &refusal.answer())
}

#[cold]
#[inline(never)]
fn excuse(proxy: &impl Proxy, shared: &Shared, refusal: &Refusal) -> Flow {
    shared.metrics.excused(refusal);
    proxy.note("shadow", refusal.code());
    if shared.policy.hold_headers {
        write(proxy, &shared.names.excused(refusal));
    }
    Flow::Continue
}

/// If even the answer cannot be sent, the request stays held until the proxy's own time-outs.
fn answer(proxy: &impl Proxy, answer: &Answer) -> Flow {
    proxy.send(answer);
    Flow::Pause
}

/// Writes the verdict on the held head. False: a header could not be set. Once the head is gone
/// there is nothing left to write on but the access log.
fn publish(proxy: &impl Proxy, shared: &Shared, facts: &Facts) -> bool {
    if let Some(refusal) = &facts.excused {
        proxy.note("shadow", refusal.code());
    }
    if !shared.policy.hold_headers {
        for (name, value) in &shared.names.verdict(facts).lines {
            proxy.note(name, value);
        }
        return true;
    }
    if shared.strip_authorization {
        proxy.remove(Map::RequestHeaders, b"authorization");
    }
    let written = write(proxy, &shared.names.verdict(facts));
    if shared.route_by_event {
        proxy.rematch_route();
    }
    written
}

fn write(proxy: &impl Proxy, verdict: &Verdict<'_>) -> bool {
    verdict.lines.iter().all(|(name, value)| proxy.set(name, value.as_bytes()))
}

fn strip_trailers(proxy: &impl Proxy, names: &Names) {
    let Some(list) = proxy.pairs(Map::RequestTrailers) else {
        return;
    };
    for (name, _) in Pairs::of(&list).into_iter().flatten() {
        if names.claims(name) {
            proxy.remove(Map::RequestTrailers, name);
        }
    }
}

#[cfg(test)]
mod hostile;
#[cfg(test)]
mod tests;
