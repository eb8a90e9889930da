//! The system of the demo: receivers, the host with its plugins and its embedded store, and Envoy
//! in front.
//!
//! Everything is real but LiveKit itself. Started in the order in which each part needs the others;
//! ended in the opposite one. Dropping it ends both processes by their ids and removes their
//! folders.

use super::SYSTEM_MAX;
use crate::envoy::{self, Envoy};
use crate::gateway::Gateway;
use crate::gateway::setup::{DATABASE, Setup, component};
use crate::receiver::{Answer, Receiver, Seen};
use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use livekit_webhook::store::sqlite::SqliteStore;
use std::net::SocketAddr;
use std::process::ExitStatus;

/// The project's key pair; LiveKit signs with it.
pub const API_KEY: &str = "APIdemo";
/// Its secret.
pub const SECRET: &str = "demo-secret-of-the-project";
/// The shipped events setting of the edge, and what the demo has instead.
const EVENTS_SHIPPED: &str = r#""exclude": []"#;
const EVENTS_DEMO: &str = r#""exclude": ["track_unpublished"]"#;
/// Where Envoy listens when it is left up, and its admin page, as in `envoy/edge.yaml`.
const EDGE_PORTS: [u16; 2] = [10000, 9901];
/// Where the host listens then.
const HOST_PORT: u16 = 8080;
/// Where its metrics are then.
const ADMIN_PORT: u16 = 8081;

/// An endpoint and the receiver behind it.
pub struct Place {
    /// As configured.
    pub name: &'static str,
    /// What it is like.
    pub about: String,
    /// What it checks.
    pub proof: Proof,
    /// The receiver.
    pub receiver: Receiver,
    /// TOML of the endpoint beside name, URL and signature.
    more: &'static str,
    /// TOML of its subscription.
    wants: &'static str,
}

/// How a receiver knows that a delivery is ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// Standard Webhooks with this secret.
    Standard(String),
    /// LiveKit's own token under this key pair.
    Livekit(&'static str, &'static str),
}

/// All of it, running.
pub struct System {
    // In the order in which they are dropped: Envoy first, the receivers last.
    /// The edge.
    pub envoy: Envoy,
    /// The host.
    pub gateway: Gateway,
    /// The host's store, read beside it.
    pub store: SqliteStore,
    /// The endpoints.
    pub places: Vec<Place>,
}

// === impl Proof ===

impl Proof {
    /// In words.
    pub fn words(&self) -> &'static str {
        match self {
            Self::Standard(_) => "Standard Webhooks signature",
            Self::Livekit(..) => "LiveKit token under its own key",
        }
    }

    /// Checks one request as its receiver does.
    ///
    /// # Errors
    /// What does not fit.
    pub fn check(&self, seen: &Seen, now_s: i64) -> anyhow::Result<()> {
        match self {
            Self::Standard(secret) => seen.verify_standard(secret, now_s),
            Self::Livekit(api_key, secret) => {
                seen.verify_livekit(api_key, secret, now_s).map(|_| ())
            }
        }
    }
}

// === impl System ===

impl System {
    /// Starts everything. `crm_status` is what the receiver answers that shall refuse; `is_fixed`
    /// puts it on the ports of `envoy/edge.yaml`.
    ///
    /// # Errors
    /// What did not start, with its own words.
    pub async fn start(crm_status: u16, is_fixed: bool) -> anyhow::Result<Self> {
        if is_fixed {
            EDGE_PORTS.into_iter().chain([HOST_PORT, ADMIN_PORT]).try_for_each(look_at_port)?;
        }
        let places = places(crm_status).await?;
        let setup = setup(&places, is_fixed)?;
        let gateway = Gateway::start(&setup, SYSTEM_MAX).await.context("the host")?;
        let database = gateway.folder().join(DATABASE);
        let store = SqliteStore::open_reader(&database).context("the host's store")?;
        let upstream = gateway.address();
        let mut edge = envoy::Setup::with_keys(&format!("{API_KEY}: {SECRET}"))
            .edit(EVENTS_SHIPPED, EVENTS_DEMO);
        edge.shipped_ports = is_fixed;
        let envoy = tokio::task::spawn_blocking(move || Envoy::start(&edge, upstream)).await?;
        Ok(Self { envoy: envoy.context("the edge")?, gateway, store, places })
    }

    /// The endpoint of this name.
    pub fn place(&self, name: &str) -> Option<&Place> {
        self.places.iter().find(|place| place.name == name)
    }

    /// Ends the edge, then the host in its own order.
    ///
    /// # Errors
    /// When the host does not end.
    pub async fn stop(self) -> anyhow::Result<ExitStatus> {
        let Self { envoy, mut gateway, store, places } = self;
        drop(envoy);
        drop(store);
        let status = gateway.terminate(SYSTEM_MAX).await;
        drop(places);
        status
    }
}

/// Says which port is taken, before a part says it in many more words.
fn look_at_port(port: u16) -> anyhow::Result<()> {
    let listener = std::net::TcpListener::bind(("127.0.0.1", port));
    listener.map(drop).with_context(|| format!("port {port} of 127.0.0.1 cannot be had"))
}

async fn places(crm_status: u16) -> anyhow::Result<Vec<Place>> {
    let standard = |name: &str| {
        let bytes = format!("demo secret of {name}, 24 bytes or more");
        Proof::Standard(format!("whsec_{}", STANDARD.encode(bytes)))
    };
    let billing = Receiver::start().await?;
    billing.script([Answer::status(503)?.header("retry-after", "2"), Answer::status(503)?]);
    let chat = Receiver::start().await?;
    chat.otherwise(Answer::status(200)?.with_body("ok"));
    let archive = Receiver::start().await?;
    archive.otherwise(Answer::status(500)?);
    let crm = Receiver::start().await?;
    crm.otherwise(Answer::status(crm_status)?);
    Ok(vec![
        Place {
            name: "billing",
            about: "down at first: 503 with Retry-After, 503, then takes it".to_owned(),
            proof: standard("billing"),
            receiver: billing,
            more: "retry = [\"0s\", \"1s\", \"1s\", \"5s\"]",
            wants: "events = [\"room_*\"]\nplugins = [\"redact\"]",
        },
        Place {
            name: "team-chat",
            about: "like a Slack incoming webhook".to_owned(),
            proof: standard("team-chat"),
            receiver: chat,
            more: "",
            wants: "events = [\"participant_joined\", \"egress_ended\"]\nplugins = [\"redact\", \"slack\"]",
        },
        Place {
            name: "live-map",
            about: "made with LiveKit's SDK: checks LiveKit's own token".to_owned(),
            proof: Proof::Livekit("APIlivemap", "demo-secret-of-live-map"),
            receiver: Receiver::start().await?,
            more: "",
            wants: "events = [\"track_*\", \"room_finished\"]",
        },
        Place {
            name: "archive",
            about: "broken: 500, always".to_owned(),
            proof: standard("archive"),
            receiver: archive,
            more: "retry = [\"0s\", \"1s\"]",
            wants: "events = [\"egress_*\"]\nplugins = [\"redact\"]",
        },
        Place {
            name: "crm",
            about: format!("answers {crm_status}, and its 4xx are final"),
            proof: standard("crm"),
            receiver: crm,
            more: "client_errors = \"final\"",
            wants: "events = [\"participant_left\"]\nplugins = [\"redact\"]",
        },
    ])
}

fn setup(places: &[Place], is_fixed: bool) -> anyhow::Result<Setup> {
    let address = |port| SocketAddr::from(([127, 0, 0, 1], if is_fixed { port } else { 0 }));
    let ports = places.iter().map(|place| format!("\"{}\"", place.receiver.address()));
    let ports: Vec<_> = ports.collect();
    let mut setup = Setup::new()
        .listen(address(HOST_PORT))
        .admin(address(ADMIN_PORT))
        .apart()
        .deliver(&format!("allow = [{}]", ports.join(", ")))
        .source("demo", API_KEY, SECRET, "")
        .plugin("redact", &component("redact")?, "config = { fields = [\"default\"] }")
        .plugin("slack", &component("slack")?, "config = { events = [\"*\"] }");
    for place in places {
        let Place { name, more, wants, .. } = place;
        let variable = format!("{}_SECRET", name.to_uppercase().replace('-', "_"));
        let (signing, secret) = match &place.proof {
            Proof::Standard(secret) => {
                (format!("signing = [\"standard\"]\nsecret_env = \"{variable}\""), secret.as_str())
            }
            Proof::Livekit(api_key, secret) => {
                let pair = format!("{{ api_key = \"{api_key}\", secret_env = \"{variable}\" }}");
                (format!("signing = [\"livekit\"]\nlivekit = {pair}"), *secret)
            }
        };
        setup = setup
            .variable(&variable, secret)
            .endpoint(name, &place.receiver.url("/"), &format!("{signing}\n{more}"))
            .subscription(name, wants);
    }
    Ok(setup)
}
