//! The configuration of a gateway, put together from parts.
//!
//! Each part takes the TOML that a story is about as text, so that a story reads like the file a
//! user writes. What every story needs and none is about is written here: free ports, a store in
//! the folder, permission to dial the doubles.

use crate::envoy::root;
use serde_json::Value;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Standard Webhooks secret of every endpoint that names no signing of its own.
pub const STANDARD_SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
/// File name of the store in a gateway's folder.
pub const DATABASE: &str = "livekit-webhook.db";

/// The configuration, as its parts.
#[derive(Clone, Debug)]
pub struct Setup {
    listen: SocketAddr,
    admin: SocketAddr,
    ingest: String,
    deliver: String,
    sections: String,
    database: PathBuf,
    store_url: Option<String>,
    environment: Vec<(String, String)>,
    is_apart: bool,
}

// === impl Setup ===

impl Default for Setup {
    fn default() -> Self {
        Self::new()
    }
}

impl Setup {
    /// Nothing but a store in the folder and free ports; every port of 127.0.0.1 may be dialled
    /// without TLS.
    pub fn new() -> Self {
        let free = SocketAddr::from(([127, 0, 0, 1], 0));
        Self {
            listen: free,
            admin: free,
            ingest: String::new(),
            deliver: "allow = [\"127.0.0.1:*\"]\n".to_owned(),
            sections: String::new(),
            database: DATABASE.into(),
            store_url: None,
            environment: Vec::new(),
            is_apart: false,
        }
    }

    /// Where ingest listens, instead of a free port: for a host that comes back, or that people
    /// look for.
    #[must_use]
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.listen = address;
        self
    }

    /// Where metrics are served, instead of a free port.
    #[must_use]
    pub fn admin(mut self, address: SocketAddr) -> Self {
        self.admin = address;
        self
    }

    /// Lines of `[ingest]`.
    #[must_use]
    pub fn ingest(mut self, lines: &str) -> Self {
        self.ingest += lines;
        self.ingest.push('\n');
        self
    }

    /// Lines of `[deliver]`, in place of the permission to dial 127.0.0.1.
    #[must_use]
    pub fn deliver(mut self, lines: &str) -> Self {
        self.deliver = format!("{lines}\n");
        self
    }

    /// The store at this path instead of in the folder.
    #[must_use]
    pub fn database(mut self, path: &Path) -> Self {
        self.database = path.to_owned();
        self
    }

    /// The store at this URL instead of a file, such as `postgres://…`.
    #[must_use]
    pub fn store_url(mut self, url: &str) -> Self {
        self.store_url = Some(url.to_owned());
        self
    }

    /// A source with one key. `more` is TOML, such as `events = ["room_*"]`.
    #[must_use]
    pub fn source(mut self, name: &str, api_key: &str, secret: &str, more: &str) -> Self {
        let (key, secret) = (quoted(api_key), quoted(secret));
        let keys = format!("keys = [{{ api_key = {key}, secret = {secret} }}]");
        self.section("source", "name", name, &format!("{keys}\n{more}"));
        self
    }

    /// A source with several keys, as TOML: `{ api_key = "a", secret = "b" }, …`.
    #[must_use]
    pub fn source_with_keys(mut self, name: &str, keys: &str) -> Self {
        self.section("source", "name", name, &format!("keys = [{keys}]"));
        self
    }

    /// A plugin from a file. `more` is TOML, such as `config = { fields = ["a"] }`.
    #[must_use]
    pub fn plugin(mut self, name: &str, file: &Path, more: &str) -> Self {
        let file = quoted(&file.to_string_lossy());
        self.section("plugin", "name", name, &format!("file = {file}\n{more}"));
        self
    }

    /// What all plugins have in common, as TOML, such as `chain = ["redact"]`. Once.
    #[must_use]
    pub fn plugins(mut self, lines: &str) -> Self {
        self.sections += &format!("[plugins]\n{lines}\n\n");
        self
    }

    /// An endpoint. `more` is TOML, such as `retry = ["0s", "1s"]`. Without a `signing` in it, the
    /// endpoint signs with [`STANDARD_SECRET`], which is handed over in the environment.
    #[must_use]
    pub fn endpoint(mut self, name: &str, url: &str, more: &str) -> Self {
        let mut lines = format!("url = {}\n", quoted(url));
        if !more.contains("signing") {
            let variable = format!("ENDPOINT_{}_SECRET", name.to_uppercase().replace('-', "_"));
            lines += &format!("secret_env = {}\n", quoted(&variable));
            self.environment.push((variable, STANDARD_SECRET.to_owned()));
        }
        self.section("endpoint", "name", name, &(lines + more));
        self
    }

    /// In a process group of its own, so that a Ctrl-C on the terminal does not reach it. Only for
    /// who catches that and then ends the gateway in order; for all others the terminal must end
    /// it.
    #[must_use]
    pub fn apart(mut self) -> Self {
        self.is_apart = true;
        self
    }

    /// Whether it has a process group of its own.
    pub fn is_apart(&self) -> bool {
        self.is_apart
    }

    /// A variable of the gateway's environment.
    #[must_use]
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A subscription. `more` is TOML, such as `plugins = ["redact"]`.
    #[must_use]
    pub fn subscription(mut self, endpoint: &str, more: &str) -> Self {
        self.section("subscription", "endpoint", endpoint, more);
        self
    }

    /// Variables of the gateway's environment.
    pub fn environment(&self) -> &[(String, String)] {
        &self.environment
    }

    /// Where the store is, for a gateway in `folder`.
    pub fn database_in(&self, folder: &Path) -> PathBuf {
        folder.join(&self.database)
    }

    /// The whole file.
    pub fn to_toml(&self) -> String {
        let Self { listen, admin, ingest, deliver, sections, database, store_url, .. } = self;
        let file = || format!("sqlite:{}", database.display());
        let store = quoted(&store_url.clone().unwrap_or_else(file));
        format!(
            "[ingest]\nlisten = \"{listen}\"\n{ingest}\n[admin]\nlisten = \"{admin}\"\n\n\
             [store]\nurl = {store}\n\n[deliver]\n{deliver}\n{sections}"
        )
    }

    fn section(&mut self, section: &str, key: &str, name: &str, lines: &str) {
        let (name, lines) = (quoted(name), lines.trim_end());
        self.sections += &format!("[[{section}]]\n{key} = {name}\n{lines}\n\n");
    }
}

/// A plugin that `tests/setup/guests` built.
///
/// # Errors
/// When it is missing.
pub fn component(name: &str) -> anyhow::Result<PathBuf> {
    let file = root().join("target/wasm").join(name).with_extension("wasm");
    anyhow::ensure!(file.is_file(), "{file:?} is missing: run tests/setup/guests");
    Ok(file.canonicalize()?)
}

/// A TOML basic string: what JSON writes is one.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}
