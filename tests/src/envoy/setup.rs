//! What differs from a shipped configuration.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

use super::root;

/// The one file that stands in front of no host.
const EGRESS: &str = "egress.yaml";

/// Workers, unless a story says otherwise.
const WORKERS: u32 = 2;

/// What differs from the shipped configuration.
#[derive(Clone, Debug, Default)]
pub struct Setup {
    /// The file, in `envoy/`; empty: `edge.yaml`.
    pub file: String,
    /// `LIVEKIT_KEYS`, in LiveKit's form. `None`: not set.
    pub keys: Option<String>,
    /// Other variables.
    pub variables: Vec<(String, String)>,
    /// The filter's JSON, when it is not the shipped one.
    pub filter_json: Option<String>,
    /// Texts of the YAML and what stands in for them. Each must be there.
    pub edits: Vec<(String, String)>,
    /// The shipped ports for webhooks and for the admin page, not free ones.
    pub shipped_ports: bool,
    /// Workers; 0: two.
    pub concurrency: u32,
}

// === impl Setup ===

impl Setup {
    /// The shipped `edge.yaml` with these keys.
    pub fn with_keys(keys: &str) -> Self {
        Self { keys: Some(keys.to_owned()), ..Self::default() }
    }

    /// Another file of `envoy/`.
    #[must_use]
    pub fn file(mut self, name: &str) -> Self {
        name.clone_into(&mut self.file);
        self
    }

    /// With one more variable in Envoy's environment.
    #[must_use]
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With so many workers.
    #[must_use]
    pub fn concurrency(mut self, workers: u32) -> Self {
        self.concurrency = workers;
        self
    }

    /// With this JSON for the filter.
    #[must_use]
    pub fn filter(mut self, json: &str) -> Self {
        self.filter_json = Some(json.to_owned());
        self
    }

    /// With `from` replaced by `to`.
    #[must_use]
    pub fn edit(mut self, from: &str, to: &str) -> Self {
        self.edits.push((from.to_owned(), to.to_owned()));
        self
    }

    /// On the ports of the shipped file.
    #[must_use]
    pub fn shipped_ports(mut self) -> Self {
        self.shipped_ports = true;
        self
    }

    /// How many workers Envoy gets.
    pub fn workers(&self) -> u32 {
        if self.concurrency == 0 { WORKERS } else { self.concurrency }
    }

    /// Writes the configuration to `path`, and its filter file, if it has one, into `folder`.
    pub(super) fn write(&self, path: &Path, folder: &Path, upstream: SocketAddr) -> Result<()> {
        let name = if self.file.is_empty() { "edge.yaml" } else { &self.file };
        let shipped = |name: &str| {
            let path = root().join("envoy").join(name);
            std::fs::read_to_string(&path).with_context(|| format!("reading {path:?}"))
        };
        let mut yaml = shipped(name)?;
        let free = |port: &str| (format!("port_value: {port}"), "port_value: 0".to_owned());
        let edits = if name == EGRESS {
            vec![free("15001"), free("9902")]
        } else {
            let host = "address: 127.0.0.1, port_value: 8080".to_owned();
            let own = format!("address: {}, port_value: {}", upstream.ip(), upstream.port());
            let ports = [free("10000"), free("9901")].into_iter().filter(|_| !self.shipped_ports);
            ports.chain([(host, own)]).collect()
        };
        for (from, to) in &edits {
            ensure!(yaml.contains(from), "envoy/{name} has no `{from}`");
            yaml = yaml.replace(from, to);
        }
        let (file, shipped_file) = (filter_file(folder), "envoy/filter.ecds.yaml");
        let mut filter = String::new();
        if yaml.contains(shipped_file) {
            filter = shipped("filter.ecds.yaml")?;
            yaml = yaml.replace(shipped_file, &file.display().to_string());
        }
        for (from, to) in &self.edits {
            ensure!(yaml.contains(from) || filter.contains(from), "envoy/{name} has no `{from}`");
            yaml = yaml.replace(from, to);
            filter = filter.replace(from, to);
        }
        if let Some(json) = &self.filter_json {
            let place = if filter.is_empty() { &mut yaml } else { &mut filter };
            *place = with_json(place, json).with_context(|| format!("envoy/{name}: no JSON"))?;
        }
        if !filter.is_empty() {
            std::fs::write(file, filter)?;
        }
        Ok(std::fs::write(path, yaml)?)
    }
}

/// Where the filter's own file is put.
pub(super) fn filter_file(folder: &Path) -> PathBuf {
    folder.join("filter.ecds.yaml")
}

/// The YAML with another JSON for the filter.
fn with_json(yaml: &str, json: &str) -> Option<String> {
    let (head, rest) = yaml.split_once("value: |\n")?;
    let tail_at = rest.find("vm_config:")?;
    let indent = rest.get(..tail_at)?.rsplit('\n').next()?;
    let json = json.replace('\'', "''");
    Some(format!("{head}value: '{json}'\n{indent}{}", rest.get(tail_at..)?))
}
