//! What plugins reach: the adapters, wired.

use super::plugins::Error;
use crate::clock::Clock;
use crate::config::Config;
use crate::connector::proxy::Proxy;
use crate::connector::resolver::SystemResolver;
use crate::outside::fetch::HyperFetch;
use crate::outside::late::LateState;
use crate::outside::livekit::{LiveKitServers, Server};
use crate::outside::state::StoredState;
use crate::plugin::outside::Outside;
use crate::store::Store;
use crate::store::plugin_state::Limits;
use crate::tls;
use livekit_webhook_core::address_policy::AddressPolicy;
use livekit_webhook_core::endpoint::PlainHttp;
use std::collections::BTreeMap;
use std::sync::Arc;

/// LiveKit's servers are named by the operator, and are usually in the operator's own network.
const ANYWHERE: [&str; 2] = ["0.0.0.0/0:*", "[::/0]:*"];

/// The adapters of one host.
pub struct Reach {
    state: Arc<LateState>,
    servers: Arc<LiveKitServers>,
    outside: Outside,
}

// === impl Reach ===

impl Reach {
    /// As `config` says. State comes later: [`Reach::keep_in`].
    ///
    /// # Errors
    /// When the TLS library refuses its settings.
    pub fn new(config: &Config, clock: Arc<dyn Clock>) -> Result<Self, Error> {
        let grants = config.plugins.iter().any(|plugin| !plugin.grant.http.is_empty());
        let roots = tls::machine_roots(grants);
        let proxy = || config.deliver.proxy.map(Proxy::at);
        let fetch = |policy| HyperFetch::new(policy, Arc::new(SystemResolver), &roots);
        let deliveries = fetch(config.deliver.policy.clone()).map_err(Error::Fetch)?;
        let anywhere = ANYWHERE.into_iter().filter_map(|network| network.parse().ok()).collect();
        let anywhere = fetch(AddressPolicy::new(anywhere, PlainHttp::Allowed));
        let anywhere = Arc::new(anywhere.map_err(Error::Fetch)?);
        let servers = Arc::new(LiveKitServers::new(anywhere, clock, servers(config)));
        let state = Arc::new(LateState::default());
        let outside = Outside {
            fetch: Arc::new(deliveries.through(proxy())),
            state: state.clone(),
            livekit: servers.clone(),
        };
        Ok(Self { state, servers, outside })
    }

    /// For plugins.
    pub fn outside(&self) -> Outside {
        self.outside.clone()
    }

    /// Lets plugins keep their state in `store`.
    pub fn keep_in(&self, store: Arc<dyn Store>, clock: Arc<dyn Clock>) {
        self.state.give(StoredState::new(store, clock, Limits::default()));
    }

    /// Takes the servers and keys of a configuration that was read again.
    pub fn reload(&self, config: &Config) {
        self.servers.replace(servers(config));
    }
}

fn servers(config: &Config) -> BTreeMap<String, Server> {
    let named = config.sources.iter().filter_map(|source| {
        let (url, key) = (source.server.clone()?, source.keys.first()?);
        Some((source.name.clone(), Server::new(url, &key.api_key, key.secret.reveal())))
    });
    named.collect()
}
