//! `plugin run`: one event through one component, as the gateway would, with everything seen.

use super::{USAGE, given_config, read};
use crate::cli::now;
use crate::log;
use crate::plugin::compile::Setup;
use crate::plugin::engine::Engine;
use crate::plugin::fixture;
use crate::plugin::manifest::expect;
use crate::plugin::registry::{OnError, Options as Loading, Plugin};
use anyhow::Context as _;
use livekit_webhook_wire::event_type;
use livekit_webhook_wire::sample::{self, Sample};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What the plugin writes to its log, and nothing else below a warning.
const LOG: &str = "warn,livekit_webhook::plugin=trace";

const EXAMPLES: &str = "Examples:
  livekit-webhook plugin run target/annotate.wasm --event participant_joined
  livekit-webhook plugin run annotate.wasm --event captured.json --config '{\"note\":\"hi\"}'
  livekit-webhook plugin run annotate.wasm --event room_started --attribute tenant=acme --json

The plugin's log goes to standard error. Nothing beyond the event is reached: for answers of HTTP,
state and LiveKit write a fixture, see `plugin test --help`.

Exit codes: 0 the plugin came to a result, 1 it did not, 64 wrong usage.";

/// Show a component one event, and what it makes of it
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    /// The component
    pub file: PathBuf,
    /// The event: a file with a webhook body, or a type of event, such as room_started, for a sample
    #[arg(long, value_name = "FILE|KIND")]
    pub event: String,
    /// The plugin's configuration: JSON, or @ and the name of a file with JSON
    #[arg(long, value_name = "JSON", default_value = "{}")]
    pub config: String,
    /// An attribute that an earlier plugin of the chain added; may be given often
    #[arg(long = "attribute", value_name = "NAME=VALUE", value_parser = attribute)]
    pub attributes: Vec<(String, String)>,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Runs it.
///
/// # Errors
/// When `out` cannot be written, or the engine does not start.
pub async fn run(options: &Options, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let Some(wasm) = read(&options.file, out)? else {
        return Ok(ExitCode::from(USAGE));
    };
    let Some(config) = given_config(&options.config, out)? else {
        return Ok(ExitCode::from(USAGE));
    };
    let event = match event(&options.event) {
        Ok(event) => event,
        Err(problem) => {
            writeln!(out, "--event: {problem}")?;
            return Ok(ExitCode::from(USAGE));
        }
    };
    log::init(log::Format::Text, LOG)?;
    let engine = Engine::serving(Setup::serving(None)).context("starting the engine")?;
    let loading = Loading {
        config,
        limits: fixture::patient(),
        on_error: Some(OnError::Fail),
        ..Loading::default()
    };
    let plugin = match Plugin::load(&engine, "plugin", wasm, loading).await {
        Ok(plugin) => plugin,
        Err(error) => {
            let problem = super::check::problem(&error);
            if options.json {
                writeln!(out, "{:#}", json!({ "ok": false, "problem": problem.to_string() }))?;
            } else {
                writeln!(out, "{problem}")?;
            }
            return Ok(ExitCode::from(1));
        }
    };
    let attributes: BTreeMap<_, _> = options.attributes.iter().cloned().collect();
    let input = fixture::input(&event, &attributes);
    let (result, usage) = plugin.measure(input).await;
    let is_ok = result.is_ok();
    let got = expect::shape(&result, None);
    let cpu_us = u64::try_from(usage.cpu.as_micros()).unwrap_or(u64::MAX);
    if options.json {
        let report = json!({
            "ok": is_ok,
            "result": got,
            "cpu_us": cpu_us,
            "memory_bytes": usage.memory_bytes,
        });
        writeln!(out, "{report:#}")?;
    } else {
        writeln!(out, "{got:#}")?;
        writeln!(out, "cpu     {cpu_us} us")?;
        writeln!(out, "memory  {} bytes", usage.memory_bytes)?;
    }
    Ok(ExitCode::from(u8::from(!is_ok)))
}

/// The body in a file of that name, else a sample of that type.
fn event(text: &str) -> Result<Value, String> {
    let path = Path::new(text);
    if path.is_file() {
        let bytes = std::fs::read(path).map_err(|error| format!("{text}: {error}"))?;
        return serde_json::from_slice(&bytes)
            .map_err(|error| format!("{text} is no JSON: {error}"));
    }
    let now_s = now().as_millis() / 1000;
    let sample = Sample {
        room: "sample-room",
        identity: "alice",
        event_id: &sample::id("EV_", 0, text),
        now_s,
        seed: 0,
    };
    let body = sample::body(text, &sample).ok_or_else(|| {
        let kinds: Vec<_> = event_type::ALL.iter().map(ToString::to_string).collect();
        format!("there is no file {text}, and no type of event: {}", kinds.join(", "))
    })?;
    serde_json::from_str(&body).map_err(|error| error.to_string())
}

fn attribute(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}
