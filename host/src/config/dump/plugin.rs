//! `[plugins]` and `[[plugin]]`.

use super::{inline, list, quoted};
use crate::config::{Instances, Plugin, Plugins};
use std::fmt::Write;
use std::path::Path;

pub fn all(out: &mut String, plugins: &Plugins) -> std::fmt::Result {
    writeln!(out, "\n[plugins]\nfolder = {}", path(&plugins.folder))?;
    writeln!(out, "watch = {}", plugins.watch)?;
    writeln!(out, "state_keys_max = {}", plugins.state.keys_max)?;
    writeln!(out, "state_bytes_max = {}", plugins.state.bytes_max)?;
    writeln!(out, "chain = {}", list(&plugins.chain))
}

pub fn plugin(out: &mut String, plugin: &Plugin) -> std::fmt::Result {
    writeln!(out, "\n[[plugin]]\nname = {}", quoted(&plugin.name))?;
    writeln!(out, "file = {}", path(&plugin.file))?;
    // It was TOML before it was JSON, so it can be written as TOML again.
    let config = serde_json::from_str(&plugin.config).unwrap_or_default();
    writeln!(out, "config = {}", inline(&config))?;
    if let Some(on_error) = plugin.on_error {
        writeln!(out, "on_error = \"{}\"", on_error.as_str())?;
    }
    if !plugin.secrets.is_empty() {
        let secret =
            |name: &String| format!("{{ name = {}, secret = \"[redacted]\" }}", quoted(name));
        let secrets: Vec<String> = plugin.secrets.keys().map(secret).collect();
        writeln!(out, "secret = [{}]", secrets.join(", "))?;
    }
    if !plugin.grant.is_none() {
        let grant = serde_json::to_value(&plugin.grant).unwrap_or_default();
        writeln!(out, "grant = {}", inline(&grant))?;
    }
    if plugin.instances == Instances::Warm {
        writeln!(out, "instances = \"warm\"")?;
    }
    if plugin.learn {
        writeln!(out, "learn = true")?;
    }
    if let Some(file) = &plugin.shadow {
        writeln!(out, "shadow = {{ file = {} }}", path(file))?;
    }
    if let Some(canary) = &plugin.canary {
        let (file, percent) = (path(&canary.file), canary.percent);
        writeln!(out, "canary = {{ file = {file}, percent = {percent} }}")?;
    }
    // A limit of 0 is one that follows the machine; it is had by not naming it.
    let limits = plugin.limits.rows().filter(|(_, value)| *value > 0);
    let limits: Vec<String> =
        limits.map(|(row, value)| format!("{} = {value}", row.name)).collect();
    writeln!(out, "limits = {{ {} }}", limits.join(", "))
}

fn path(path: &Path) -> String {
    quoted(&path.display().to_string())
}
