//! `plugin new`: a folder that builds at once, in any of the four languages, with fixtures that hold.

use super::template::{self, Plan, Sdk};
use super::{USAGE, fail, words};
use crate::plugin::Interface;
use crate::plugin::manifest::{Language, Manifest};
use serde_json::json;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const EXAMPLES: &str = "Examples:
  livekit-webhook plugin new annotate
  livekit-webhook plugin new tenants --language javascript --kind enrich
  livekit-webhook plugin new my-filter --language python --kind filter --folder plugins/my-filter

Then: cd NAME && livekit-webhook plugin build && livekit-webhook plugin test && livekit-webhook plugin torture target/NAME.wasm

Exit codes: 0 written, 1 not, 64 wrong usage.";

/// Make the folder of a new plugin
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    /// Its name: 1 to 64 of a-z, 0-9, `-` and `_`
    pub name: String,
    /// What it is written in
    #[arg(long, value_name = "LANGUAGE", default_value = "rust", value_parser = language)]
    pub language: Language,
    /// What it does to an event: filter, transform, route, enrich or action
    #[arg(long, value_name = "KIND", default_value = "transform", value_parser = kind)]
    pub kind: Interface,
    /// Where [default: NAME in this folder]
    #[arg(long, value_name = "DIR")]
    pub folder: Option<PathBuf>,
    /// Folder of the Rust SDK [default: that of the checkout this program was built from, while it
    /// is there; else the published crate of this version]
    #[arg(long, value_name = "DIR")]
    pub sdk: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Runs it.
///
/// # Errors
/// When `out` cannot be written.
pub fn run(options: &Options, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let Options { name, language, kind, folder, sdk, json } = options;
    let sdk = match usable(options).and_then(|()| Sdk::find(sdk.as_deref())) {
        Ok(sdk) => sdk,
        Err(problem) => return fail(*json, &problem, USAGE, out),
    };
    let folder = folder.clone().unwrap_or_else(|| PathBuf::from(name));
    if std::fs::symlink_metadata(&folder).is_ok() {
        let problem = format!("{}: exists already; nothing was written", folder.display());
        return fail(*json, &problem, 1, out);
    }
    let files = template::files(&Plan { name, language: *language, kind: *kind, sdk: &sdk });
    let mut written = Vec::new();
    for (path, bytes) in &files {
        let path = folder.join(path);
        if let Err(error) = write(&path, bytes) {
            return fail(*json, &format!("{}: {error}", path.display()), 1, out);
        }
        written.push(path.display().to_string());
    }
    let next = format!("cd {} && livekit-webhook plugin build", words(&folder));
    if *json {
        let folder = folder.display().to_string();
        let report =
            json!({ "ok": true, "name": name, "folder": folder, "files": written, "next": next });
        writeln!(out, "{report:#}")?;
        return Ok(ExitCode::SUCCESS);
    }
    for path in written {
        writeln!(out, "wrote {path}")?;
    }
    if *language == Language::Rust && matches!(sdk, Sdk::Published) {
        writeln!(
            out,
            "note: Cargo.toml names the published SDK; to use a checkout, give --sdk CHECKOUT/plugin-sdk"
        )?;
    }
    writeln!(out, "next: {next}")?;
    Ok(ExitCode::SUCCESS)
}

/// Whether the name is one, also for the tools of its language.
fn usable(options: &Options) -> Result<(), String> {
    let Options { name, language, .. } = options;
    if !Manifest::is_name(name) {
        return Err(format!("{name:?} is no name: it must be 1 to 64 of a-z, 0-9, `-` and `_`"));
    }
    if *language == Language::Rust && !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return Err(format!("{name:?} is no name of a Rust crate: it must begin with a letter"));
    }
    Ok(())
}

fn write(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(path, bytes)
}

fn language(text: &str) -> Result<Language, String> {
    let all = Language::ALL;
    let found = all.into_iter().find(|(word, _)| *word == text);
    found
        .map(|(_, language)| language)
        .ok_or_else(|| format!("must be one of {}", all.map(|(word, _)| word).join(", ")))
}

fn kind(text: &str) -> Result<Interface, String> {
    let found = Interface::ALL.into_iter().find(|kind| kind.as_str() == text);
    found.ok_or_else(|| {
        format!("must be one of {}", Interface::ALL.map(Interface::as_str).join(", "))
    })
}
