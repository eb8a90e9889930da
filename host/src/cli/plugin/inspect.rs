//! `plugin inspect`: everything a file says of itself. No code of the guest runs, none is compiled.

use super::{USAGE, build, read};
use crate::plugin::limits::Limits;
use crate::plugin::manifest::{Instances, Manifest};
use crate::plugin::names::{self, Names};
use crate::plugin::permission::{Clock, Permissions, Random, StateAccess};
use serde_json::{Value, json};
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

/// What an author says who asks for it.
const WARM: &str = "instances = \"warm\", which only the operator can give: it keeps nothing of one event for the next";

const EXAMPLES: &str = "Examples:
  livekit-webhook plugin inspect annotate.wasm
  livekit-webhook plugin inspect annotate.wasm --json

Exit codes: 0 it is a plugin, 1 it is none, 64 the file cannot be read.";

/// Say what a component is, asks for and promises, without running it
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    /// The component
    pub file: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Runs it.
///
/// # Errors
/// When `out` cannot be written.
pub fn run(options: &Options, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let Some(wasm) = read(&options.file, out)? else {
        return Ok(ExitCode::from(USAGE));
    };
    let found = (|| {
        let names = names::read(&wasm).map_err(|error| not_wasm(&wasm, &error.to_string()))?;
        if !names.component {
            return Err("this is a core module: run `livekit-webhook plugin pack` on it".to_owned());
        }
        Ok((names, Manifest::read(&wasm).map_err(|error| error.to_string())?))
    })();
    match found {
        Ok((names, manifest)) if options.json => {
            writeln!(out, "{:#}", report(&wasm, &names, manifest.as_ref()))?;
        }
        Ok((names, manifest)) => text(&wasm, &names, manifest.as_ref(), out)?,
        Err(problem) => {
            if options.json {
                writeln!(out, "{:#}", json!({ "ok": false, "problem": problem }))?;
            } else {
                writeln!(out, "{problem}")?;
            }
            return Ok(ExitCode::from(1));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A parser prints the bytes that it did not find.
fn not_wasm(wasm: &[u8], error: &str) -> String {
    if wasm.starts_with(b"\0asm") {
        return format!("this WebAssembly is damaged: {error}");
    }
    "this is no WebAssembly: give a plugin's folder, or the .wasm file that `plugin build` wrote"
        .to_owned()
}

fn report(wasm: &[u8], names: &Names, manifest: Option<&Manifest>) -> Value {
    json!({
        "ok": true,
        "bytes": wasm.len(),
        "sha256": build::sha256(wasm),
        "imports": names.imports,
        "exports": names.exports,
        "permissions": manifest.map(|manifest| permissions(&manifest.permissions)),
        "secret_fields": manifest.map(Manifest::secret_fields),
        "manifest": manifest,
    })
}

fn text(
    wasm: &[u8],
    names: &Names,
    manifest: Option<&Manifest>,
    out: &mut dyn Write,
) -> std::io::Result<()> {
    writeln!(out, "size         {} bytes", wasm.len())?;
    writeln!(out, "sha256       {}", build::sha256(wasm))?;
    list("imports", &names.imports, out)?;
    list("exports", &names.exports, out)?;
    let Some(manifest) = manifest else {
        return writeln!(
            out,
            "manifest     none: the operator's grant alone holds; `livekit-webhook plugin build` puts one in"
        );
    };
    let Manifest { name, version, api, min_gateway, language, description, .. } = manifest;
    let Manifest { license, homepage, on_error, instances, .. } = manifest;
    writeln!(out, "name         {name} {version}")?;
    let facts = [
        ("about", Some(description).filter(|text| !text.is_empty())),
        ("license", license.as_ref()),
        ("homepage", homepage.as_ref()),
        ("contract", api.as_ref()),
        ("gateway", min_gateway.as_ref()),
    ];
    for (label, fact) in facts {
        if let Some(fact) = fact {
            writeln!(out, "{label:<12} {fact}")?;
        }
    }
    if let Some(language) = language {
        writeln!(out, "{:<12} {}", "language", language.as_str())?;
    }
    if let Some(on_error) = on_error {
        let text = "unless the operator says otherwise";
        writeln!(out, "{:<12} {}, {text}", "on_error", on_error.as_str())?;
    }
    if *instances == Some(Instances::Warm) {
        writeln!(out, "{:<12} {WARM}", "suggests")?;
    }
    list("may ask", &permissions(&manifest.permissions), out)?;
    let limits: Vec<_> = manifest.limits.iter().map(|(name, value)| limit(name, *value)).collect();
    list("limits", &limits, out)?;
    list("config", &config(manifest), out)?;
    let fixtures: Vec<_> = manifest.fixtures.iter().map(|fixture| fixture.name.clone()).collect();
    list("fixtures", &fixtures, out)
}

/// A label, and one line for each item.
fn list(label: &str, items: &[String], out: &mut dyn Write) -> std::io::Result<()> {
    if items.is_empty() {
        return writeln!(out, "{label:<12} none");
    }
    for (at, item) in items.iter().enumerate() {
        writeln!(out, "{:<12} {item}", if at == 0 { label } else { "" })?;
    }
    Ok(())
}

/// In words, for whoever decides on a grant.
fn permissions(asked: &Permissions) -> Vec<String> {
    let mut lines: Vec<_> =
        asked.http.iter().map(|rule| format!("send requests: {rule}")).collect();
    match asked.state {
        StateAccess::None => {}
        StateAccess::Read => lines.push("read its state".to_owned()),
        StateAccess::Write => lines.push("read and write its state".to_owned()),
    }
    let function = |function: &crate::plugin::permission::LiveKitFunction| {
        format!("ask LiveKit: {}", function.as_str())
    };
    lines.extend(asked.livekit.iter().map(function));
    if asked.clock == Clock::Real {
        lines.push("see the machine's clock, and not the event's time".to_owned());
    }
    if asked.random == Random::System {
        lines.push("use the machine's randomness, so that a replay differs".to_owned());
    }
    lines
}

fn limit(name: &str, value: u64) -> String {
    let defaults = Limits::default();
    let default = defaults.rows().find(|(row, _)| row.name == name).map_or(0, |(_, value)| value);
    format!("{name} = {value} (default {default})")
}

/// One line for each property: name, type, default, what it is for.
fn config(manifest: &Manifest) -> Vec<String> {
    let schema = manifest.config.as_ref();
    let Some(Value::Object(properties)) = schema.and_then(|schema| schema.get("properties")) else {
        return Vec::new();
    };
    let required = schema.and_then(|schema| schema.get("required")).and_then(Value::as_array);
    let line = |(name, property): (&String, &Value)| {
        let mut line = name.clone();
        if let Some(kind) = property.get("type") {
            line.push_str(&format!(": {}", kind.as_str().map_or(kind.to_string(), str::to_owned)));
        }
        if required.is_some_and(|required| required.iter().any(|item| item == name)) {
            line.push_str(", required");
        }
        if property.get("secret") == Some(&Value::Bool(true)) {
            line.push_str(", secret");
        }
        if let Some(default) = property.get("default") {
            line.push_str(&format!(", default {default}"));
        }
        if let Some(text) = property.get("description").and_then(Value::as_str) {
            line.push_str(&format!(": {text}"));
        }
        line
    };
    properties.iter().map(line).collect()
}
