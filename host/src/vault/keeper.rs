//! The live secrets of this host, opened, and the worker that keeps them fresh.

use super::Vault;
use crate::clock::Clock;
use crate::metrics::Metrics;
use crate::store::{Error, Store};
use crate::tasks::{Bell, Stop};
use livekit_webhook_core::endpoint::Endpoint;
use livekit_webhook_core::id::SecretId;
use livekit_webhook_core::signature::{SECRETS_MAX, Signing, StandardSecret};
use livekit_webhook_core::time::Timestamp;
use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tracing::{error, info, warn};

/// How often the store is asked: a new secret signs, and a revoked one stops, so much later.
const REFRESH_WAIT: Duration = Duration::from_secs(1);

/// Secrets by endpoint, newest first. Cheap to clone; all clones see what the keeper reads.
#[derive(Clone, Debug, Default)]
pub struct Live(Arc<RwLock<HashMap<String, Vec<Entry>>>>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    secret: StandardSecret,
    expires_at: Option<Timestamp>,
}

/// Reads the store's secrets again and again.
pub struct Keeper {
    /// Endpoints that sign with the store's secrets.
    pub endpoints: BTreeSet<String>,
    /// The keys.
    pub vault: Vault,
    /// Where the secrets are.
    pub store: Arc<dyn Store>,
    /// What is live.
    pub clock: Arc<dyn Clock>,
    /// What it found.
    pub live: Live,
    /// Wakes whoever waits for a secret.
    pub deliver: Bell,
    /// Counters.
    pub metrics: Arc<Metrics>,
}

/// What was said already, so that it is said once.
#[derive(Default)]
struct Told {
    without: BTreeSet<String>,
    unopened: HashSet<SecretId>,
}

// === impl Live ===

impl Live {
    /// How the endpoint of that name signs at `now`, or `None` when it has no live secret.
    pub fn signing(&self, endpoint: &str, now: Timestamp) -> Option<Signing> {
        let by_endpoint = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let live = by_endpoint.get(endpoint)?.iter().filter(|entry| entry.is_live(now));
        let secrets = live.take(SECRETS_MAX).map(|entry| entry.secret.clone()).collect();
        Signing::standard(secrets).ok()
    }

    /// `endpoint` as it signs at `now`.
    pub fn signed<'a>(&self, endpoint: &'a Endpoint, now: Timestamp) -> Cow<'a, Endpoint> {
        if !endpoint.signs_with_stored() {
            return Cow::Borrowed(endpoint);
        }
        let standard = self.signing(endpoint.name.as_str(), now);
        standard.map_or(Cow::Borrowed(endpoint), |one| Cow::Owned(endpoint.with_stored(&one)))
    }

    /// Whether `endpoint` has a live secret at `now`.
    pub fn has(&self, endpoint: &str, now: Timestamp) -> bool {
        let by_endpoint = self.0.read().unwrap_or_else(PoisonError::into_inner);
        by_endpoint.get(endpoint).is_some_and(|own| own.iter().any(|entry| entry.is_live(now)))
    }

    fn replace(&self, found: HashMap<String, Vec<Entry>>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = found;
    }
}

impl Entry {
    fn is_live(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|expires_at| expires_at > now)
    }
}

// === impl Keeper ===

impl Keeper {
    /// Reads until `stop`. Ends at once when no endpoint signs with the store's secrets.
    pub async fn run(self: Arc<Self>, mut stop: Stop) {
        let mut told = Told::default();
        if self.endpoints.is_empty() {
            return stop.given().await;
        }
        while !stop.is_given() {
            if let Err(error) = self.refresh(&mut told).await {
                // The secrets of the last look go on signing.
                self.metrics.store_errors.inc();
                warn!(error = &error as &dyn std::error::Error, "secrets wait for the store");
            }
            let _ = tokio::time::timeout(REFRESH_WAIT, stop.given()).await;
        }
    }

    async fn refresh(&self, told: &mut Told) -> Result<(), Error> {
        let mut found: HashMap<String, Vec<Entry>> = HashMap::new();
        for row in self.store.secrets().await? {
            if !self.endpoints.contains(&row.endpoint) {
                continue;
            }
            match self.vault.open(&row) {
                Ok(secret) => {
                    let entry = Entry { secret, expires_at: row.expires_at };
                    found.entry(row.endpoint).or_default().push(entry);
                }
                Err(why) if told.unopened.insert(row.id) => {
                    let endpoint = row.endpoint;
                    error!(endpoint, error = &why as &dyn std::error::Error, "secret not usable");
                }
                Err(_) => {}
            }
        }
        self.live.replace(found);
        self.tell(told);
        Ok(())
    }

    /// Says who waits for a secret, and who has one now.
    fn tell(&self, told: &mut Told) {
        let now = self.clock.now();
        let without = self.endpoints.iter().filter(|endpoint| !self.live.has(endpoint, now));
        let without: BTreeSet<String> = without.cloned().collect();
        for endpoint in without.difference(&told.without) {
            error!(
                endpoint,
                "no live secret, deliveries wait: run `livekit-webhook secret rotate {endpoint}`"
            );
        }
        for endpoint in told.without.difference(&without) {
            info!(endpoint, "has a live secret again");
        }
        if told.without != without {
            self.deliver.ring();
        }
        self.metrics.endpoints_without_secret.set(i64::try_from(without.len()).unwrap_or(i64::MAX));
        told.without = without;
    }
}
