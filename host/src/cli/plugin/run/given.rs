//! What a plugin is shown and what it may reach when it is tried.

use super::Options;
use crate::app::plugins::{Surroundings, spec};
use crate::causes;
use crate::cli::now;
use crate::cli::plugin::{bytes_of, component_of, given_config, given_grant};
use crate::clock::SystemClock;
use crate::config::{Config, Environment, Plugin};
use crate::plugin::fixture::played::Played;
use crate::plugin::gate::Secret;
use crate::plugin::manifest::{Fixture, Manifest};
use crate::plugin::permission::Permissions;
use crate::plugin::registry::{OnError, Options as Loading};
use crate::plugin::tape::Tape;
use crate::plugin::warm::Instances;
use crate::plugin::{Input, fixture};
use crate::spelling;
use bytes::Bytes;
use livekit_webhook_wire::event_type;
use livekit_webhook_wire::sample::{self, Sample};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

/// A plugin and its event, ready to be called.
pub struct Given {
    /// As the log calls it.
    pub name: String,
    /// The component.
    pub wasm: Bytes,
    /// The event.
    pub input: Input,
    /// How it is loaded.
    pub loading: Loading,
    /// Its state, and what answers when nothing real is asked.
    pub doubles: Arc<Played>,
    /// Whether others than they answer.
    pub is_live: bool,
    /// What was asked and answered.
    pub tape: Tape,
}

/// Reads everything that the options name.
///
/// # Errors
/// In words, what cannot be used.
pub fn given(options: &Options) -> Result<Given, String> {
    if options.live && options.grant.is_none() && options.gateway.is_none() {
        let text = "--live needs --grant FILE or --gateway FILE: what a plugin may really reach is \
                    for you to say";
        return Err(text.to_owned());
    }
    let gateway = gateway(options)?;
    let file = match (&options.file, &gateway) {
        (Some(file), _) => file,
        (None, Some((_, plugin))) => &plugin.file,
        (None, None) => return Err("give a component, or --gateway FILE".to_owned()),
    };
    let wasm = component_of(file)?;
    // What is wrong with a manifest is said by the one who loads it.
    let manifest = Manifest::read(&wasm).ok().flatten();
    let fixture = options.fixture.as_deref().map(|name| find(name, manifest.as_ref()));
    let fixture = fixture.transpose()?;
    let mut input = input(options, fixture)?;
    let mut loading = match &gateway {
        Some((_, plugin)) => spec(plugin, &Surroundings::default()).options,
        None => Loading { limits: fixture::patient(), ..Loading::default() },
    };
    (loading.learn, loading.instances) = (None, Instances::Fresh);
    // What follows a fault is for the router; here it is only seen.
    loading.on_error = Some(OnError::Fail);
    if let Some(config) = config(options, fixture)? {
        loading.config = config;
    }
    if let Some(file) = &options.grant {
        loading.grant = given_grant(file)?;
    } else if gateway.is_none() {
        let asked = manifest.as_ref().map(|manifest| manifest.permissions.clone());
        loading.grant = asked.unwrap_or_default();
    }
    loading.secrets = secrets(options, &loading)?;
    let doubles = Arc::new(Played::default());
    if let Some(fixture) = fixture {
        doubles.begin(fixture);
    }
    let config = gateway.as_ref().map(|(config, _)| config);
    let outside = if options.live {
        crate::app::outside::live(config, Arc::new(SystemClock), doubles.clone())
            .map_err(|error| causes::line(&error))?
    } else {
        doubles.clone().outside()
    };
    if let Some(config) = config {
        input.source = source(config);
    }
    let tape = Tape::default();
    loading.outside = Some(tape.record(&outside, &loading.secrets));
    let name = gateway.map_or_else(|| "plugin".to_owned(), |(_, plugin)| plugin.name);
    Ok(Given { name, wasm, input, loading, doubles, is_live: options.live, tape })
}

/// The configuration of `--gateway`, and the plugin of it that is meant.
fn gateway(options: &Options) -> Result<Option<(Config, Plugin)>, String> {
    let Some(file) = &options.gateway else {
        return Ok(None);
    };
    let config = Config::load(file, &Environment::process()).map_err(|e| causes::line(&e))?;
    let names: Vec<_> = config.plugins.iter().map(|plugin| plugin.name.as_str()).collect();
    let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    let found = match (&options.plugin, config.plugins.as_slice()) {
        (Some(name), plugins) => plugins.iter().find(|plugin| plugin.name == *name),
        (None, [plugin]) => Some(plugin),
        (None, _) => return Err(format!("say which with --plugin NAME; there is: {names}")),
    };
    let Some(plugin) = found.cloned() else {
        let name = options.plugin.as_deref().unwrap_or_default();
        return Err(format!("no plugin {name:?} is configured; there is: {names}"));
    };
    Ok(Some((config, plugin)))
}

/// Who is asked for LiveKit, else the first.
fn source(config: &Config) -> String {
    let mut sources = config.sources.iter();
    let asked = sources.clone().find(|source| source.server.is_some()).or(sources.next());
    asked.map(|source| source.name.clone()).unwrap_or_default()
}

fn find<'a>(name: &str, manifest: Option<&'a Manifest>) -> Result<&'a Fixture, String> {
    let fixtures = manifest.map_or(&[][..], |manifest| &manifest.fixtures);
    let found = fixtures.iter().find(|fixture| fixture.name == name);
    found.ok_or_else(|| {
        let names: Vec<_> = fixtures.iter().map(|fixture| format!("{:?}", fixture.name)).collect();
        let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        format!("--fixture: the component has no fixture {name:?}; there is: {names}")
    })
}

fn config(options: &Options, fixture: Option<&Fixture>) -> Result<Option<Bytes>, String> {
    match (&options.config, fixture.and_then(|fixture| fixture.config.as_ref())) {
        (Some(text), _) => given_config(text).map(Some),
        (None, Some(config)) => Ok(Some(Bytes::from(config.to_string()))),
        (None, None) => Ok(None),
    }
}

/// The secrets that the grant names: for doubles texts that tell them, else those that are given.
fn secrets(options: &Options, loading: &Loading) -> Result<BTreeMap<String, Secret>, String> {
    let Permissions { http, .. } = &loading.grant;
    let names: BTreeSet<&String> = http.iter().flat_map(|rule| &rule.secrets).collect();
    let mut found = BTreeMap::new();
    for name in names {
        let given = options.secrets.iter().find(|(given, _)| given == name);
        let secret = match (given, loading.secrets.get(name)) {
            _ if !options.live => Secret::new(format!("test-secret-{name}").as_bytes()),
            (Some((_, file)), _) => Secret::new(bytes_of(Path::new(file))?.trim_ascii_end()),
            (None, Some(secret)) => secret.clone(),
            (None, None) => {
                return Err(format!(
                    "the grant names the secret {name}: give --secret {name}=FILE"
                ));
            }
        };
        found.insert(name.clone(), secret);
    }
    Ok(found)
}

fn input(options: &Options, fixture: Option<&Fixture>) -> Result<Input, String> {
    let event = match (&options.event, fixture) {
        (Some(text), _) => event(text).map_err(|problem| format!("--event: {problem}"))?,
        (None, Some(fixture)) => fixture.event.clone(),
        (None, None) => {
            return Err("give --event, a file or a type such as room_started".to_owned());
        }
    };
    let mut attributes = fixture.map(|fixture| fixture.attributes.clone()).unwrap_or_default();
    attributes.extend(options.attributes.iter().cloned());
    Ok(fixture::input(&event, &attributes))
}

/// The body in a file of that name, else a sample of that type.
fn event(text: &str) -> Result<Value, String> {
    let path = Path::new(text);
    if path.is_file() {
        let bytes = bytes_of(path)?;
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
        let hint = match spelling::nearest(text, &event_type::ALL) {
            Some(kind) => format!("did you mean {kind}?"),
            None => format!("there are {}", event_type::ALL.join(", ")),
        };
        format!("there is no file {text}, and no such type of event: {hint}")
    })?;
    serde_json::from_str(&body).map_err(|error| error.to_string())
}
