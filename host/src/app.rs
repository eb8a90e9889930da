//! The one place that wires adapters to stages, and the order in which they start and stop.
//!
//! Start: bind every port, open the store, load every plugin, and only then take work. Stop: no new
//! connections → requests finish → no new claims → attempts finish up to the grace → leases back →
//! store closed.

use crate::admin::{self, Health};
use crate::clock::{Clock, SystemClock};
use crate::config::{self, Config};
use crate::deliver::connector::Connector;
use crate::deliver::connector::proxy::Proxy;
use crate::deliver::hyper_transport::HyperTransport;
use crate::deliver::{Deliverer, Place};
use crate::entropy::Entropy;
use crate::ingest::{self, Ingest};
use crate::metrics::Metrics;
use crate::plugin::engine::Engine;
use crate::plugin::load;
use crate::plugin::registry::{self, Plugin};
use crate::route::{Router, Routing, Subscriber};
use crate::store::Store;
use crate::store::sqlite::{self, SqliteStore};
use crate::tasks::{Bell, Kind, Stopper, Tasks, stop};
use livekit_webhook_wire::keys::KeyRing;
use livekit_webhook_wire::verify::Verifier;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;
use tokio::net::TcpListener;
use tracing::{info, warn};

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
    #[error("cannot open the store {}", path.display())]
    Store {
        /// Configured.
        path: PathBuf,
        /// What to do about it.
        source: sqlite::OpenError,
    },
    /// A plugin does not load.
    #[error("plugin {name}: cannot load {file}")]
    Plugin {
        /// Configured.
        name: String,
        /// Configured.
        file: String,
        /// What to do about it.
        source: load::Error,
    },
    /// A plugin's file cannot be read.
    #[error("plugin {name}: cannot read {file}")]
    PluginFile {
        /// Configured.
        name: String,
        /// Configured.
        file: String,
        /// The system's error.
        source: std::io::Error,
    },
    /// The plugin engine does not start.
    #[error("cannot start the plugin engine")]
    Engine(#[source] crate::plugin::engine::Error),
    /// No trusted certificates, or the TLS library refuses its settings.
    #[error("cannot set up TLS")]
    Tls(#[source] rustls::Error),
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
    pub async fn start(config: Config) -> Result<Self, Error> {
        let listener = bind(config.ingest.listen, "ingest.listen").await?;
        let admin_listener = match config.admin {
            Some(address) => Some(bind(address, "admin.listen").await?),
            None => None,
        };
        let ingest_address = local(&listener, config.ingest.listen);
        let admin_address = admin_listener.as_ref().zip(config.admin).map(|(l, a)| local(l, a));
        let plugins = load_plugins(&config).await?;
        let transport = transport(&config)?;
        let shared = Shared::open(&config)?;
        let health = Arc::new(Health::new(shared.store.clone(), shared.metrics.clone()));
        let tasks = Tasks::new();
        let (stop_ingest, ingest_stop) = stop();
        let (stop_workers, workers_stop) = stop();
        let (stop_admin, admin_stop) = stop();
        let (route_bell, deliver_bell) = (Bell::new(), Bell::new());

        let deliverer = Arc::new(shared.deliverer(&config, transport, deliver_bell.clone()));
        let router = shared.router(routing(&config, &plugins), route_bell.clone(), deliver_bell);
        let ingest = Arc::new(shared.ingest(&config, route_bell));
        tasks.spawn(Kind::Worker, "deliver", deliverer.run(tasks.clone(), workers_stop.clone()));
        tasks.spawn(Kind::Worker, "route", Arc::new(router).run(tasks.clone(), workers_stop));
        if let Some(listener) = admin_listener {
            let serve = admin::serve(listener, health.clone(), tasks.clone(), admin_stop);
            tasks.spawn(Kind::Serve, "admin", serve);
        }
        let serve = ingest::serve(listener, ingest, tasks.clone(), ingest_stop);
        tasks.spawn(Kind::Serve, "ingest", serve);
        health.set_ready(true);
        Ok(Self {
            tasks,
            health,
            stop_ingest,
            stop_workers,
            stop_admin,
            store: shared.store,
            grace: config.deliver.grace,
            ingest_address,
            admin_address,
        })
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

/// Loads every configured plugin; the host does not start with one that does not load.
pub async fn load_plugins(config: &Config) -> Result<HashMap<String, Arc<Plugin>>, Error> {
    if config.plugins.is_empty() {
        return Ok(HashMap::new());
    }
    let engine = Engine::new().map_err(Error::Engine)?;
    let mut plugins = HashMap::with_capacity(config.plugins.len());
    for configured in &config.plugins {
        let name = configured.name.clone();
        let file = configured.file.display().to_string();
        let wasm = match tokio::fs::read(&configured.file).await {
            Ok(wasm) => wasm,
            Err(source) => return Err(Error::PluginFile { name, file, source }),
        };
        let options = plugin_options(configured);
        let plugin = match Plugin::load(&engine, &name, wasm.into(), options).await {
            Ok(plugin) => plugin,
            Err(source) => return Err(Error::Plugin { name, file, source }),
        };
        info!(plugin = name, file, "plugin loaded");
        plugins.insert(name, plugin);
    }
    Ok(plugins)
}

fn plugin_options(configured: &config::Plugin) -> registry::Options {
    registry::Options {
        config: configured.config.clone().into(),
        limits: configured.limits.clone(),
        on_error: configured.on_error,
    }
}

fn routing(config: &Config, plugins: &HashMap<String, Arc<Plugin>>) -> Routing {
    let subscribers = config.subscriptions.iter().map(|subscription| {
        let chain = subscription.plugins().iter();
        let chain = chain.filter_map(|name| plugins.get(name).cloned()).collect();
        let endpoint = config.endpoints.iter().find(|e| &e.name == subscription.endpoint());
        let schedule = endpoint.map(|endpoint| endpoint.policy.schedule.clone());
        let first_wait_ms = schedule.and_then(|s| s.steps_ms().first().copied()).unwrap_or(0);
        Subscriber { subscription: subscription.clone(), chain, first_wait_ms }
    });
    Routing::new(subscribers.collect())
}

fn places(config: &Config) -> HashMap<String, Place> {
    let named = |endpoint: &livekit_webhook_core::endpoint::Endpoint| {
        (endpoint.name.to_string(), Place::new(endpoint.clone()))
    };
    config.endpoints.iter().map(named).collect()
}

// === impl Shared ===

impl Shared {
    fn open(config: &Config) -> Result<Self, Error> {
        let options = sqlite::Options { dedupe_window_ms: millis(config.store.dedupe_window) };
        let path = &config.store.path;
        let store = SqliteStore::open(path, &options)
            .map_err(|source| Error::Store { path: path.clone(), source })?;
        Ok(Self {
            store: Arc::new(store),
            clock: Arc::new(SystemClock),
            entropy: Arc::new(Entropy::system().map_err(Error::Entropy)?),
            metrics: Arc::new(Metrics::new()),
        })
    }

    fn ingest(&self, config: &Config, bell: Bell) -> Ingest {
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
        Ingest::new(
            config.ingest.options.clone(),
            Verifier::new(ring, config.ingest.rules.clone()),
            sources,
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

    fn deliverer(&self, config: &Config, transport: HyperTransport, bell: Bell) -> Deliverer {
        Deliverer {
            endpoints: places(config),
            in_flight_max: config.deliver.in_flight_max,
            store: self.store.clone(),
            transport: Arc::new(transport),
            clock: self.clock.clone(),
            entropy: self.entropy.clone(),
            bell,
            metrics: self.metrics.clone(),
            in_flight: AtomicUsize::new(0),
            in_flight_bytes: AtomicUsize::new(0),
        }
    }
}

fn transport(config: &Config) -> Result<HyperTransport, Error> {
    let mut roots = rustls::RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    let (trusted, ignored) = roots.add_parsable_certificates(found.certs);
    let https = config.endpoints.iter().any(|endpoint| endpoint.url.is_https());
    if trusted == 0 && https {
        warn!(ignored, "no trusted certificates on this machine, https endpoints will fail");
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(Error::Tls)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = Connector::new(Arc::new(config.deliver.policy.clone()), tls);
    Ok(HyperTransport::new(connector.through(config.deliver.proxy.map(Proxy::at))))
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
