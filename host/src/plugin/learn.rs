//! Learning what a plugin needs: with `learn = true` it may do all that its manifest asks, every use
//! is observed, and the least grant that would have allowed it is written down for the operator.
//!
//! [`Observed`] is a value: uses go in, [`Observed::grant`] comes out. A [`Learner`] keeps one for a
//! plugin and writes `grant.toml` whenever the grant changes, which it does a few times and then no
//! more. It begins with what the file says, so a restart forgets nothing; the operator starts anew by
//! removing it before a start.
//!
//! Guarantee: the grant that is written allows every use that was observed, up to [`HOSTS_MAX`]
//! hosts. Non-guarantee: that it allows the next one.

use super::permission::{
    Clock, HttpRule, LiveKitFunction, Permissions, Random, Scheme, StateAccess,
};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use tracing::{info, warn};

/// Most hosts that are told apart; uses of more are not observed.
pub const HOSTS_MAX: usize = 64;
/// Most methods of one host; with more the grant names none, which stands for any.
const METHODS_MAX: usize = 16;
/// Longest file that is read again, in bytes.
const FILE_BYTES_MAX: u64 = 256 * 1024;

/// One use of what is outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use<'a> {
    /// A request.
    Http {
        /// TLS or not.
        scheme: Scheme,
        /// A name in lower case without a trailing dot, or an address.
        host: &'a str,
        /// The port.
        port: u16,
        /// In upper case.
        method: &'a str,
        /// Begins with a slash, as the plugin wrote it; a query is not looked at.
        path: &'a str,
        /// Names of the secrets that were put into it.
        secrets: &'a [&'a str],
    },
    /// State, for reading or for writing.
    State(StateAccess),
    /// A question to LiveKit.
    LiveKit(LiveKitFunction),
}

/// What was used so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    hosts: BTreeMap<(String, u16, bool), HostUse>,
    state: StateAccess,
    livekit: BTreeSet<LiveKitFunction>,
    /// What is not a use but an open question of the plugin's sandbox: kept as it was read.
    rest: Permissions,
}

/// Requests to one host.
#[derive(Clone, Debug, PartialEq, Eq)]
struct HostUse {
    /// `None`: too many to name.
    methods: Option<BTreeSet<String>>,
    /// The segments that all paths begin with.
    path: Vec<String>,
    secrets: BTreeSet<String>,
}

/// Observes one plugin, and writes.
#[derive(Debug)]
pub struct Learner {
    file: PathBuf,
    observed: Mutex<Observed>,
}

/// As it stands in a configuration, below the `[[plugin]]`.
#[derive(Deserialize)]
struct Pasted {
    plugin: Granted,
}

#[derive(Deserialize)]
struct Granted {
    grant: Permissions,
}

// === impl Observed ===

impl Observed {
    /// What a grant allows, as if it had been used.
    pub fn of(grant: &Permissions) -> Self {
        let rest =
            Permissions { clock: grant.clock, random: grant.random, ..Permissions::default() };
        let livekit = grant.livekit.iter().copied().collect();
        let mut observed = Self { hosts: BTreeMap::new(), state: grant.state, livekit, rest };
        for rule in grant.http.iter().take(HOSTS_MAX) {
            let methods = rule.methods.iter().map(|method| method.to_ascii_uppercase());
            let used = HostUse {
                methods: Some(methods.collect()).filter(|_| !rule.methods.is_empty()),
                path: segments(rule.path_prefix.as_deref().unwrap_or_default()),
                secrets: rule.secrets.iter().cloned().collect(),
            };
            observed.hosts.insert(place(rule.scheme, &rule.host, rule.port()), used);
        }
        observed
    }

    /// Adds a use. Whether the grant is another now.
    pub fn add(&mut self, used: Use<'_>) -> bool {
        match used {
            Use::State(access) => {
                let before = self.state;
                self.state = before.max(access);
                self.state != before
            }
            Use::LiveKit(function) => self.livekit.insert(function),
            Use::Http { scheme, host, port, method, path, secrets } => {
                let is_full = self.hosts.len() >= HOSTS_MAX;
                let path = segments(path.split('?').next().unwrap_or_default());
                match self.hosts.get_mut(&place(scheme, host, port)) {
                    Some(known) => known.add(method, &path, secrets),
                    None if is_full => false,
                    None => {
                        let methods = Some(BTreeSet::from([method.to_owned()]));
                        let secrets = secrets.iter().map(ToString::to_string).collect();
                        let used = HostUse { methods, path, secrets };
                        self.hosts.insert(place(scheme, host, port), used);
                        true
                    }
                }
            }
        }
    }

    /// The least that allows all of it.
    pub fn grant(&self) -> Permissions {
        let rules = self.hosts.iter().map(|((host, port, is_https), used)| {
            let scheme = if *is_https { Scheme::Https } else { Scheme::Http };
            let mut rule = HttpRule {
                scheme,
                host: host.clone(),
                port: None,
                methods: used.methods.iter().flatten().cloned().collect(),
                path_prefix: Some(format!("/{}", used.path.join("/"))),
                secrets: used.secrets.iter().cloned().collect(),
            };
            rule.path_prefix.take_if(|_| used.path.is_empty());
            if rule.port() != *port {
                rule.port = Some(*port);
            }
            rule
        });
        let livekit = self.livekit.iter().copied().collect();
        Permissions { http: rules.collect(), state: self.state, livekit, ..self.rest.clone() }
    }
}

// === impl HostUse ===

impl HostUse {
    fn add(&mut self, method: &str, path: &[String], secrets: &[&str]) -> bool {
        let before = self.clone();
        if let Some(methods) = &mut self.methods
            && !methods.contains(method)
        {
            methods.insert(method.to_owned());
            if methods.len() > METHODS_MAX {
                self.methods = None;
            }
        }
        let common = self.path.iter().zip(path).take_while(|(a, b)| a == b).count();
        self.path.truncate(common);
        self.secrets.extend(secrets.iter().map(ToString::to_string));
        *self != before
    }
}

// === impl Learner ===

impl Learner {
    /// Goes on with what `file` says; one that is not there or cannot be read is begun anew.
    pub fn new(file: PathBuf) -> Self {
        let known = read(&file).map(|grant| Observed::of(&grant));
        Self { file, observed: Mutex::new(known.unwrap_or_default()) }
    }

    /// Notes a use of `plugin`. Writes the file when the grant is another now; a file that cannot be
    /// written is told in the log, and the plugin goes on.
    pub fn observe(&self, plugin: &str, used: Use<'_>) {
        // Held while it writes, so that the file is always the newest.
        let mut observed = self.observed.lock().unwrap_or_else(PoisonError::into_inner);
        if !observed.add(used) {
            return;
        }
        match write(&self.file, plugin, &observed.grant()) {
            Ok(()) => info!(plugin, file = %self.file.display(), "the plugin needs more"),
            Err(error) => warn!(
                plugin,
                file = %self.file.display(),
                error = &error as &dyn std::error::Error,
                "what the plugin needs was not written"
            ),
        }
    }

    /// What would have been enough so far.
    pub fn grant(&self) -> Permissions {
        self.observed.lock().unwrap_or_else(PoisonError::into_inner).grant()
    }
}

/// `None` when there is nothing to go on with.
fn read(file: &Path) -> Option<Permissions> {
    let mut text = String::new();
    fs::File::open(file).ok()?.take(FILE_BYTES_MAX).read_to_string(&mut text).ok()?;
    toml::from_str::<Pasted>(&text).ok().map(|pasted| pasted.plugin.grant)
}

/// Whole or not at all: beside it first, then in its place.
fn write(file: &Path, plugin: &str, grant: &Permissions) -> std::io::Result<()> {
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    let beside = file.with_extension("toml.new");
    fs::write(&beside, text(plugin, grant))?;
    fs::rename(&beside, file)
}

/// The file, as an operator would write it.
fn text(plugin: &str, grant: &Permissions) -> String {
    let mut toml = format!(
        "# What the plugin {plugin} has used so far. Read it, put it below its [[plugin]] in the\n\
         # configuration, and take `learn = true` away.\n[plugin.grant]\n"
    );
    let mut line = |name: &str, value: String| toml.push_str(&format!("{name} = {value}\n"));
    if grant.state != StateAccess::None {
        line("state", quoted(grant.state.as_str()));
    }
    if !grant.livekit.is_empty() {
        line("livekit", list(grant.livekit.iter().map(|function| function.as_str())));
    }
    if grant.clock == Clock::Real {
        line("clock", quoted("real"));
    }
    if grant.random == Random::System {
        line("random", quoted("system"));
    }
    for rule in &grant.http {
        line("\n[[plugin.grant.http]]\nhost", quoted(&rule.host));
        if rule.scheme == Scheme::Http {
            line("scheme", quoted("http"));
        }
        if let Some(port) = rule.port {
            line("port", port.to_string());
        }
        if !rule.methods.is_empty() {
            line("methods", list(rule.methods.iter().map(String::as_str)));
        }
        if let Some(path) = &rule.path_prefix {
            line("path_prefix", quoted(path));
        }
        if !rule.secrets.is_empty() {
            line("secrets", list(rule.secrets.iter().map(String::as_str)));
        }
    }
    toml
}

fn list<'a>(items: impl Iterator<Item = &'a str>) -> String {
    format!("[{}]", items.map(quoted).collect::<Vec<_>>().join(", "))
}

/// JSON's escapes are TOML's. Only JSON lets the last of ASCII stand as it is.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string().replace('\u{7f}', "\\u007f")
}

fn place(scheme: Scheme, host: &str, port: u16) -> (String, u16, bool) {
    (host.to_ascii_lowercase(), port, scheme == Scheme::Https)
}

/// Without the slash at the end, which says nothing more.
fn segments(path: &str) -> Vec<String> {
    let path = path.trim_end_matches('/');
    path.strip_prefix('/')
        .map(|path| path.split('/').map(str::to_owned).collect())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests;
