//! A strict reading of an endpoint's URL. RFC 3986, less all that is ambiguous.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Longest URL, in bytes.
const URL_BYTES_MAX: usize = 2_048;
/// Longest host name and longest label of it, in bytes. RFC 1035, section 2.3.4.
const HOST_BYTES_MAX: usize = 253;
const LABEL_BYTES_MAX: usize = 63;

/// Whether `http://` is accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PlainHttp {
    /// `https://` only.
    #[default]
    Refused,
    /// Both. The address policy still decides which addresses may be reached without TLS.
    Allowed,
}

/// A parsed URL: nothing after this point reads the text again.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EndpointUrl {
    is_https: bool,
    host: Host,
    port: u16,
    path_and_query: String,
}

/// Who is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    /// A DNS name in lower case, without a dot at its end.
    Name(String),
    /// A literal address.
    Address(IpAddr),
}

/// Why a text is not an endpoint's URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UrlError {
    /// Over the limit.
    #[error("a URL has at most {URL_BYTES_MAX} bytes")]
    TooLong,
    /// A space, a control character, a backslash or something outside ASCII.
    #[error(
        "a URL has printable ASCII characters only: write others percent-encoded, host names as punycode"
    )]
    Character,
    /// Another scheme.
    #[error("expected a URL that begins with https://")]
    Scheme,
    /// `http://` without leave.
    #[error("plain http is not allowed here: use https")]
    PlainHttp,
    /// `user:password@`.
    #[error("a URL holds no user name and no password: use the endpoint's auth")]
    UserInfo,
    /// `#…`.
    #[error("a URL of an endpoint has no fragment")]
    Fragment,
    /// Nothing to connect to.
    #[error("expected a host name or an address")]
    Host,
    /// `127.1`, `0x7f000001`, `2130706433`, `[::1%eth0]`, …
    #[error("write an address as four decimal numbers, or as IPv6 in brackets")]
    Address,
    /// Not a number from 1 to 65535.
    #[error("a port is a number from 1 to 65535")]
    Port,
    /// A `%` without two hex digits.
    #[error("a percent sign is followed by two hex digits")]
    Percent,
}

// === impl EndpointUrl ===

impl EndpointUrl {
    /// Parses a URL.
    ///
    /// # Errors
    /// [`UrlError`] says what would be right.
    pub fn parse(text: &str, plain_http: PlainHttp) -> Result<Self, UrlError> {
        if text.len() > URL_BYTES_MAX {
            return Err(UrlError::TooLong);
        }
        let fits = |byte: u8| byte.is_ascii_graphic() && !b"\\\"<>^`{|}".contains(&byte);
        if !text.bytes().all(fits) {
            return Err(UrlError::Character);
        }
        let (scheme, rest) = text.split_once("://").ok_or(UrlError::Scheme)?;
        let is_https = match scheme.to_ascii_lowercase().as_str() {
            "https" => true,
            "http" if plain_http == PlainHttp::Allowed => false,
            "http" => return Err(UrlError::PlainHttp),
            _ => return Err(UrlError::Scheme),
        };
        if rest.contains('#') {
            return Err(UrlError::Fragment);
        }
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        if authority.contains('@') {
            return Err(UrlError::UserInfo);
        }
        let (host, port) = split_port(authority)?;
        let default_port = if is_https { 443 } else { 80 };
        Ok(Self {
            is_https,
            host: Host::parse(host)?,
            port: port.unwrap_or(default_port),
            path_and_query: parse_path(path)?,
        })
    }

    /// Whether TLS is used.
    pub fn is_https(&self) -> bool {
        self.is_https
    }

    /// Who is asked for.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The port, given or the scheme's own.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The request line's part, beginning with a slash. As given: not normalised, receivers may
    /// sign or route by it.
    pub fn path_and_query(&self) -> &str {
        &self.path_and_query
    }

    /// The value of `Host`: the port is left out when it is the scheme's own.
    pub fn authority(&self) -> String {
        match (self.is_https, self.port) {
            (true, 443) | (false, 80) => self.host.to_string(),
            _ => format!("{}:{}", self.host, self.port),
        }
    }
}

impl std::fmt::Display for EndpointUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let scheme = if self.is_https { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority(), self.path_and_query)
    }
}

// === impl Host ===

impl Host {
    fn parse(text: &str) -> Result<Self, UrlError> {
        if let Some(literal) = text.strip_prefix('[') {
            let literal = literal.strip_suffix(']').ok_or(UrlError::Address)?;
            let address: Ipv6Addr = literal.parse().map_err(|_| UrlError::Address)?;
            return Ok(Self::Address(address.into()));
        }
        let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        if name.is_empty() || name.len() > HOST_BYTES_MAX || !name.split('.').all(is_label) {
            return Err(UrlError::Host);
        }
        // Resolvers read a last label of digits, or of hex digits after 0x, as part of an IPv4
        // address in one of its old notations. No top-level domain looks like that.
        let last = name.rsplit('.').next().unwrap_or_default();
        if last.bytes().all(|byte| byte.is_ascii_digit()) || last.starts_with("0x") {
            let address: Ipv4Addr = text.parse().map_err(|_| UrlError::Address)?;
            return Ok(Self::Address(address.into()));
        }
        Ok(Self::Name(name))
    }
}

impl std::fmt::Display for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(IpAddr::V4(address)) => write!(f, "{address}"),
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
        }
    }
}

/// Letters, digits, hyphens inside, and the underscore that service names in clusters use.
fn is_label(label: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    !label.is_empty()
        && label.len() <= LABEL_BYTES_MAX
        && label.bytes().all(fits)
        && !label.starts_with('-')
        && !label.ends_with('-')
}

fn split_port(authority: &str) -> Result<(&str, Option<u16>), UrlError> {
    let after_host = match (authority.starts_with('['), authority.rfind(']')) {
        (true, None) => return Err(UrlError::Address),
        (true, Some(bracket)) => bracket + 1,
        (false, _) => 0,
    };
    let Some(colon) = authority[after_host..].find(':') else {
        return Ok((authority, None));
    };
    let (host, port) = authority.split_at(after_host + colon);
    let digits = &port[1..];
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(UrlError::Port);
    }
    match digits.parse() {
        Ok(0) | Err(_) => Err(UrlError::Port),
        Ok(port) => Ok((host, Some(port))),
    }
}

fn parse_path(path: &str) -> Result<String, UrlError> {
    let mut rest = path.as_bytes();
    while let Some(percent) = rest.iter().position(|&byte| byte == b'%') {
        let digits = rest.get(percent + 1..percent + 3).ok_or(UrlError::Percent)?;
        if !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err(UrlError::Percent);
        }
        rest = &rest[percent + 3..];
    }
    Ok(if path.starts_with('/') { path.to_owned() } else { format!("/{path}") })
}
