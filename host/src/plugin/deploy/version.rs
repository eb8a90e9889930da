//! One component by its digest, loaded, with its breaker.

use crate::plugin::permission::Permissions;
use crate::plugin::registry::{Options, Plugin};
use livekit_webhook_core::plugin::{Admission, Breaker, Call, Change, State};
use livekit_webhook_core::time::Timestamp;
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Characters of a digest that people are shown.
const SHORT_CHARS: usize = 12;

/// SHA-256 of a component's file.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

/// A version of a plugin.
pub struct Version {
    plugin: Arc<Plugin>,
    digest: Digest,
    asks: Permissions,
    /// How it was loaded.
    options: Options,
    since: Timestamp,
    breaker: Mutex<Breaker>,
    rolled_back: AtomicBool,
}

// === impl Digest ===

impl Digest {
    /// Of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Reads what [`fmt::Display`] printed.
    pub fn parse(text: &str) -> Option<Self> {
        let mut digest = [0; 32];
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if text.len() != 64 || !text.bytes().all(is_digit) {
            return None;
        }
        for (index, byte) in digest.iter_mut().enumerate() {
            *byte = u8::from_str_radix(text.get(2 * index..2 * index + 2)?, 16).ok()?;
        }
        Some(Self(digest))
    }

    /// The first characters of its text.
    pub fn short(&self) -> String {
        let mut text = self.to_string();
        text.truncate(SHORT_CHARS);
        text
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

// === impl Version ===

impl Version {
    /// `plugin`, loaded with `options` of a file with `digest` whose manifest `asks` for this,
    /// serving `since`.
    pub fn new(
        plugin: Arc<Plugin>,
        digest: Digest,
        asks: Permissions,
        options: Options,
        since: Timestamp,
    ) -> Self {
        let (breaker, rolled_back) = (Mutex::new(Breaker::default()), AtomicBool::new(false));
        Self { plugin, digest, asks, options, since, breaker, rolled_back }
    }

    /// It was quarantined before.
    #[must_use]
    pub fn quarantined(self) -> Self {
        *self.breaker() = Breaker::quarantined();
        self
    }

    /// The component.
    pub fn plugin(&self) -> &Plugin {
        &self.plugin
    }

    /// Of its file.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// How it was loaded.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Whether loading it with `options` would make the same of it.
    pub fn is_loaded_with(&self, options: &Options) -> bool {
        let loaded = &self.options;
        loaded.config == options.config
            && loaded.limits == options.limits
            && loaded.on_error == options.on_error
            && loaded.grant == options.grant
            && loaded.secrets == options.secrets
            && loaded.instances == options.instances
            && loaded.learn.is_some() == options.learn.is_some()
    }

    /// What its manifest asks for.
    pub fn asks(&self) -> &Permissions {
        &self.asks
    }

    /// When it began to serve.
    pub fn since(&self) -> Timestamp {
        self.since
    }

    /// Where its breaker stands.
    pub fn state(&self) -> State {
        self.breaker().state()
    }

    /// Whether it served without trouble to the end.
    pub fn is_well(&self) -> bool {
        self.breaker().is_closed()
    }

    /// Whether it made way for the version before it.
    pub fn is_rolled_back(&self) -> bool {
        self.rolled_back.load(Ordering::Acquire)
    }

    /// Ends its quarantine, or its rest.
    pub fn release(&self) {
        self.breaker().release();
        self.rolled_back.store(false, Ordering::Release);
    }

    pub(super) fn set_rolled_back(&self) {
        self.rolled_back.store(true, Ordering::Release);
    }

    pub(super) fn admit(&self, is_suspect: bool, now: Timestamp) -> Admission {
        self.breaker().admit(is_suspect, now)
    }

    pub(super) fn after(&self, call: Call, is_fault: bool, now: Timestamp) -> Option<Change> {
        self.breaker().after(call, is_fault, now)
    }

    pub(super) fn abandon(&self) {
        self.breaker().abandon();
    }

    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Version").field("digest", &self.digest).finish_non_exhaustive()
    }
}
