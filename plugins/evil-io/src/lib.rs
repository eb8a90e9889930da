//! Every attack on what a plugin may reach, in one component. For tests only.
//!
//! The event's room says which: `evil:send` sends what the configuration says and tells what came of
//! it in the attribute `told`. `{token}` in it becomes the stand-in of the secret `token`. The
//! filter tries what no filter may.

#[cfg(target_arch = "wasm32")]
mod wasi;

use livekit_webhook_plugin::prelude::*;
use livekit_webhook_plugin::{http, livekit, secrets, state};
use serde::Deserialize;
use std::collections::BTreeMap;

/// Longest text told, in bytes.
const TOLD_BYTES_MAX: usize = 3000;

/// What is sent.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Config {
    method: String,
    url: String,
    headers: Vec<(String, String)>,
    body: String,
    timeout_ms: Option<u32>,
    /// Try it while the configuration is checked.
    at_load: bool,
}

#[configure]
fn at_load(config: Config) -> Result<(), String> {
    if config.at_load { Err(tell(request(&config).send())) } else { Ok(()) }
}

#[filter]
fn tries_what_no_filter_may(event: &Event) -> Result<bool, Failure> {
    if event.room_name().as_deref() == Some("evil:filter") {
        info!("http: {}", tell(request(&configured()?).send()));
        info!("state: {:?}", state::get("key").map_err(|error| error.text()));
        info!("livekit: {:?}", livekit::room("demo").map_err(|error| error.text()));
        info!("secret: {:?}", secrets::stand_in("token"));
    }
    Ok(true)
}

#[enrich]
fn attack(event: &Event) -> Result<Vec<(String, String)>, Failure> {
    let room = event.room_name().unwrap_or_default();
    let told = match room.strip_prefix("evil:").unwrap_or_default() {
        "send" => tell(request(&configured()?).send()),
        "fail" => {
            request(&configured()?).send()?.success()?;
            "sent".to_owned()
        }
        "flood" => {
            let config = configured()?;
            count((0..100).map(|_| kind(&request(&config).send())))
        }
        "state-flood" => count((0..10_000).map(|n| match state::set(&format!("k{n}"), "v") {
            Ok(_) => "set",
            Err(_) => "refused",
        })),
        "state-large" => {
            let key = state::set(&"k".repeat(5000), "v").map_err(|error| error.text());
            let value = state::set("k", "v".repeat(100_000)).map_err(|error| error.text());
            format!("{key:?} {value:?}")
        }
        "state" => {
            let before = state::entry("k")?.map(|entry| entry.version);
            let swapped = state::swap("k", before, "v", None)?;
            let sum = state::add("n", 2)?;
            let keys = state::keys("", None)?;
            let deleted = state::delete("k")?;
            format!("{before:?} {swapped:?} {sum} {keys:?} {deleted}")
        }
        "livekit" => {
            let room = livekit::room("demo")?.unwrap_or_default();
            let participants = livekit::participants("demo")?;
            let nobody = livekit::participant("demo", "nobody")?;
            let egress = livekit::egress("demo").map_err(|error| error.text());
            format!("{room} {participants:?} {nobody:?} {egress:?}")
        }
        "livekit-flood" => count((0..100).map(|_| match livekit::room("demo") {
            Ok(_) => "answered",
            Err(_) => "refused",
        })),
        "wasi" => fetch(&configured()?.url),
        "leak" => leak()?,
        "leak-error" => return Err(Failure::reject(stand_in())),
        _ => return Ok(Vec::new()),
    };
    Ok(vec![("told".to_owned(), cut(told))])
}

#[action]
fn act(event: &Event) -> Result<String, Failure> {
    match event.room_name().as_deref() {
        Some("evil:action") => Ok(tell(request(&configured()?).send())),
        _ => Ok(String::new()),
    }
}

#[cfg(target_arch = "wasm32")]
fn fetch(url: &str) -> String {
    wasi::fetch(url)
}

/// There is no WASI under plain `cargo test`.
#[cfg(not(target_arch = "wasm32"))]
fn fetch(url: &str) -> String {
    url.to_owned()
}

fn configured() -> Result<Config, Failure> {
    config::<Config>().map_err(Failure::from)
}

fn stand_in() -> String {
    secrets::stand_in("token").unwrap_or_default()
}

fn request(config: &Config) -> http::Request {
    let fill = |text: &str| text.replace("{token}", &stand_in());
    let mut request =
        http::Request::new(&config.method, fill(&config.url)).body(fill(&config.body));
    for (name, value) in &config.headers {
        request = request.header(fill(name), fill(value));
    }
    request.timeout_ms = config.timeout_ms;
    request
}

fn tell(sent: Result<http::Response, http::Error>) -> String {
    match &sent {
        Ok(answer) => {
            let headers = answer.headers.iter().map(|(name, value)| format!(" {name}={value}"));
            format!("{}{} {}", answer.status, headers.collect::<String>(), answer.text())
        }
        Err(error) => format!("{}: {}", kind(&sent), error.text()),
    }
}

fn kind(sent: &Result<http::Response, http::Error>) -> &'static str {
    match sent {
        Ok(_) => "sent",
        Err(http::Error::Denied(_)) => "denied",
        Err(http::Error::Invalid(_)) => "invalid",
        Err(http::Error::TimedOut(_)) => "timed-out",
        Err(http::Error::Unreachable(_)) => "unreachable",
        Err(http::Error::TooLarge(_)) => "too-large",
        Err(http::Error::TooMany(_)) => "too-many",
        Err(_) => "other",
    }
}

/// How often each came.
fn count<'a>(kinds: impl Iterator<Item = &'a str>) -> String {
    let mut counted = BTreeMap::<_, u32>::new();
    for kind in kinds {
        *counted.entry(kind).or_default() += 1;
    }
    format!("{counted:?}")
}

/// Brings what it has of a secret to every door it knows.
fn leak() -> Result<String, Failure> {
    let secret = stand_in();
    info!("{secret}");
    metrics::count("leak", 1, &[("secret".to_owned(), secret.clone())]);
    state::set("leak", &secret)?;
    Ok(secret)
}

fn cut(mut text: String) -> String {
    let mut end = text.len().min(TOLD_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text
}

#[cfg(test)]
mod tests;
