//! The one place that wires adapters to stages, and the order in which they start and stop.
//!
//! Start: bind every port, open the store, load every plugin, and only then take work. Stop: no new
//! connections → requests finish → no new claims → attempts finish up to the grace → leases back →
//! store closed.

use crate::admin::{self, Health};
use crate::clock::Clock;
use crate::config::Config;
use crate::connector::proxy::Proxy;
use crate::connector::resolver::SystemResolver;
use crate::deliver::hyper_transport::HyperTransport;
use crate::deliver::token::TokenTransport;
use crate::deliver::transport::Transport;
use crate::deliver::{Deliverer, InFlight, Place};
use crate::entropy::Entropy;
use crate::ingest::{self, Ingest, Known};
use crate::metrics::{Metrics, ReloadLabel};
use crate::outside::fetch;
use crate::outside::livekit::LiveKitServers;
use crate::plugin::deploy::watch::Wishes;
use crate::plugin::deploy::{Ground, Slot};
use crate::route::{Router, Routing, Subscriber};
use crate::store::Store;
use crate::tasks::{Bell, Kind, Stopper, Tasks, stop};
use crate::tls;
use crate::vault::Live;
use livekit_webhook_core::endpoint::Endpoint;
use livekit_webhook_wire::keys::KeyRing;
use livekit_webhook_wire::verify::Verifier;
use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tracing::{info, warn};

pub mod outside;
pub mod plugins;
mod reload;
pub mod stores;
mod upkeep;

use self::plugins::Surroundings;
use self::reload::Fixed;

/// How long open requests may take to finish after a stop signal.
const REQUESTS_GRACE: Duration = Duration::from_secs(10);
/// How long workers may take to finish the round they are in.
const WORKERS_GRACE: Duration = Duration::from_secs(30);

/// A host that runs.
pub struct App {
    tasks: Tasks,
    health: Arc<Health>,
    stop_ingest: Stopper,
    stop_workers: Stopper,
    stop_admin: Stopper,
    store: Arc<dyn Store>,
    ingest: Arc<Ingest>,
    /// Asked by plugins.
    livekit: Arc<LiveKitServers>,
    /// What a reload does not change, as it was at the start.
    fixed: Fixed,
    around: Surroundings,
    wishes: Wishes,
    plugins_bell: Bell,
    grace: Duration,
    /// Where ingest listens.
    pub ingest_address: SocketAddr,
    /// Where metrics and health are served.
    pub admin_address: Option<SocketAddr>,
}

/// What every stage is given.
struct Shared {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    entropy: Arc<Entropy>,
    metrics: Arc<Metrics>,
    secrets: Live,
}

/// Why the host did not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A port is taken or forbidden.
    #[error("cannot listen on {address} ({key})")]
    Listen {
        /// Configured.
        address: SocketAddr,
        /// Where in the configuration.
        key: &'static str,
        /// The system's error.
        source: std::io::Error,
    },
    /// The store does not open.
    #[error(transparent)]
    Store(#[from] stores::Error),
    /// A plugin cannot be had.
    #[error(transparent)]
    Plugin(#[from] plugins::Error),
    /// Plugins cannot reach anything.
    #[error(transparent)]
    Outside(#[from] fetch::Error),
    /// The system gives no randomness.
    #[error("the system has no randomness to give")]
    Entropy(#[source] getrandom::Error),
}

// === impl App ===

impl App {
    /// Starts everything. When it returns, ingest answers.
    ///
    /// # Errors
    /// The first thing that cannot be had; nothing has been accepted then.
    pub async fn start(config: Config, clock: Arc<dyn Clock>) -> Result<Self, Error> {
        let listener = bind(config.ingest.listen, "ingest.listen").await?;
        let admin_listener = match config.admin {
            Some(address) => Some(bind(address, "admin.listen").await?),
            None => None,
        };
        let ingest_address = local(&listener, config.ingest.listen);
        let admin_address = admin_listener.as_ref().zip(config.admin).map(|(l, a)| local(l, a));
        let transport = Arc::new(transport(&config));
        let shared = Shared::open(&config, clock).await?;
        let reach = shared.reach(&config)?;
        let around = Surroundings {
            outside: Some(reach.outside),
            folder: config.deploy.folder.clone(),
            starts: Some(shared.clock.now()),
            metrics: Some(shared.metrics.clone()),
        };
        let plugins = plugins::load(&config, &around).await?;
        let health = Arc::new(Health::new(shared.store.clone(), shared.metrics.clone()));
        let tasks = Tasks::new();
        let (ground, wishes) = (shared.ground(&config, &tasks), Wishes::default());
        let (plugins, watcher) = plugins.serve(&config, &ground, wishes.clone());
        let plugins_bell = ground.bell;
        let (stop_ingest, ingest_stop) = stop();
        let (stop_workers, workers_stop) = stop();
        let (stop_admin, admin_stop) = stop();
        let (route_bell, deliver_bell) = (Bell::new(), Bell::new());
        let replay_bell = shared.upkeep(&config, &tasks, &workers_stop, &deliver_bell);

        let deliverer = Arc::new(shared.deliverer(&config, transport, deliver_bell.clone()));
        let watch_bell = deliverer.hints.clone();
        let bells = [route_bell.clone(), deliver_bell.clone(), watch_bell, replay_bell];
        let hints = upkeep::pass_hints(shared.store.clone(), bells, workers_stop.clone());
        tasks.spawn(Kind::Worker, "hints", hints);
        let router = shared.router(routing(&config, &plugins), route_bell.clone(), deliver_bell);
        let ingest = Arc::new(shared.ingest(&config, route_bell));
        tasks.spawn(Kind::Worker, "deliver", deliverer.run(tasks.clone(), workers_stop.clone()));
        if let Some(watcher) = watcher {
            tasks.spawn(Kind::Worker, "plugins", watcher.run(workers_stop.clone()));
        }
        tasks.spawn(Kind::Worker, "route", Arc::new(router).run(tasks.clone(), workers_stop));
        if let Some(listener) = admin_listener {
            let serve = admin::serve(listener, health.clone(), tasks.clone(), admin_stop);
            tasks.spawn(Kind::Serve, "admin", serve);
        }
        let serve = ingest::serve(listener, ingest.clone(), tasks.clone(), ingest_stop);
        tasks.spawn(Kind::Serve, "ingest", serve);
        health.set_ready(true);
        Ok(Self {
            tasks,
            health,
            stop_ingest,
            stop_workers,
            stop_admin,
            store: shared.store,
            ingest,
            livekit: reach.livekit,
            fixed: Fixed::of(&config),
            around,
            wishes,
            plugins_bell,
            grace: config.deliver.grace,
            ingest_address,
            admin_address,
        })
    }

    /// Takes the sources and their keys of `config`, for every request that begins from now on, and
    /// what it says of plugins that were there at the start. All else keeps the value it had then,
    /// which is told, key by key.
    pub fn reload(&self, config: &Config) {
        self.ingest.senders.replace(known(config));
        self.livekit.replace(outside::servers(config));
        let keys: usize = config.sources.iter().map(|source| source.keys.len()).sum();
        info!(sources = config.sources.len(), keys, "sources reloaded");
        let spec = |configured| plugins::spec(configured, &self.around);
        self.wishes.wish(config.plugins.iter().map(spec).collect());
        self.plugins_bell.ring();
        self.count_reload("done");
        let keys = self.fixed.differences(&Fixed::of(config));
        if !keys.is_empty() {
            let keys = keys.join(", ");
            warn!(keys, "these settings differ from those in use, they are read at the next start");
        }
    }

    /// Counts a configuration that could not be read: the one before goes on.
    pub fn refuse_reload(&self) {
        self.count_reload("refused");
    }

    fn count_reload(&self, result: &'static str) {
        self.ingest.metrics.config_reloads.get_or_create(&ReloadLabel { result }).inc();
    }

    /// Resolves when a part ended that the host cannot go on without.
    pub async fn failed(&self) {
        self.tasks.critical_end().await;
    }

    /// Stops in order. Every step has a bound.
    pub async fn shutdown(self) {
        info!("stopping");
        self.health.set_ready(false);
        self.tasks.begin_shutdown();
        self.stop_ingest.stop();
        if !self.tasks.idle(Kind::Connection, REQUESTS_GRACE).await {
            warn!(open = self.tasks.running(Kind::Connection), "connections left open");
        }
        self.stop_workers.stop();
        if !self.tasks.idle(Kind::Attempt, self.grace).await {
            warn!(
                attempts = self.tasks.running(Kind::Attempt),
                "attempts cut off, they are made again"
            );
            self.tasks.abort_attempts();
        }
        if !self.tasks.idle(Kind::Worker, WORKERS_GRACE).await {
            warn!("a worker did not finish");
        }
        if let Err(error) = self.store.close().await {
            warn!(error = &error as &dyn std::error::Error, "the store did not close");
        }
        self.stop_admin.stop();
        let _ = self.tasks.idle(Kind::Serve, REQUESTS_GRACE).await;
        info!("stopped");
    }
}

async fn bind(address: SocketAddr, key: &'static str) -> Result<TcpListener, Error> {
    TcpListener::bind(address).await.map_err(|source| Error::Listen { address, key, source })
}

fn local(listener: &TcpListener, configured: SocketAddr) -> SocketAddr {
    listener.local_addr().unwrap_or(configured)
}

fn routing(config: &Config, plugins: &HashMap<String, Arc<Slot>>) -> Routing {
    let subscribers = config.subscriptions.iter().map(|subscription| {
        let chain = subscription.plugins().iter();
        let chain = chain.filter_map(|name| plugins.get(name).cloned()).collect();
        let endpoint = config.endpoints.iter().find(|e| &e.name == subscription.endpoint());
        let order = endpoint.map_or_else(Default::default, |endpoint| endpoint.traffic.order);
        let allowed = endpoint.map(|endpoint| endpoint.attribute_headers().clone());
        Subscriber {
            subscription: subscription.clone(),
            chain,
            first_wait_ms: endpoint.map_or(0, first_wait_ms),
            is_ordered: order.has_lanes(),
            attribute_headers: allowed.unwrap_or_default(),
        }
    });
    Routing::new(subscribers.collect())
}

/// Keys and sources, from one list.
fn known(config: &Config) -> Known {
    let mut ring = KeyRing::new();
    let mut sources = HashMap::new();
    for configured in &config.sources {
        let name = configured.name.clone();
        let source = ingest::Source { name, events: configured.events.clone() };
        for key in &configured.keys {
            // The configuration made the same ring before and noted what it refused.
            let _ = ring.insert(&key.api_key, key.secret.reveal());
            sources.insert(key.api_key.clone(), source.clone());
        }
    }
    Known { verifier: Verifier::new(ring, config.ingest.rules.clone()), sources }
}

/// The schedule's first wait, or that for a batch to fill.
fn first_wait_ms(endpoint: &Endpoint) -> i64 {
    let step_ms = endpoint.policy.schedule.steps_ms().first().copied().unwrap_or(0);
    let batching = endpoint.traffic.order.batching();
    step_ms.max(batching.map_or(0, |batching| batching.wait_ms()))
}

fn places(config: &Config) -> BTreeMap<String, Place> {
    let named = |endpoint: &Endpoint| (endpoint.name.to_string(), Place::new(endpoint.clone()));
    config.endpoints.iter().map(named).collect()
}

// === impl Shared ===

impl Shared {
    async fn open(config: &Config, clock: Arc<dyn Clock>) -> Result<Self, Error> {
        let store = stores::open(&config.store).await?;
        Ok(Self {
            store,
            clock,
            entropy: Arc::new(Entropy::system().map_err(Error::Entropy)?),
            metrics: Arc::new(Metrics::new()),
            secrets: Live::default(),
        })
    }

    fn ground(&self, config: &Config, tasks: &Tasks) -> Ground {
        Ground {
            clock: self.clock.clone(),
            metrics: self.metrics.clone(),
            tasks: tasks.clone(),
            bell: Bell::new(),
            folder: config.deploy.folder.clone(),
        }
    }

    fn ingest(&self, config: &Config, bell: Bell) -> Ingest {
        Ingest::new(
            config.ingest.options.clone(),
            known(config),
            self.store.clone(),
            self.clock.clone(),
            self.entropy.clone(),
            bell,
            self.metrics.clone(),
        )
    }

    fn router(&self, routing: Routing, bell: Bell, deliver: Bell) -> Router {
        Router {
            routing,
            store: self.store.clone(),
            clock: self.clock.clone(),
            entropy: self.entropy.clone(),
            bell,
            deliver,
            metrics: self.metrics.clone(),
            shares: std::thread::available_parallelism().map_or(1, usize::from),
        }
    }

    fn deliverer(&self, config: &Config, transport: Arc<dyn Transport>, bell: Bell) -> Deliverer {
        Deliverer {
            endpoints: places(config),
            in_flight_max: config.deliver.in_flight_max,
            host: config.deliver.host.clone(),
            store: self.store.clone(),
            transport,
            clock: self.clock.clone(),
            entropy: self.entropy.clone(),
            bell,
            secrets: self.secrets.clone(),
            hints: Bell::new(),
            metrics: self.metrics.clone(),
            in_flight: InFlight::default(),
        }
    }
}

fn transport(config: &Config) -> TokenTransport<HyperTransport> {
    let https = config.endpoints.iter().any(|endpoint| endpoint.url.is_https());
    let roots = tls::machine_roots(https);
    let policy = config.deliver.policy.clone();
    let transport = HyperTransport::new(policy, Arc::new(SystemResolver), roots);
    TokenTransport::new(transport.through(config.deliver.proxy.map(Proxy::at)))
}
