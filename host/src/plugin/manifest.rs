//! What a component says of itself: `plugin.toml`, embedded as a custom section of its file, so that
//! one file is all there is to copy, and nothing of it has to run to be read.
//!
//! A component without one is a plugin that asks for nothing.

use super::permission::Permissions;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// Name of the custom section: JSON of a [`Manifest`].
pub const SECTION: &str = "livekit-webhook:manifest";
/// The only schema there is.
pub const SCHEMA: u32 = 1;

/// `plugin.toml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Of the plugin; an operator may configure it under another one.
    pub name: String,
    /// By SemVer.
    pub version: String,
    /// One line.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// SPDX.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub license: Option<String>,
    /// A URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub homepage: Option<String>,
    /// What it asks for.
    #[serde(default, skip_serializing_if = "Permissions::is_none")]
    pub permissions: Permissions,
    /// Rows of [`super::limits`] by name. Only below their defaults.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub limits: BTreeMap<String, u64>,
    /// The JSON Schema of its configuration. A property with `"secret": true` may be read from a
    /// file or a variable, and is not printed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<Value>,
    /// Examples that must hold: `plugin test` runs them, and so does a host before it lets a new
    /// version serve.
    #[serde(default, rename = "fixture", skip_serializing_if = "Vec::is_empty")]
    pub fixtures: Vec<Fixture>,
}

/// One event and what must come of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fixture {
    /// Unique within the manifest.
    pub name: String,
    /// The webhook body. In `plugin.toml` also a path to a file with it; embedded it is the body.
    pub event: Value,
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
    /// What must come of it: see `plugin test --help`.
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
    /// Status of the answer.
    pub status: u16,
    /// Body of the answer: text as it is, anything else as JSON.
    #[serde(default)]
    pub answer: Value,
}
