//! What the operator wants of every request, ready to be applied.

use std::rc::Rc;

use livekit_webhook_wire::glob::Glob;
use livekit_webhook_wire::verify::Verifier;

use crate::dedupe::{Mode, Ring};
use crate::rate::Rate;

/// Shared by all requests of a worker.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Keys and rules.
    pub verifier: Verifier,
    /// Largest body, in bytes.
    pub body_bytes_max: usize,
    /// Whether the head waits with the body. When false, the head leaves before the body is known.
    pub hold_headers: bool,
    /// The replay shield.
    pub dedupe: Ring,
    /// What one key may use; `None`: as much as it likes.
    pub rate: Option<Rate>,
    /// What holds where no route does.
    pub default: Rc<Rules>,
    /// In the order in which they are tried.
    pub routes: Vec<Route>,
}

/// What holds on one path and below.
#[derive(Clone, Debug)]
pub struct Route {
    /// `/webhook/prod`: this path, and what follows it after a slash.
    pub path: String,
    /// What holds there.
    pub rules: Rc<Rules>,
}

/// What may differ by path.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Whether refusals are only noted.
    pub shadow: bool,
    /// The API keys that count. Empty: all.
    pub keys: Vec<String>,
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

// === impl Policy ===

impl Policy {
    /// Whether the verdict on a whole body depends on when it is given.
    pub fn needs_time(&self) -> bool {
        self.dedupe.mode != Mode::Off || self.rate.is_some()
    }

    /// The rules for `path`, the query left aside. `None`: routes differ, and another reader could
    /// take this path for another one.
    pub fn rules(&self, path: &[u8]) -> Option<&Rc<Rules>> {
        if self.routes.is_empty() {
            return Some(&self.default);
        }
        let path = path.split(|byte| matches!(byte, b'?' | b'#')).next().unwrap_or_default();
        if is_ambiguous(path) {
            return None;
        }
        let fits = |route: &&Route| {
            let rest = path.strip_prefix(route.path.as_bytes());
            rest.is_some_and(|rest| {
                rest.is_empty() || rest.starts_with(b"/") || route.path.ends_with('/')
            })
        };
        Some(self.routes.iter().find(fits).map_or(&self.default, |route| &route.rules))
    }
}

/// Escapes, dots between slashes, empty segments, back slashes: one server reads them as another
/// path, one does not.
fn is_ambiguous(path: &[u8]) -> bool {
    let odd = |pair: &[u8]| matches!(pair, b"//" | b"/.");
    path.iter().any(|byte| matches!(byte, b'%' | b'\\')) || path.windows(2).any(odd)
}

// === impl Rules ===

impl Rules {
    /// Whether this key counts here.
    pub fn allows(&self, api_key: &str) -> bool {
        self.keys.is_empty() || self.keys.iter().any(|key| key == api_key)
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

#[cfg(test)]
mod tests;
