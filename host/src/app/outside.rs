//! What plugins reach: the adapters, from the configuration and the store.

use super::Shared;
use crate::config::Config;
use crate::connector::proxy::Proxy;
use crate::connector::resolver::SystemResolver;
use crate::outside::fetch::{self, HyperFetch};
use crate::outside::livekit::{LiveKitServers, Server};
use crate::outside::state::StoredState;
use crate::plugin::outside::Outside;
use crate::tls;
use livekit_webhook_core::address_policy::AddressPolicy;
use livekit_webhook_core::address_policy::allow::Allow;
use livekit_webhook_core::endpoint::PlainHttp;
use rustls::RootCertStore;
use std::collections::BTreeMap;
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
        let roots = tls::machine_roots(!config.plugins.is_empty());
        let anywhere = ANYWHERE.iter().filter_map(|network| network.parse().ok());
        let anywhere: Vec<Allow> = anywhere.collect();
        let anywhere = dialling(AddressPolicy::new(anywhere, PlainHttp::Allowed), &roots, config)?;
        let servers = servers(config);
        let livekit = Arc::new(LiveKitServers::new(anywhere, self.clock.clone(), servers));
        let limits = config.deploy.state;
        let state = StoredState::new(self.store.clone(), self.clock.clone(), limits);
        let outside = Outside {
            fetch: dialling(config.deliver.policy.clone(), &roots, config)?,
            state: Arc::new(state),
            livekit: livekit.clone(),
        };
        Ok(Reach { outside, livekit })
    }
}

fn dialling(
    policy: AddressPolicy,
    roots: &RootCertStore,
    config: &Config,
) -> Result<Arc<HyperFetch>, fetch::Error> {
    let fetch = HyperFetch::new(policy, Arc::new(SystemResolver), roots)?;
    Ok(Arc::new(fetch.through(config.deliver.proxy.map(Proxy::at))))
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
