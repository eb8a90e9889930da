//! `[permissions]`: what a plugin asks for.

use super::super::reader::Table;
use super::{LINE_BYTES_MAX, is_name};
use crate::plugin::permission::{
    Clock, HttpRule, LiveKitFunction, Permissions, Random, Scheme, StateAccess,
};

/// Rules for HTTP of one manifest.
const RULES_MAX: usize = 32;

/// Reads the table.
pub fn read(mut table: Table<'_>) -> Permissions {
    let mut http = Vec::new();
    let rules = table.tables("http");
    if rules.len() > RULES_MAX {
        table.problem("http", format_args!("{} rules, at most {RULES_MAX}", rules.len()));
    }
    for rule in rules.into_iter().take(RULES_MAX) {
        http.extend(http_rule(rule));
    }
    let access =
        [("none", StateAccess::None), ("ro", StateAccess::Read), ("rw", StateAccess::Write)];
    let state = table.word("state", &access).unwrap_or_default();
    let functions = [
        LiveKitFunction::GetRoom,
        LiveKitFunction::ListParticipants,
        LiveKitFunction::GetParticipant,
        LiveKitFunction::ListEgress,
    ];
    let mut livekit = Vec::new();
    for (index, word) in table.strings("livekit").into_iter().enumerate() {
        match functions.into_iter().find(|function| function.as_str() == word) {
            Some(function) if !livekit.contains(&function) => livekit.push(function),
            Some(_) => table.problem(&format!("livekit[{index}]"), "is there already"),
            None => table.problem(
                &format!("livekit[{index}]"),
                format_args!(
                    "{word:?} must be one of {}",
                    functions.map(|f| f.as_str()).join(", ")
                ),
            ),
        }
    }
    let clocks = [("event", Clock::Event), ("real", Clock::Real)];
    let clock = table.word("clock", &clocks).unwrap_or_default();
    let dice = [("seeded", Random::Seeded), ("system", Random::System)];
    let random = table.word("random", &dice).unwrap_or_default();
    table.finish();
    Permissions { http, state, livekit, clock, random }
}

fn http_rule(mut table: Table<'_>) -> Option<HttpRule> {
    let schemes = [("https", Scheme::Https), ("http", Scheme::Http)];
    let scheme = table.word("scheme", &schemes).unwrap_or_default();
    let host = table.required("host", "api.example.com");
    if let Some(host) = host.as_deref().filter(|host| !is_host(host)) {
        table.problem(
            "host",
            format_args!(
                "{host:?} must be a name in lower case such as api.example.com or *.example.com, \
                 or an IP address, without scheme, port and path"
            ),
        );
    }
    let port = table.number("port", u64::from(u16::MAX)).and_then(|port| u16::try_from(port).ok());
    if port == Some(0) {
        table.problem("port", "must be 1 to 65535");
    }
    let methods = table.strings("methods");
    if methods.iter().any(|m| m.is_empty() || !m.bytes().all(|b| b.is_ascii_uppercase())) {
        table.problem("methods", "must be in upper case, such as [\"GET\", \"POST\"]");
    }
    let path_prefix = table.string("path_prefix");
    if path_prefix.as_deref().is_some_and(|path| !is_path_prefix(path)) {
        table.problem(
            "path_prefix",
            "must begin with a slash and have no `..`, `?`, `#`, `%` or `\\`, such as /v1",
        );
    }
    let secrets = table.strings("secrets");
    if secrets.iter().any(|name| !is_name(name)) {
        table.problem("secrets", "a name is 1 to 64 of a-z, 0-9, `-` and `_`");
    }
    table.finish();
    Some(HttpRule { scheme, host: host?, port, methods, path_prefix, secrets })
}

/// A name, a name after `*.`, or an IP address. A wildcard stands for one label of a name that has
/// two more, so that nobody asks for `*.com`.
fn is_host(host: &str) -> bool {
    if host.parse::<std::net::IpAddr>().is_ok() {
        return true;
    }
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let (name, is_wild) = host.strip_prefix("*.").map_or((host, false), |name| (name, true));
    // A name whose last label is a number would be read as an address by somebody.
    let ends_in_number = name.rsplit('.').next().is_some_and(|l| l.parse::<u64>().is_ok());
    name.len() <= 253
        && name.split('.').all(label)
        && !ends_in_number
        && (!is_wild || name.split('.').count() >= 2)
}

fn is_path_prefix(path: &str) -> bool {
    path.starts_with('/')
        && path.len() <= LINE_BYTES_MAX
        && path.bytes().all(|b| b.is_ascii_graphic() && !b"?#%\\".contains(&b))
        && !path.split('/').any(|segment| segment == ".." || segment == ".")
}
