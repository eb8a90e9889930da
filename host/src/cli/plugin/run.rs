//! `plugin run`: one event, and what a component makes of it.
//!
//! What it asks for is granted, and answered by doubles: state in memory, HTTP and LiveKit from a
//! fixture. So nothing real is reached, until `--live` says so; then somebody has to say what may
//! be, in a grant or in a gateway's configuration. State is in memory even then.

mod given;

use super::{USAGE, fail};
use crate::log;
use crate::plugin::compile::Setup;
use crate::plugin::engine::Engine;
use crate::plugin::manifest::expect;
use crate::plugin::registry::Plugin;
use crate::plugin::tape::Entry;
use anyhow::Context as _;
use given::Given;
use serde_json::{Value, json};
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

/// The plugin's own lines, whatever the environment says.
const LOG: &str = "warn,plugin=trace";
/// Where answers come from.
const HINT: &str = "answers come from a fixture (--fixture NAME), or really (--live)";
/// Characters of an answer from outside that are shown.
const SHOWN_MAX: usize = 300;

const EXAMPLES: &str = "Examples:
  livekit-webhook plugin run target/annotate.wasm --event participant_joined
  livekit-webhook plugin run annotate.wasm --event captured.json --config '{\"note\":\"hi\"}'
  livekit-webhook plugin run annotate.wasm --event room_started --attribute tenant=acme --json
  livekit-webhook plugin run pager.wasm --fixture \"a recording fails\"
  livekit-webhook plugin run pager.wasm --event egress_ended --live --grant grant.toml
  livekit-webhook plugin run --gateway gateway.toml --plugin pager --event egress_ended

What the manifest asks for is granted, as far as --grant or --gateway give it. Nothing real is
reached: state is in memory, requests and questions to LiveKit are answered by --fixture, and a
secret has the text test-secret-NAME. With --live requests go out, to addresses that deliveries may
reach ([deliver] allow of --gateway; without it, public ones), and LiveKit is asked as the first
source of --gateway that has a `server`.

A grant is TOML with the keys of [permissions], or what learning mode writes.

The plugin's log goes to standard error. Exit codes: 0 the plugin came to a result, 1 it did not,
64 wrong usage.";

/// Show a component one event, and what it makes of it
#[derive(Clone, Debug, Default, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    /// The component [default: the file of --gateway's plugin]
    pub file: Option<PathBuf>,
    /// The event: a file with a webhook body, or a type of event, such as room_started, for a sample
    /// [default: that of --fixture]
    #[arg(long, value_name = "FILE|KIND")]
    pub event: Option<String>,
    /// The plugin's configuration: JSON, or @ and the name of a file with JSON [default: that of
    /// --fixture or --gateway]
    #[arg(long, value_name = "JSON")]
    pub config: Option<String>,
    /// An attribute that an earlier plugin of the chain added; may be given often
    #[arg(long = "attribute", value_name = "NAME=VALUE", value_parser = attribute)]
    pub attributes: Vec<(String, String)>,
    /// Name of a fixture of its manifest, whose answers, state, event and configuration are taken
    #[arg(long, value_name = "NAME")]
    pub fixture: Option<String>,
    /// What it may reach, as far as it asks for it [default: all that it asks for]
    #[arg(long, value_name = "FILE")]
    pub grant: Option<PathBuf>,
    /// A gateway's configuration: the plugin's configuration, limits, grant and secrets are taken
    #[arg(long, value_name = "FILE")]
    pub gateway: Option<PathBuf>,
    /// Which plugin of --gateway [default: the only one]
    #[arg(long, value_name = "NAME", requires = "gateway")]
    pub plugin: Option<String>,
    /// Really send its requests, and really ask LiveKit
    #[arg(long)]
    pub live: bool,
    /// A secret for --live, in a file; may be given often
    #[arg(long = "secret", value_name = "NAME=FILE", value_parser = attribute)]
    pub secrets: Vec<(String, String)>,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Runs it.
///
/// # Errors
/// When `out` cannot be written, or the engine does not start.
pub async fn run(options: &Options, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let given = match given::given(options) {
        Ok(given) => given,
        Err(problem) => return fail(options.json, &problem, USAGE, out),
    };
    log::init(log::Format::Text, LOG)?;
    show(given, options.json, out).await
}

/// Calls the plugin once, and writes what came of it.
async fn show(given: Given, as_json: bool, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let Given { name, wasm, input, loading, doubles, is_live, tape } = given;
    let engine = Engine::serving(Setup::serving(None)).context("starting the engine")?;
    let plugin = match Plugin::load(&engine, &name, wasm, loading).await {
        Ok(plugin) => plugin,
        Err(error) => {
            let problem = super::check::problem(&error).to_string();
            return fail(as_json, &problem, 1, out);
        }
    };
    let (result, usage) = plugin.measure(input).await;
    let is_ok = result.is_ok();
    let got = expect::shape(&result, doubles.state());
    let cpu_us = u64::try_from(usage.cpu.as_micros()).unwrap_or(u64::MAX);
    let outside = tape.entries();
    let mut problems = if is_live { Vec::new() } else { doubles.problems() };
    if !problems.is_empty() {
        problems.push(HINT.to_owned());
    }
    if as_json {
        let report = json!({
            "ok": is_ok,
            "result": got,
            "outside": outside,
            "problems": problems,
            "cpu_us": cpu_us,
            "memory_bytes": usage.memory_bytes,
        });
        writeln!(out, "{report:#}")?;
    } else {
        writeln!(out, "{got:#}")?;
        for Entry { port, asked, answer } in &outside {
            writeln!(out, "asked   {port} {asked}\nanswer  {}", shortened(answer))?;
        }
        for problem in &problems {
            writeln!(out, "note    {problem}")?;
        }
        writeln!(out, "cpu     {cpu_us} us")?;
        writeln!(out, "memory  {} bytes", usage.memory_bytes)?;
    }
    Ok(ExitCode::from(u8::from(!is_ok)))
}

fn shortened(answer: &Value) -> String {
    let text = answer.to_string();
    match text.char_indices().nth(SHOWN_MAX) {
        None => text,
        Some((end, _)) => format!("{}… ({} bytes)", &text[..end], text.len()),
    }
}

fn attribute(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=…, for example tenant=acme")?;
    Ok((name.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests;
