//! What a [`Learner`](crate::plugin::learn::Learner) is told of each use: before a secret is in its
//! place, so that none is in what it writes.

use super::Pass;
use crate::plugin::learn::Use;
use crate::plugin::outside::FetchRequest;
use crate::plugin::permission::Scheme;

/// A request, as the plugin wrote it.
pub(super) struct Seen {
    scheme: Scheme,
    host: String,
    port: u16,
    method: String,
    path: String,
    secrets: Vec<String>,
}

// === impl Pass ===

impl Pass {
    /// Tells whoever learns.
    pub(super) fn learn(&self, used: Use<'_>) {
        if let Some(learner) = &self.door.learner {
            learner.observe(&self.door.plugin, used);
        }
    }

    /// What a request uses while its stand-ins are in place. `None` when nobody learns.
    pub(super) fn seen(&self, request: &FetchRequest) -> Option<Seen> {
        self.door.learner.as_ref()?;
        let stand_ins = self.stand_ins();
        let FetchRequest { scheme, host, port, method, path, headers, body, .. } = request;
        let mut secrets: Vec<String> = Vec::new();
        let values = headers.iter().map(|(name, value)| {
            super::http::basic(name, value).unwrap_or_else(|| value.as_bytes().to_vec())
        });
        for bytes in values.chain([path.as_bytes().to_vec(), body.to_vec()]) {
            secrets.extend(stand_ins.named_in(&bytes).map(str::to_owned));
        }
        // A segment with a stand-in is another for each event.
        let plain = path.split('?').next().unwrap_or_default();
        let has_none = |segment: &&str| stand_ins.named_in(segment.as_bytes()).next().is_none();
        let path: Vec<&str> = plain.split('/').take_while(has_none).collect();
        let (host, method, path) = (host.clone(), method.clone(), path.join("/"));
        Some(Seen { scheme: *scheme, host, port: *port, method, path, secrets })
    }

    /// Tells whoever learns of a request that may go.
    pub(super) fn note(&self, seen: Option<Seen>) {
        let Some(Seen { scheme, host, port, method, path, secrets }) = seen else { return };
        let secrets: Vec<&str> = secrets.iter().map(String::as_str).collect();
        let (host, method, path) = (host.as_str(), method.as_str(), path.as_str());
        self.learn(Use::Http { scheme, host, port, method, path, secrets: &secrets });
    }
}
