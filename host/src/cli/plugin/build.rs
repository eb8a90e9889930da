//! `plugin build`: a folder with a `plugin.toml` becomes one component with its manifest inside.
//!
//! Each language has its own file; what they share is a [`Workshop`]. Tools are of a pinned version
//! and live in the plugin's own `.tools`, so that a build touches nothing else of the machine.

mod borrow;
mod c;
mod contract;
mod javascript;
mod python;
mod rust;
mod workshop;

use super::{USAGE, fail, pack, read_manifest};
use crate::plugin::manifest::{FILE, Language, Manifest};
use crate::plugin::names::{self, Names};
use anyhow::Context as _;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use workshop::Workshop;

const EXAMPLES: &str = "Examples:
  livekit-webhook plugin build
  livekit-webhook plugin build plugins/annotate --output annotate.wasm
  livekit-webhook plugin build --tools ~/.cache/livekit-webhook-tools

Needs, by language: rust: cargo with the target wasm32-unknown-unknown; javascript: node and npm;
python, c: python3 with venv. Everything else is fetched once into .tools, in a pinned version.

Exit codes: 0 built, 1 not, 64 no such plugin or wrong usage.";

/// Build a plugin's folder into one component with its manifest
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    /// The plugin's folder, with its plugin.toml
    #[arg(value_name = "DIR", default_value = ".")]
    pub folder: PathBuf,
    /// Where to write the component [default: DIR/target/NAME.wasm]
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Where tool chains and what they compiled are kept [default: DIR/.tools]
    #[arg(long, value_name = "DIR")]
    pub tools: Option<PathBuf>,
    /// Print one JSON object instead of progress
    #[arg(long)]
    pub json: bool,
}

/// Runs it.
///
/// # Errors
/// When `out` or the component cannot be written.
///
/// # Cancel safety
/// The tool that runs is killed. What it wrote stays under `target` and `.tools`.
pub async fn run(options: &Options, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let manifest = match read_manifest(&options.folder) {
        Ok(manifest) => manifest,
        Err(problem) => return fail(options.json, &problem, USAGE, out),
    };
    let folder = options.folder.canonicalize().context("reading the plugin's folder")?;
    let output = options.output.clone().unwrap_or_else(|| default_output(&folder, &manifest));
    let tools = options.tools.clone().unwrap_or_else(|| folder.join(".tools"));
    for needed in [&tools, &folder.join("target")] {
        std::fs::create_dir_all(needed).with_context(|| format!("making {}", needed.display()))?;
    }
    let tools = tools.canonicalize().context("reading the folder of tools")?;
    let built = {
        let mut shop = Workshop::new(&folder, &tools, (!options.json).then_some(&mut *out));
        component(&mut shop, &manifest).await.and_then(|wasm| finish(manifest, &wasm))
    };
    let (manifest, wasm) = match built {
        Ok(built) => built,
        Err(problem) => return fail(options.json, &problem, 1, out),
    };
    if let Some(parent) = output.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        std::fs::create_dir_all(parent)?;
    }
    std::fs::write(&output, &wasm).with_context(|| format!("writing {}", output.display()))?;
    if options.json {
        let report = json!({
            "ok": true,
            "name": manifest.name,
            "version": manifest.version,
            "file": output.display().to_string(),
            "bytes": wasm.len(),
            "sha256": sha256(&wasm),
        });
        writeln!(out, "{report:#}")?;
    } else {
        let Manifest { name, version, .. } = &manifest;
        writeln!(out, "built {name} {version}: {}, {} bytes", output.display(), wasm.len())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Where `build` writes and `test` looks.
pub fn default_output(folder: &Path, manifest: &Manifest) -> PathBuf {
    folder.join("target").join(format!("{}.wasm", manifest.name))
}

/// Of a file, as operators compare it.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What the tools of its language make of the folder.
async fn component(shop: &mut Workshop<'_>, manifest: &Manifest) -> Result<Vec<u8>, String> {
    match language(shop.folder(), manifest)? {
        Language::Rust => pack::pack(&rust::build(shop).await?),
        Language::JavaScript => javascript::build(shop, manifest).await,
        Language::Python => python::build(shop, manifest).await,
        Language::C => pack::pack(&c::build(shop, manifest).await?),
    }
}

/// As the manifest says, else as the files look.
fn language(folder: &Path, manifest: &Manifest) -> Result<Language, String> {
    if let Some(language) = manifest.language {
        return Ok(language);
    }
    let signs = [
        ("Cargo.toml", Language::Rust),
        (javascript::SOURCE, Language::JavaScript),
        (python::SOURCE, Language::Python),
        ("bindings/plugin.h", Language::C),
    ];
    let found: Vec<_> = signs.into_iter().filter(|(file, _)| folder.join(file).is_file()).collect();
    match found.as_slice() {
        [(_, language)] => Ok(*language),
        _ => Err(format!(
            "{FILE} does not say what the plugin is written in: add language = \"rust\", \
             \"javascript\", \"python\" or \"c\""
        )),
    }
}

/// Puts the manifest in, with the contract's version that the component was built for.
///
/// # Errors
/// When the component is not what the manifest says.
pub fn finish(mut manifest: Manifest, wasm: &[u8]) -> Result<(Manifest, Vec<u8>), String> {
    let names =
        names::read(wasm).map_err(|error| format!("the tools left no component: {error}"))?;
    let version = |name: &String| {
        let (_, version) = name.strip_prefix("livekit-webhook:plugin/")?.split_once('@')?;
        Some(version.to_owned())
    };
    let Some(api) = names.exports.iter().find_map(version) else {
        return Err(nothing(&names));
    };
    let interface = |name: &String| {
        let (interface, _) = name.strip_prefix("livekit-webhook:plugin/")?.split_once('@')?;
        Some(interface.to_owned())
    };
    let exported: Vec<_> = names.exports.iter().filter_map(interface).collect();
    let exported: Vec<_> = exported.iter().map(String::as_str).collect();
    if let Some(text) = manifest.contradicts(&exported) {
        return Err(text);
    }
    manifest.api = Some(api);
    let wasm = manifest.embed(wasm).map_err(|error| error.to_string())?;
    Ok((manifest, wasm))
}

fn nothing(names: &Names) -> String {
    let exports = if names.exports.is_empty() { "nothing" } else { &names.exports.join(", ") };
    format!(
        "the component exports {exports}; a plugin exports one of filter, transform, route, enrich \
         and action of livekit-webhook:plugin"
    )
}
