//! What a component says of itself: `plugin.toml`, embedded as a custom section of its file, so that
//! one file is all there is to copy, and nothing of it has to run to be read.
//!
//! A component without one says nothing of what it wants. One that is embedded is a stranger's
//! text: it is read as strictly as a `plugin.toml`, and within [`MANIFEST_BYTES_MAX`].

pub mod expect;
mod parse;
mod reader;
pub mod schema;
pub mod secret;
mod section;
mod version;

use super::Interface;
use super::permission::Permissions;
use super::registry::OnError;
use schema::Schema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// Name of the custom section: JSON of a [`Manifest`].
pub const SECTION: &str = "livekit-webhook:manifest";
/// Name of the file.
pub const FILE: &str = "plugin.toml";
/// The version of this gateway.
pub const GATEWAY: &str = env!("CARGO_PKG_VERSION");
/// The only schema there is.
pub const SCHEMA: u32 = 1;
/// Bytes of an embedded manifest, and of a `plugin.toml`, with all fixtures.
pub const MANIFEST_BYTES_MAX: usize = 256 * 1024;

/// `plugin.toml`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Manifest {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Of the plugin; an operator may configure it under another one.
    pub name: String,
    /// By SemVer.
    pub version: String,
    /// Version of the contract it was built for. `plugin build` fills it in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api: Option<String>,
    /// The first gateway that it runs on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_gateway: Option<String>,
    /// What it is written in. `plugin build` reads it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<Language>,
    /// The one interface it is called for, when it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub world: Option<Export>,
    /// Interfaces it exports, such as `transform` and `lifecycle`. The build of every language but
    /// Rust needs them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exports: Vec<Export>,
    /// What follows a fault, where the operator does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_error: Option<OnError>,
    /// How long its author thinks that an instance may live. Only the operator gives that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instances: Option<Instances>,
    /// One line.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// SPDX.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub license: Option<String>,
    /// A URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub homepage: Option<String>,
    /// What it asks for.
    #[serde(skip_serializing_if = "Permissions::is_none")]
    pub permissions: Permissions,
    /// Rows of [`super::limits`] by name. Only below their defaults.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub limits: BTreeMap<String, u64>,
    /// The JSON Schema of its configuration. The value of a property with `"secret": true` is not
    /// printed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<Value>,
    /// Examples that must hold: `plugin test` runs them, and so does a host before it lets a new
    /// version serve.
    #[serde(rename = "fixture", skip_serializing_if = "Vec::is_empty")]
    pub fixtures: Vec<Fixture>,
}

/// What a plugin is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// Any edition.
    Rust,
    /// For QuickJS.
    JavaScript,
    /// CPython.
    Python,
    /// C.
    C,
}

/// An interface of the contract that a component exports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(into = "&'static str")]
pub enum Export {
    /// One that is called once an event.
    Called(Interface),
    /// The one that checks the configuration.
    Lifecycle,
}

/// How long an instance lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Instances {
    /// One call.
    Fresh,
    /// Many calls for events of one source.
    Warm,
}

/// One event and what must come of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fixture {
    /// Unique within the manifest.
    pub name: String,
    /// The webhook body. In `plugin.toml` also a path to a file with it; embedded it is the body.
    pub event: Value,
    /// Attributes that earlier plugins of the chain added.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
    /// The configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<Value>,
    /// Answers to the plugin's requests, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub http: Vec<MockedHttp>,
    /// State before the call: keys and values.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub state: BTreeMap<String, String>,
    /// Answers of LiveKit by function, such as `get-room`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub livekit: BTreeMap<String, Value>,
    /// What must come of it: see [`expect`]. In `plugin.toml` also a path to a file with it.
    pub expect: Value,
    /// Most fuel it may burn: a regression of the plugin's cost fails its test.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fuel_max: Option<u64>,
}

/// One exchange of a fixture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MockedHttp {
    /// The request must have this method and URL: `POST https://api.example.com/v1`.
    pub request: String,
    /// And this body, when it is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
    /// And these headers among others, with secrets as `test-secret-NAME`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// Status of the answer. 0 stands for no answer: nobody is there.
    pub status: u16,
    /// Body of the answer: text as it is, anything else as JSON.
    #[serde(default)]
    pub answer: Value,
}

/// Why there is no manifest to read, or none to embed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Neither a module nor a component.
    #[error("this is not WebAssembly")]
    NotWasm,
    /// A section ends after the file.
    #[error("the file is cut off or damaged")]
    Cut(#[source] wasmparser::BinaryReaderError),
    /// Whose would hold?
    #[error("the file has two manifests: build it again")]
    Twice,
    /// Over the limit.
    #[error("the manifest has {bytes} bytes, at most {MANIFEST_BYTES_MAX} are allowed")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// It is for a gateway that came after this one.
    #[error(
        "needs livekit-webhook {needs} or later (min_gateway), and this is {GATEWAY}: update it"
    )]
    Newer {
        /// The first that will do.
        needs: String,
    },
    /// Not TOML, or not JSON.
    #[error("the manifest cannot be read: {0}")]
    Syntax(String),
    /// Every problem, each with its key and what would be right.
    #[error("the manifest is not right:\n  {}", .0.join("\n  "))]
    Invalid(Vec<String>),
}

// === impl Manifest ===

impl Manifest {
    /// Reads a `plugin.toml`. Paths in it are of `folder`.
    ///
    /// # Errors
    /// [`Error::Syntax`], [`Error::TooLarge`], or [`Error::Invalid`] with every problem.
    pub fn parse(text: &str, folder: &Path) -> Result<Self, Error> {
        if text.len() > MANIFEST_BYTES_MAX {
            return Err(Error::TooLarge { bytes: text.len() });
        }
        let table: toml::Table =
            toml::from_str(text).map_err(|error| Error::Syntax(error.to_string()))?;
        let members = parse::json(table).map_err(|problem| Error::Invalid(vec![problem]))?;
        parse::manifest(members, Some(folder))
    }

    /// Reads what is embedded in `wasm`, without running or compiling anything. `None` when nothing
    /// is.
    ///
    /// # Errors
    /// As [`Manifest::parse`], and when the file is no WebAssembly or is damaged.
    pub fn read(wasm: &[u8]) -> Result<Option<Self>, Error> {
        let Some(bytes) = section::find(wasm)? else {
            return Ok(None);
        };
        match serde_json::from_slice(bytes).map_err(|error| Error::Syntax(error.to_string()))? {
            Value::Object(members) => parse::manifest(members, None).map(Some),
            _ => Err(Error::Syntax("it must be a JSON object".to_owned())),
        }
    }

    /// The file with this manifest in it, in the place of any other.
    ///
    /// # Errors
    /// When `wasm` is no WebAssembly, or the manifest is over [`MANIFEST_BYTES_MAX`].
    pub fn embed(&self, wasm: &[u8]) -> Result<Vec<u8>, Error> {
        let bytes = serde_json::to_vec(self).map_err(|error| Error::Syntax(error.to_string()))?;
        section::put(wasm, &bytes)
    }

    /// Reads a grant: TOML with the keys of `[permissions]`, or below `[plugin.grant]`, as learning
    /// mode writes them.
    ///
    /// # Errors
    /// [`Error::Syntax`], or [`Error::Invalid`] with every problem.
    pub fn parse_grant(text: &str) -> Result<Permissions, Error> {
        let table: toml::Table =
            toml::from_str(text).map_err(|error| Error::Syntax(error.to_string()))?;
        let members = parse::json(table).map_err(|problem| Error::Invalid(vec![problem]))?;
        parse::grant(members)
    }

    /// Whether a plugin may have this name: the same rule as in the gateway's configuration.
    pub fn is_name(name: &str) -> bool {
        parse::is_name(name)
    }

    /// What it says of its exports and is not so, when a component exports `exported`.
    pub fn contradicts(&self, exported: &[&str]) -> Option<String> {
        let others = |world: Export| {
            let called = Interface::ALL.into_iter().filter(|i| exported.contains(&i.as_str()));
            called.count() > 1 || !exported.contains(&world.as_str())
        };
        let said = if let Some(world) = self.world.filter(|world| others(*world)) {
            format!("world = {:?}", world.as_str())
        } else {
            let mut exports = self.exports.iter().map(|export| export.as_str());
            let missing = exports.find(|export| !exported.contains(export))?;
            format!("exports = [… {missing:?} …]")
        };
        let exported = if exported.is_empty() { "nothing".to_owned() } else { exported.join(", ") };
        Some(format!("{FILE} says {said}, and the component exports {exported}"))
    }

    /// The configuration's schema, when it has one.
    ///
    /// # Errors
    /// Every problem of the schema.
    pub fn schema(&self) -> Result<Option<Schema>, Vec<String>> {
        self.config.as_ref().map(Schema::new).transpose()
    }

    /// Where the configuration may hold secrets: `token`, `servers[].token`.
    pub fn secret_fields(&self) -> Vec<String> {
        let print = |path: &Vec<String>| path.join(".").replace(".*", "[]");
        self.secret_paths().iter().map(print).collect()
    }

    /// Puts [`secret::REDACTED`] in the place of every secret of `config`; whether there were any.
    pub fn redact(&self, config: &mut Value) -> bool {
        secret::redact(&self.secret_paths(), config)
    }

    fn secret_paths(&self) -> Vec<schema::Path> {
        self.schema().ok().flatten().map(|schema| schema.secrets()).unwrap_or_default()
    }
}

// === impl Language ===

impl Language {
    /// All of them, by their word in `plugin.toml`.
    pub const ALL: [(&'static str, Self); 4] = [
        ("rust", Self::Rust),
        ("javascript", Self::JavaScript),
        ("python", Self::Python),
        ("c", Self::C),
    ];

    /// As in `plugin.toml`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::JavaScript => "javascript",
            Self::Python => "python",
            Self::C => "c",
        }
    }
}

// === impl Instances ===

impl Instances {
    /// Both, by their word.
    pub const ALL: [(&'static str, Self); 2] = [("fresh", Self::Fresh), ("warm", Self::Warm)];
}

// === impl Export ===

impl Export {
    /// As in the contract.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Called(interface) => interface.as_str(),
            Self::Lifecycle => "lifecycle",
        }
    }
}

impl From<Export> for &'static str {
    fn from(export: Export) -> Self {
        export.as_str()
    }
}

#[cfg(test)]
mod tests;
