//! The document's sections to [`Config`], each in a function of its own.

use super::endpoint::{self, Context, integer, name};
use super::plugin;
use super::reader::{Problem, Problems, Section};
use super::secret::{self, Environment};
use super::traffic::{rate, retention};
use super::{Config, Deliver, HOST_BYTES_MAX, Ingest, Key, Plugin, Source, Store};
use crate::ingest::{OnUnverified, Options};
use crate::store::url::Url;
use livekit_webhook_core::address_policy::allow::Allow;
use livekit_webhook_core::address_policy::{ALLOWED_MAX, AddressPolicy};
use livekit_webhook_core::endpoint::{Endpoint, EndpointUrl, PlainHttp};
use livekit_webhook_core::subscription::Subscription;
use livekit_webhook_wire::glob::Glob;
use livekit_webhook_wire::keys::KeyRing;
use livekit_webhook_wire::verify::Rules;
use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Most sections of one kind.
pub const SECTIONS_MAX: usize = 1_000;

const LISTEN_DEFAULT: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8080);
/// Connections of each host to a database.
const CONNECTIONS_DEFAULT: i64 = 16;
const MIB: i64 = 1024 * 1024;

/// See [`Config::parse`].
pub fn parse(text: &str, folder: &Path, environment: &Environment) -> Result<Config, Vec<Problem>> {
    let members = match text.parse::<toml::Table>() {
        Ok(members) => members,
        Err(error) => {
            let text = format!("not TOML: {}", error.to_string().trim_end());
            return Err(vec![Problem { key: String::new(), text }]);
        }
    };
    parse_table(members, folder, environment)
}

/// The same for what has been read as TOML.
pub fn parse_table(
    members: toml::Table,
    folder: &Path,
    environment: &Environment,
) -> Result<Config, Vec<Problem>> {
    let problems = Problems::default();
    let mut root = Section::root(members, &problems);
    let ingest = ingest(root.section("ingest"));
    let admin = admin(root.section("admin"));
    let store = store(root.section("store"), folder, environment);
    let deliver = deliver(root.section("deliver"));
    let sources = sources(&mut root, folder, environment);
    let deploy = plugin::all(root.section("plugins"), folder);
    let plugins = plugin::plugins(&mut root, folder, environment);
    refer(&root, "plugins.chain", &deploy.chain, &plugins);
    let vault = secret::vault(root.section("secrets"), folder, environment);
    let has_sealing_keys = !vault.keys().is_empty();
    let context = Context { folder, environment, policy: &deliver.policy, has_sealing_keys };
    let endpoints = endpoints(&mut root, &context);
    let subscriptions = subscriptions(&mut root, &endpoints, &plugins, &sources, &deploy.chain);
    root.finish();
    let problems = problems.into_vec();
    if !problems.is_empty() {
        return Err(problems);
    }
    let endpoints = endpoints.into_iter().filter_map(|named| named.found).collect();
    let plugins = plugins.into_iter().filter_map(|named| named.found).collect();
    let sources = sources.into_iter().filter_map(|named| named.found).collect();
    Ok(Config {
        ingest,
        admin,
        store,
        sources,
        deploy,
        plugins,
        endpoints,
        subscriptions,
        deliver,
        vault,
    })
}

/// A section with a name that others refer to, even when something else in it is wrong.
pub struct Named<T> {
    pub name: Option<String>,
    pub found: Option<T>,
}

fn ingest(mut section: Section) -> Ingest {
    let listen = address(&mut section, "listen").unwrap_or(LISTEN_DEFAULT);
    let body_bytes_max = section.integer("body_bytes_max", 8 * MIB, 1024..=64 * MIB);
    let in_flight =
        section.integer("body_bytes_in_flight_max", 256 * MIB, body_bytes_max..=16_384 * MIB);
    let on_unverified = match section.string("on_unverified").as_deref() {
        None | Some("reject") => OnUnverified::Reject,
        Some("quarantine") => OnUnverified::Quarantine,
        Some(_) => {
            section.problem("on_unverified", "expected \"reject\" or \"quarantine\"");
            OnUnverified::Reject
        }
    };
    let options = Options {
        body_bytes_max: count(body_bytes_max),
        body_bytes_in_flight_max: count(in_flight),
        body_timeout: millis(&mut section, "body_timeout_ms", 10_000, 120_000),
        answer_timeout: millis(&mut section, "answer_timeout_ms", 3_000, 60_000),
        header_timeout: millis(&mut section, "header_timeout_ms", 30_000, 600_000),
        connections_max: integer(&mut section, "connections_max", 1_024, 100_000),
        on_unverified,
        quarantine_max: count(section.integer("quarantine_max", 10_000, 1..=10_000_000)) as u64,
        source_rate: rate(&mut section, "rate_per_second", "burst").flatten(),
        peer_rate: rate(&mut section, "peer_rate_per_second", "peer_burst").flatten(),
    };
    let rules = Rules {
        leeway_s: seconds(&mut section, "leeway_s", 60, 300),
        token_age_max_s: seconds(&mut section, "token_age_max_s", 0, 86_400),
        accept_bearer_prefix: section.bool("accept_bearer_prefix", false),
    };
    section.finish();
    Ingest { listen, options, rules }
}

fn admin(mut section: Section) -> Option<SocketAddr> {
    let listen = address(&mut section, "listen");
    section.finish();
    listen
}

fn store(mut section: Section, folder: &Path, environment: &Environment) -> Store {
    let text = section.string("url").unwrap_or_else(|| "sqlite:livekit-webhook.db".to_owned());
    let mut url = Url::parse(&text, folder).unwrap_or_else(|error| {
        section.problem("url", error);
        Url::Sqlite(PathBuf::new())
    });
    if let Some(password) = secret::password(&mut section, folder, environment) {
        url = match url {
            Url::Postgres(address) => {
                Url::Postgres(Box::new(address.with_password(password.reveal())))
            }
            Url::Sqlite(_) => {
                section.problem("password_file", "an embedded store has no password");
                url
            }
        };
    }
    let connections_max = section.integer("connections_max", CONNECTIONS_DEFAULT, 4..=1_000);
    let dedupe_window_h = section.integer("dedupe_window_h", 24, 1..=168);
    let dedupe_window = Duration::from_secs(dedupe_window_h.unsigned_abs() * 3_600);
    let retention = retention(&mut section);
    section.finish();
    Store { url, connections_max: count(connections_max), dedupe_window, retention }
}

fn deliver(mut section: Section) -> Deliver {
    let in_flight_max = integer(&mut section, "in_flight_max", 512, 10_000);
    let mut allow: Vec<Allow> = Vec::new();
    let entries = section.strings("allow").unwrap_or_default();
    if entries.len() > ALLOWED_MAX {
        section.problem("allow", format_args!("at most {ALLOWED_MAX} entries are allowed"));
    }
    for (index, entry) in entries.iter().enumerate() {
        match entry.parse() {
            Ok(entry) => allow.push(entry),
            Err(error) => section.problem(&format!("allow[{index}]"), error),
        }
    }
    let plain_http = section.bool("plain_http", false);
    let plain = if plain_http { PlainHttp::Allowed } else { PlainHttp::Refused };
    let grace = millis(&mut section, "grace_ms", 25_000, 600_000);
    let proxy = section.string("proxy").and_then(|text| {
        let address = text.strip_prefix("http://").and_then(|address| address.parse().ok());
        if address.is_none() {
            section.problem("proxy", "must be `http://ADDRESS:PORT`, an address and not a name");
        }
        address
    });
    let host = host(&mut section);
    section.finish();
    let policy = AddressPolicy::new(allow.clone(), plain);
    Deliver { in_flight_max, policy, allow, plain_http, grace, proxy, host }
}

/// `[deliver] host`, else the machine's name.
fn host(section: &mut Section) -> Option<String> {
    let Some(name) = section.string("host") else {
        let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
        return Some(name.trim().to_owned()).filter(|name| is_host(name));
    };
    if !is_host(&name) {
        section.problem(
            "host",
            format_args!("must be 1 to {HOST_BYTES_MAX} printable characters, no spaces"),
        );
        return None;
    }
    Some(name)
}

fn is_host(name: &str) -> bool {
    (1..=HOST_BYTES_MAX).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic())
}

fn sources(root: &mut Section, folder: &Path, environment: &Environment) -> Vec<Named<Source>> {
    let mut sections = root.sections("source");
    if sections.is_empty() {
        root.problem("source", "is missing: one [[source]] for each LiveKit project");
    }
    too_many(root, "source", &mut sections);
    let mut names = HashSet::new();
    let mut owners: HashMap<String, String> = HashMap::new();
    // One ring for all sources, as the host makes one: it knows its own limits.
    let mut ring = KeyRing::new();
    let mut found = Vec::new();
    for mut section in sections {
        let name = name(&mut section, "name", "prod").map(|name| name.to_string());
        unique(&section, name.as_deref(), &mut names);
        let keys = keys(&mut section, &mut ring, folder, environment);
        for key in keys.iter().flatten() {
            let owner = name.clone().unwrap_or_default();
            let owner = owners.entry(key.api_key.clone()).or_insert(owner);
            if name.as_ref().is_some_and(|name| name != owner) {
                let text = format!("the key {} belongs to source {owner} already", key.api_key);
                section.problem("keys", text);
            }
        }
        let events = globs(&mut section, "events");
        let server = server(&mut section);
        let source =
            (|| Some(Source { name: name.clone()?, keys: keys?, events: events?, server }))();
        section.finish();
        found.push(Named { name, found: source });
    }
    found
}

/// LiveKit's own tools write `wss://` for the same server.
fn server(section: &mut Section) -> Option<EndpointUrl> {
    let text = section.string("server")?;
    let http = match text.split_once("://") {
        Some(("ws", rest)) => format!("http://{rest}"),
        Some(("wss", rest)) => format!("https://{rest}"),
        _ => text,
    };
    match EndpointUrl::parse(&http, PlainHttp::Allowed) {
        Ok(url) if url.path_and_query() == "/" => Some(url),
        Ok(_) => {
            section.problem("server", "must be the address alone, such as https://lk.example.com");
            None
        }
        Err(error) => {
            section.problem("server", format_args!("{error} (https, http, wss or ws)"));
            None
        }
    }
}

fn keys(
    section: &mut Section,
    ring: &mut KeyRing,
    folder: &Path,
    environment: &Environment,
) -> Option<Vec<Key>> {
    let sections = section.sections("keys");
    if sections.is_empty() {
        let text = "is missing, for example keys = [{ api_key = \"APIabc\", secret_file = \"livekit.secret\" }]";
        section.problem("keys", text);
        return None;
    }
    let mut keys = Vec::with_capacity(sections.len());
    for mut section in sections {
        let api_key = section.required_string("api_key", "APIabc");
        let secret = secret::take(&mut section, folder, environment);
        keys.push((|| Some(Key { api_key: api_key?, secret: secret? }))());
        section.finish();
    }
    let keys: Vec<Key> = keys.into_iter().collect::<Option<_>>()?;
    for (index, key) in keys.iter().enumerate() {
        if let Err(error) = ring.insert(&key.api_key, key.secret.reveal()) {
            section.problem(&format!("keys[{index}]"), error);
            return None;
        }
    }
    Some(keys)
}

fn endpoints(root: &mut Section, context: &Context<'_>) -> Vec<Named<Endpoint>> {
    let mut sections = root.sections("endpoint");
    too_many(root, "endpoint", &mut sections);
    let mut names = HashSet::new();
    let mut found = Vec::new();
    for section in sections {
        let name = section.peek_string("name");
        unique(&section, name.as_deref(), &mut names);
        found.push(Named { name, found: endpoint::parse(section, context) });
    }
    found
}

fn subscriptions(
    root: &mut Section,
    endpoints: &[Named<Endpoint>],
    plugins: &[Named<Plugin>],
    sources: &[Named<Source>],
    usual: &[String],
) -> Vec<Subscription> {
    let mut sections = root.sections("subscription");
    too_many(root, "subscription", &mut sections);
    let mut found = Vec::new();
    for mut section in sections {
        let endpoint = name(&mut section, "endpoint", "billing");
        if let Some(endpoint) = &endpoint {
            refers(&section, "endpoint", endpoint.as_str(), endpoints);
        }
        let events = globs(&mut section, "events");
        let rooms = globs(&mut section, "rooms");
        let chain = section.strings("plugins");
        refer(&section, "plugins", chain.as_deref().unwrap_or_default(), plugins);
        let chain = chain.unwrap_or_else(|| usual.to_vec());
        let only = section.strings("sources").unwrap_or_default();
        refer(&section, "sources", &only, sources);
        if let (Some(endpoint), Some(events), Some(rooms)) = (endpoint, events, rooms) {
            match Subscription::new(endpoint, only, events, rooms, chain) {
                Ok(subscription) => found.push(subscription),
                Err(error) => section.problem("endpoint", error),
            }
        }
        section.finish();
    }
    found
}

/// The same for a list of names.
fn refer<T>(section: &Section, key: &str, names: &[String], named: &[Named<T>]) {
    for (index, name) in names.iter().enumerate() {
        refers(section, &format!("{key}[{index}]"), name, named);
    }
}

/// Notes a reference to a name that no section carries.
fn refers<T>(section: &Section, key: &str, name: &str, named: &[Named<T>]) {
    let known: Vec<&str> = named.iter().filter_map(|named| named.name.as_deref()).collect();
    if !known.contains(&name) {
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        section.problem(key, format_args!("{name:?} is not configured; there is: {known}"));
    }
}

/// Notes a name that another section of the same kind has.
pub fn unique(section: &Section, name: Option<&str>, names: &mut HashSet<String>) {
    if let Some(name) = name.filter(|name| !names.insert((*name).to_owned())) {
        section.problem("name", format_args!("{name:?} stands twice"));
    }
}

/// Notes sections over the limit and leaves them out.
pub fn too_many(root: &Section, key: &'static str, sections: &mut Vec<Section>) {
    if sections.len() > SECTIONS_MAX {
        root.problem(key, format_args!("at most {SECTIONS_MAX} are allowed"));
        sections.truncate(SECTIONS_MAX);
    }
}

fn globs(section: &mut Section, key: &'static str) -> Option<Vec<Glob>> {
    let texts = section.strings(key).unwrap_or_default();
    let mut globs = Vec::with_capacity(texts.len());
    for (index, text) in texts.iter().enumerate() {
        let parsed = Glob::parse(text);
        globs.push(parsed.map_err(|error| section.problem(&format!("{key}[{index}]"), error)).ok());
    }
    globs.into_iter().collect()
}

fn address(section: &mut Section, key: &'static str) -> Option<SocketAddr> {
    let text = section.string(key)?;
    let parsed = text.parse();
    let hint = "expected an address and a port, such as 127.0.0.1:8080 or [::]:8080";
    parsed.map_err(|_| section.problem(key, format_args!("{text:?}: {hint}"))).ok()
}

fn millis(section: &mut Section, key: &'static str, default: i64, max: i64) -> Duration {
    Duration::from_millis(section.integer(key, default, 1..=max).unsigned_abs())
}

fn seconds(section: &mut Section, key: &'static str, default: i64, max: i64) -> u32 {
    u32::try_from(section.integer(key, default, 0..=max)).unwrap_or_default()
}

fn count(value: i64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}
