//! What a plugin may reach beyond its own event: asked for by its manifest, granted by the operator.
//!
//! Both are a [`Permissions`]. What holds is their intersection ([`Permissions::both`]), so a grant
//! of more than is asked changes nothing, and neither does asking. [`Permissions::beyond`] is the
//! difference, in words, that an upgrade is held for.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The port of `https` when a rule names none.
const HTTPS_PORT: u16 = 443;
/// The port of `http` when a rule names none.
const HTTP_PORT: u16 = 80;

/// Everything a plugin may be granted. The default is nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Permissions {
    /// Hosts it may send requests to.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub http: Vec<HttpRule>,
    /// Its state.
    #[serde(skip_serializing_if = "StateAccess::is_none")]
    pub state: StateAccess,
    /// Functions of the `livekit` interface.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub livekit: Vec<LiveKitFunction>,
    /// Which time WASI's clocks tell.
    #[serde(skip_serializing_if = "Clock::is_event")]
    pub clock: Clock,
    /// Which randomness WASI gives.
    #[serde(skip_serializing_if = "Random::is_seeded")]
    pub random: Random,
}

/// Requests to one host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpRule {
    /// `https`, or `http` where that is said.
    #[serde(default)]
    pub scheme: Scheme,
    /// A name, a name whose first label is `*`, or an IP address.
    pub host: String,
    /// 443 for `https` and 80 for `http` when none is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// Such as `POST`. Empty stands for any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub methods: Vec<String>,
    /// The path begins with these segments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path_prefix: Option<String>,
    /// Names of secrets that may be put into these requests.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<String>,
}

/// The scheme of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scheme {
    /// TLS.
    #[default]
    Https,
    /// In the clear.
    Http,
}

/// How a plugin may use its state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum StateAccess {
    /// Not at all.
    #[default]
    #[serde(rename = "none")]
    None,
    /// `get` and `keys`.
    #[serde(rename = "ro")]
    Read,
    /// Everything.
    #[serde(rename = "rw")]
    Write,
}

/// A function of the `livekit` interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LiveKitFunction {
    /// `get-room`
    GetRoom,
    /// `list-participants`
    ListParticipants,
    /// `get-participant`
    GetParticipant,
    /// `list-egress`
    ListEgress,
}

/// What WASI's clocks tell. Components of the pure contract have no clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Clock {
    /// The event's time, so that a replay sees the same.
    #[default]
    Event,
    /// The machine's.
    Real,
}

/// What WASI's randomness is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Random {
    /// From the event's id, so that a replay sees the same.
    #[default]
    Seeded,
    /// The machine's.
    System,
}

// === impl Permissions ===

impl Permissions {
    /// Whether nothing is granted or asked.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// What both allow: the plugin's wish and the operator's grant.
    pub fn both(&self, grant: &Self) -> Self {
        let mut livekit = self.livekit.clone();
        livekit.retain(|function| grant.livekit.contains(function));
        let rules = self
            .http
            .iter()
            .flat_map(|asked| grant.http.iter().filter_map(|granted| asked.both(granted)));
        Self {
            http: rules.collect(),
            state: self.state.min(grant.state),
            livekit,
            clock: self.clock.min(grant.clock),
            random: self.random.min(grant.random),
        }
    }

    /// What this asks and `grant` does not give, one line each, as an operator would write it.
    pub fn beyond(&self, grant: &Self) -> Vec<String> {
        let mut lines = Vec::new();
        for asked in &self.http {
            if !grant.http.iter().any(|granted| granted.covers(asked)) {
                lines.push(format!("http: {asked}"));
            }
        }
        if self.state > grant.state {
            lines.push(format!("state: {}", self.state.as_str()));
        }
        for function in &self.livekit {
            if !grant.livekit.contains(function) {
                lines.push(format!("livekit: {}", function.as_str()));
            }
        }
        if self.clock > grant.clock {
            lines.push("clock: real".to_owned());
        }
        if self.random > grant.random {
            lines.push("random: system".to_owned());
        }
        lines
    }
}

// === impl HttpRule ===

impl HttpRule {
    /// The port of these requests.
    pub fn port(&self) -> u16 {
        self.port.unwrap_or(match self.scheme {
            Scheme::Https => HTTPS_PORT,
            Scheme::Http => HTTP_PORT,
        })
    }

    /// Whether `host`, in lower case and without a trailing dot, is meant. `*.example.com` means one
    /// label before `example.com`, not the name itself and not two labels. Never an address.
    pub fn is_host(&self, host: &str) -> bool {
        match self.host.strip_prefix("*.") {
            None => self.host.eq_ignore_ascii_case(host),
            Some(suffix) => host.split_once('.').is_some_and(|(label, rest)| {
                !label.is_empty() && rest.eq_ignore_ascii_case(suffix)
            }),
        }
    }

    /// Whether a request with this method is meant.
    pub fn is_method(&self, method: &str) -> bool {
        self.methods.is_empty() || self.methods.iter().any(|m| m.eq_ignore_ascii_case(method))
    }

    /// Whether a path without query, begun by a slash, is meant: `/v1` means `/v1` and `/v1/x`, not
    /// `/v10`.
    pub fn is_path(&self, path: &str) -> bool {
        let Some(prefix) = self.path_prefix.as_deref() else {
            return true;
        };
        let prefix = prefix.trim_end_matches('/');
        path.strip_prefix(prefix)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || rest.starts_with('?'))
    }

    /// Whether everything `asked` means is meant by this.
    fn covers(&self, asked: &Self) -> bool {
        let methods = self.methods.is_empty()
            || (!asked.methods.is_empty() && asked.methods.iter().all(|m| self.is_method(m)));
        let path = self.path_prefix.is_none()
            || asked.path_prefix.as_deref().is_some_and(|path| self.is_path(path));
        self.scheme == asked.scheme
            && self.port() == asked.port()
            && self.means_host_of(asked)
            && methods
            && path
            && asked.secrets.iter().all(|secret| self.secrets.contains(secret))
    }

    /// Whether every host `other` means is meant by this.
    fn means_host_of(&self, other: &Self) -> bool {
        self.host.eq_ignore_ascii_case(&other.host)
            || (!other.host.starts_with("*.") && self.is_host(&other.host))
    }

    /// What both mean, or `None` when that is nothing.
    fn both(&self, other: &Self) -> Option<Self> {
        if self.scheme != other.scheme || self.port() != other.port() {
            return None;
        }
        let host = if self.means_host_of(other) {
            other.host.clone()
        } else if other.means_host_of(self) {
            self.host.clone()
        } else {
            return None;
        };
        let methods = match (self.methods.as_slice(), other.methods.as_slice()) {
            ([], methods) | (methods, []) => methods.to_vec(),
            (methods, _) => {
                let both: Vec<_> =
                    methods.iter().filter(|method| other.is_method(method)).cloned().collect();
                if both.is_empty() {
                    return None;
                }
                both
            }
        };
        let path_prefix = match (&self.path_prefix, &other.path_prefix) {
            (None, path) | (path, None) => path.clone(),
            (Some(_), Some(b)) if self.is_path(b) => Some(b.clone()),
            (Some(a), Some(_)) if other.is_path(a) => Some(a.clone()),
            (Some(_), Some(_)) => return None,
        };
        let mut secrets = self.secrets.clone();
        secrets.retain(|secret| other.secrets.contains(secret));
        Some(Self { scheme: self.scheme, host, port: self.port, methods, path_prefix, secrets })
    }
}

impl fmt::Display for HttpRule {
    /// `POST https://api.example.com:443/v1 with secrets token`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let methods = if self.methods.is_empty() { "any method" } else { &self.methods.join(",") };
        let scheme = match self.scheme {
            Scheme::Https => "https",
            Scheme::Http => "http",
        };
        let path = self.path_prefix.as_deref().unwrap_or("/");
        write!(f, "{methods} {scheme}://{}:{}{path}", self.host, self.port())?;
        if !self.secrets.is_empty() {
            write!(f, " with secrets {}", self.secrets.join(", "))?;
        }
        Ok(())
    }
}

// === impl StateAccess ===

impl StateAccess {
    /// As in the manifest.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Read => "ro",
            Self::Write => "rw",
        }
    }

    fn is_none(&self) -> bool {
        *self == Self::None
    }
}

// === impl LiveKitFunction ===

impl LiveKitFunction {
    /// As in the contract.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::GetRoom => "get-room",
            Self::ListParticipants => "list-participants",
            Self::GetParticipant => "get-participant",
            Self::ListEgress => "list-egress",
        }
    }
}

// === impl Clock ===

impl Clock {
    fn is_event(&self) -> bool {
        *self == Self::Event
    }
}

// === impl Random ===

impl Random {
    fn is_seeded(&self) -> bool {
        *self == Self::Seeded
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(host: &str, methods: &[&str], path: Option<&str>) -> HttpRule {
        HttpRule {
            scheme: Scheme::Https,
            host: host.to_owned(),
            port: None,
            methods: methods.iter().map(ToString::to_string).collect(),
            path_prefix: path.map(str::to_owned),
            secrets: Vec::new(),
        }
    }

    fn only(rule: HttpRule) -> Permissions {
        Permissions { http: vec![rule], ..Permissions::default() }
    }

    #[test]
    fn a_wildcard_means_one_label() {
        let rule = rule("*.example.com", &[], None);
        assert!(rule.is_host("api.example.com"));
        for other in ["example.com", "a.b.example.com", ".example.com", "apiexample.com"] {
            assert!(!rule.is_host(other), "{other}");
        }
    }

    #[test]
    fn a_path_prefix_ends_at_a_segment() {
        let rule = rule("a.com", &[], Some("/v1/"));
        for (path, is) in [("/v1", true), ("/v1/x", true), ("/v1?q", true), ("/v10", false)] {
            assert_eq!(rule.is_path(path), is, "{path}");
        }
    }

    #[test]
    fn what_holds_is_what_both_mean() {
        let asked = only(rule("*.example.com", &["POST", "GET"], None));
        let granted = only(rule("api.example.com", &["POST"], Some("/v1")));
        let both = only(rule("api.example.com", &["POST"], Some("/v1")));
        assert_eq!(asked.both(&granted), both);
        assert_eq!(granted.both(&asked), both);
        assert_eq!(asked.both(&Permissions::default()), Permissions::default());
        let other = only(rule("api.other.com", &[], None));
        assert!(asked.both(&other).http.is_empty());
    }

    #[test]
    fn an_upgrade_that_asks_for_more_says_what() {
        let granted = only(rule("*.example.com", &["POST"], None));
        assert_eq!(only(rule("a.example.com", &["POST"], None)).beyond(&granted), [""; 0]);
        let mut asked = only(rule("a.example.com", &[], None));
        asked.state = StateAccess::Write;
        asked.livekit = vec![LiveKitFunction::GetRoom];
        let lines = asked.beyond(&granted);
        assert_eq!(
            lines,
            ["http: any method https://a.example.com:443/", "state: rw", "livekit: get-room"]
        );
    }
}
