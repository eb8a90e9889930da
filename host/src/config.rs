//! The configuration: a TOML file, read strictly, checked whole.
//!
//! [`Config::load`] reads the file once and gives either a `Config` in which every value is right,
//! or *all* problems with their keys. Nothing downstream checks again. Paths are relative to the
//! file's folder. Secrets come from a file or an environment variable, may stand in the file for
//! trying things out, and print as `[redacted]`.

mod dump;
pub mod duration;
mod endpoint;
mod instant;
mod parse;
pub mod past;
mod plugin;
mod reader;
mod secret;
mod traffic;

pub use reader::Problem;
pub use secret::{Bytes as SecretBytes, Environment};

use crate::ingest;
use crate::plugin::limits::Limits;
use crate::plugin::permission::Permissions;
use crate::plugin::registry::OnError;
use crate::store::Retention;
use crate::store::plugin_state::Limits as StateLimits;
use crate::store::url::Url;
use crate::vault::Vault;
use livekit_webhook_core::address_policy::AddressPolicy;
use livekit_webhook_core::address_policy::allow::Allow;
use livekit_webhook_core::endpoint::{Endpoint, EndpointUrl};
use livekit_webhook_core::subscription::Subscription;
use livekit_webhook_wire::glob::Glob;
use livekit_webhook_wire::verify::Rules;
use std::collections::BTreeMap;
use std::io::Read;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Longest name of a host, in bytes: that of a domain name.
pub const HOST_BYTES_MAX: usize = 255;
/// Largest configuration file, in bytes.
pub const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Everything the host needs to know, all of it valid.
#[derive(Clone, Debug)]
pub struct Config {
    /// `[ingest]`
    pub ingest: Ingest,
    /// `[admin] listen`: metrics and health. `None`: not served.
    pub admin: Option<SocketAddr>,
    /// `[store]`
    pub store: Store,
    /// `[[source]]`, at least one.
    pub sources: Vec<Source>,
    /// `[plugins]`
    pub deploy: Plugins,
    /// `[[plugin]]`
    pub plugins: Vec<Plugin>,
    /// `[[endpoint]]`
    pub endpoints: Vec<Endpoint>,
    /// `[[subscription]]`, in order.
    pub subscriptions: Vec<Subscription>,
    /// `[deliver]`
    pub deliver: Deliver,
    /// `[secrets]`: the keys that seal secrets in the store. Without any, none can be kept there.
    pub vault: Vault,
}

/// `[ingest]`
#[derive(Clone, Debug)]
pub struct Ingest {
    /// Where LiveKit, or the Envoy in front, sends to.
    pub listen: SocketAddr,
    /// Limits and choices.
    pub options: ingest::Options,
    /// How tokens are judged.
    pub rules: Rules,
}

/// `[store]`
#[derive(Clone, Debug)]
pub struct Store {
    /// Where it is.
    pub url: Url,
    /// Most connections of this host, when it is a database.
    pub connections_max: usize,
    /// How long an event id is remembered.
    pub dedupe_window: Duration,
    /// How long what has ended is kept.
    pub retention: Retention,
}

/// `[[source]]`
#[derive(Clone, Debug)]
pub struct Source {
    /// Of the LiveKit project.
    pub name: String,
    /// Keys with their secrets; a key may stand several times.
    pub keys: Vec<Key>,
    /// Event types taken; empty: all.
    pub events: Vec<Glob>,
    /// LiveKit's server API, for plugins that ask it.
    pub server: Option<EndpointUrl>,
}

/// One secret of one key.
#[derive(Clone, Debug)]
pub struct Key {
    /// LiveKit API key.
    pub api_key: String,
    /// Its secret.
    pub secret: secret::Bytes,
}

/// `[plugins]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plugins {
    /// Where versions, capsules and quarantines are kept. Made when something is to be kept.
    pub folder: PathBuf,
    /// Whether the files of plugins are looked at while the host runs.
    pub watch: bool,
    /// What each plugin may keep for each source.
    pub state: StateLimits,
    /// The plugins of every subscription that names none.
    pub chain: Vec<String>,
}

/// `[[plugin]]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plugin {
    /// As subscriptions call it.
    pub name: String,
    /// The component.
    pub file: PathBuf,
    /// Handed to the plugin, as JSON.
    pub config: String,
    /// What a failure means for the event. A filter must be given one.
    pub on_error: Option<OnError>,
    /// Its sandbox.
    pub limits: Limits,
    /// What it may reach, as far as its manifest asks for it.
    pub grant: Permissions,
    /// `[[plugin.secret]]`, by name.
    pub secrets: BTreeMap<String, secret::Bytes>,
    /// How long an instance lives.
    pub instances: Instances,
    /// Whether what it asks for beyond its grant is written down.
    pub learn: bool,
    /// Called beside it to be compared, its answers dropped.
    pub shadow: Option<PathBuf>,
    /// Called in its place for some rooms.
    pub canary: Option<Canary>,
}

/// How long an instance of a plugin lives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Instances {
    /// One call.
    #[default]
    Fresh,
    /// Many calls, one after the other.
    Warm,
}

/// `canary` of a `[[plugin]]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Canary {
    /// The component.
    pub file: PathBuf,
    /// Of rooms, 1 to 100.
    pub percent: u8,
}

/// `[deliver]`
#[derive(Clone, Debug)]
pub struct Deliver {
    /// Attempts in flight over all endpoints.
    pub in_flight_max: usize,
    /// What may be dialled.
    pub policy: AddressPolicy,
    /// The exceptions in `policy`, for printing.
    pub allow: Vec<Allow>,
    /// Whether `policy` lets every address be reached without TLS, for printing.
    pub plain_http: bool,
    /// How long attempts may go on after a stop signal.
    pub grace: Duration,
    /// The HTTP proxy that every connection goes through.
    pub proxy: Option<SocketAddr>,
    /// What the attempt log calls this host: as configured, else the machine's name, where the
    /// system tells it.
    pub host: Option<String>,
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Everything that is wrong with it.
    #[error("{}", print(path, problems))]
    Problems {
        /// The file.
        path: PathBuf,
        /// All of them, in the order of the file's sections.
        problems: Vec<Problem>,
    },
}

// === impl Config ===

impl Config {
    /// Reads and checks `path`.
    ///
    /// # Errors
    /// [`Error::Read`], or [`Error::Problems`] with all of them.
    pub fn load(path: &Path, environment: &Environment) -> Result<Self, Error> {
        let read = |source| Error::Read { path: path.to_owned(), source };
        let folder = path.parent().unwrap_or(Path::new(""));
        let parsed = match read_bounded(path, FILE_BYTES_MAX).map_err(read)? {
            Some(bytes) => match String::from_utf8(bytes) {
                Ok(text) => Self::parse(&text, folder, environment),
                Err(_) => Err(whole("not TOML: the file is not UTF-8".to_owned())),
            },
            None => Err(whole(format!("the file is over {FILE_BYTES_MAX} bytes"))),
        };
        parsed.map_err(|problems| Error::Problems { path: path.to_owned(), problems })
    }

    /// Checks `text`; paths in it are relative to `folder`.
    ///
    /// # Errors
    /// All problems.
    pub fn parse(
        text: &str,
        folder: &Path,
        environment: &Environment,
    ) -> Result<Self, Vec<Problem>> {
        parse::parse(text, folder, environment)
    }

    /// The effective values, as TOML. Secrets are `[redacted]`.
    pub fn dump(&self) -> String {
        dump::dump(self)
    }
}

/// A problem with the file as a whole.
fn whole(text: String) -> Vec<Problem> {
    vec![Problem { key: String::new(), text }]
}

/// The bytes of a file, or `None` when there are more than `bytes_max`. A pipe or a device has no
/// length to be asked for, so it is counted as it is read.
fn read_bounded(path: &Path, bytes_max: u64) -> std::io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64 <= bytes_max).then_some(bytes))
}

fn print(path: &Path, problems: &[Problem]) -> String {
    let count = problems.len();
    let noun = if count == 1 { "problem" } else { "problems" };
    let mut text = format!("{}: {count} {noun}", path.display());
    for problem in problems {
        text.push_str(&format!("\n  {problem}"));
    }
    text
}

#[cfg(test)]
mod tests;
