//! What plugins reach: the adapters, from the configuration and the store.

use super::Shared;
use crate::clock::Clock;
use crate::config::Config;
use crate::connector::proxy::Proxy;
use crate::connector::resolver::SystemResolver;
use crate::outside::fetch::{self, HyperFetch};
use crate::outside::livekit::{LiveKitServers, Server};
use crate::outside::state::StoredState;
use crate::plugin::outside::{KeyValue, Outside};
use crate::tls;
use livekit_webhook_core::address_policy::AddressPolicy;
use livekit_webhook_core::address_policy::allow::Allow;
use livekit_webhook_core::endpoint::PlainHttp;
use rustls::RootCertStore;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

/// Every network and port, which are the operator's own word in `[[source]] server`.
const ANYWHERE: [&str; 2] = ["0.0.0.0/0:*", "[::/0]:*"];

/// What plugins reach, and what of it a reload changes.
pub(super) struct Reach {
    pub outside: Outside,
    pub livekit: Arc<LiveKitServers>,
}

impl Shared {
    /// All three ports. Plugins dial what deliveries may dial; LiveKit's servers may be anywhere.
    pub(super) fn reach(&self, config: &Config) -> Result<Reach, fetch::Error> {
        let limits = config.deploy.state;
        let state = StoredState::new(self.store.clone(), self.clock.clone(), limits);
        let has_plugins = !config.plugins.is_empty();
        reach(Some(config), has_plugins, self.clock.clone(), Arc::new(state))
    }
}

/// What a command reaches when it tries a plugin for real: the network as deliveries do, the
/// sources' LiveKit servers, and `state` in the place of the store's. Without a configuration these
/// are all public addresses by TLS, and no server.
///
/// # Errors
/// When the TLS library refuses its settings.
pub fn live(
    config: Option<&Config>,
    clock: Arc<dyn Clock>,
    state: Arc<dyn KeyValue>,
) -> Result<Outside, fetch::Error> {
    reach(config, true, clock, state).map(|reach| reach.outside)
}

fn reach(
    config: Option<&Config>,
    has_plugins: bool,
    clock: Arc<dyn Clock>,
    state: Arc<dyn KeyValue>,
) -> Result<Reach, fetch::Error> {
    let roots = tls::machine_roots(has_plugins);
    let proxy = config.and_then(|config| config.deliver.proxy);
    let anywhere = ANYWHERE.iter().filter_map(|network| network.parse().ok());
    let anywhere: Vec<Allow> = anywhere.collect();
    let anywhere = dialling(AddressPolicy::new(anywhere, PlainHttp::Allowed), &roots, proxy)?;
    let servers = config.map(servers).unwrap_or_default();
    let livekit = Arc::new(LiveKitServers::new(anywhere, clock, servers));
    let public = || AddressPolicy::new(Vec::new(), PlainHttp::Refused);
    let policy = config.map_or_else(public, |config| config.deliver.policy.clone());
    let fetch = dialling(policy, &roots, proxy)?;
    Ok(Reach { outside: Outside { fetch, state, livekit: livekit.clone() }, livekit })
}

fn dialling(
    policy: AddressPolicy,
    roots: &RootCertStore,
    proxy: Option<SocketAddr>,
) -> Result<Arc<HyperFetch>, fetch::Error> {
    let fetch = HyperFetch::new(policy, Arc::new(SystemResolver), roots)?;
    Ok(Arc::new(fetch.through(proxy.map(Proxy::at))))
}

/// The servers of the sources that name one, each with its source's first key.
pub(super) fn servers(config: &Config) -> BTreeMap<String, Server> {
    let named = config.sources.iter().filter_map(|source| {
        let (url, key) = (source.server.clone()?, source.keys.first()?);
        let server = Server::new(url, &key.api_key, key.secret.reveal());
        Some((source.name.clone(), server))
    });
    named.collect()
}
