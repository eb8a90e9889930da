//! Which addresses a delivery may reach.
//!
//! An endpoint's URL comes from whoever configures it; the network around the host must not be
//! reachable through it. Three questions, asked at every attempt and once more when an endpoint is
//! configured: [`AddressPolicy::judge_url`] before DNS, [`AddressPolicy::judge_all`] on what DNS
//! said, [`AddressPolicy::judge`] on the address about to be dialled. One bad address among several
//! refuses all of them, because whoever answers DNS could otherwise choose which is tried.
//!
//! Guarantee: nothing in [`ranges`] is judged reachable unless the operator's allow-list names it
//! by network and port. Not promised: that a public address is not the operator's own; such
//! services belong on the list of denied ports or behind a firewall.

use crate::endpoint::{EndpointUrl, Host, PlainHttp};
use std::net::IpAddr;

pub mod allow;
pub mod ranges;

use allow::Allow;

/// Most addresses a host name may have.
pub const ADDRESSES_MAX: usize = 16;
/// Most entries of the allow-list.
pub const ALLOWED_MAX: usize = 64;

/// Ports at or above 1024 at which something that is not a webhook receiver usually listens. Below
/// 1024 only 80 and 443 are open. A text sent there may be read as commands (Redis, memcached), or
/// controls a machine (Docker, kubelet).
pub const DENIED_PORTS: [u16; 33] = [
    1433, 1521, 2049, 2181, 2375, 2376, 2379, 2380, 3306, 3389, 4369, 5060, 5061, 5432, 5672, 5900,
    5984, 6000, 6379, 6443, 6566, 6665, 6666, 6667, 6668, 6669, 6697, 9042, 9092, 9200, 10250,
    11211, 27017,
];

/// What the operator of a deployment allows. The default: public addresses, over TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddressPolicy {
    allowed: Vec<Allow>,
    plain_http: PlainHttp,
}

/// Why an address, or what leads to one, may not be dialled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// Inside a range that is not public.
    #[error("{address} is in {range} ({name})")]
    Range {
        /// As DNS or the URL gave it.
        address: IpAddr,
        /// The range in CIDR form.
        range: &'static str,
        /// What the range is for.
        name: &'static str,
    },
    /// A port of some other service.
    #[error(
        "port {0} is not allowed: use 80, 443 or one above 1023 that no other service is known for"
    )]
    Port(u16),
    /// A name that means this machine or this network.
    #[error("the host name {0} is local")]
    LocalName(String),
    /// No TLS.
    #[error("plain http is not allowed for {0}: use https")]
    PlainHttp(String),
    /// More than anybody needs.
    #[error("the host name has {0} addresses, at most {ADDRESSES_MAX} are allowed")]
    TooMany(usize),
    /// Nothing to dial.
    #[error("the host name has no address")]
    NoAddress,
}

// === impl AddressPolicy ===

impl AddressPolicy {
    /// A policy with exceptions: networks and ports that may be reached though they are not public,
    /// and whether public addresses may be reached without TLS. Entries past [`ALLOWED_MAX`] are
    /// the configuration's to refuse.
    pub fn new(allowed: Vec<Allow>, plain_http: PlainHttp) -> Self {
        Self { allowed, plain_http }
    }

    /// What [`EndpointUrl::parse`] may accept under this policy. With an allow-list it accepts
    /// `http://`, and [`AddressPolicy::judge_all`] decides by the address.
    pub fn plain_http(&self) -> PlainHttp {
        if self.allowed.is_empty() { self.plain_http } else { PlainHttp::Allowed }
    }

    /// Before DNS: the port, local names, plain http, and a literal address.
    ///
    /// # Errors
    /// The [`Refusal`]. A local name or plain http is left to [`AddressPolicy::judge_all`] where
    /// the allow-list has an entry for the port.
    pub fn judge_url(&self, url: &EndpointUrl) -> Result<(), Refusal> {
        match url.host() {
            Host::Address(address) => self.judge_all(url, &[*address]),
            Host::Name(_) if self.allowed.iter().any(|allow| allow.has_port(url.port())) => Ok(()),
            Host::Name(_) => {
                judge_port(url.port())?;
                self.judge_exposed(url)
            }
        }
    }

    /// After DNS: all addresses of the URL's host, any bad one refuses.
    ///
    /// # Errors
    /// The first [`Refusal`].
    pub fn judge_all(&self, url: &EndpointUrl, addresses: &[IpAddr]) -> Result<(), Refusal> {
        match addresses.len() {
            0 => return Err(Refusal::NoAddress),
            1..=ADDRESSES_MAX => {}
            count => return Err(Refusal::TooMany(count)),
        }
        for &address in addresses {
            if !self.is_allowed(address, url.port()) {
                judge_port(url.port())?;
                self.judge_exposed(url)?;
                ranges::judge(address)?;
            }
        }
        Ok(())
    }

    /// One address and port about to be dialled. Says nothing of the scheme and the host name.
    ///
    /// # Errors
    /// The [`Refusal`].
    pub fn judge(&self, address: IpAddr, port: u16) -> Result<(), Refusal> {
        if self.is_allowed(address, port) {
            return Ok(());
        }
        judge_port(port)?;
        ranges::judge(address)
    }

    fn is_allowed(&self, address: IpAddr, port: u16) -> bool {
        self.allowed.iter().any(|allow| allow.admits(address, port))
    }

    /// What the allow-list lifts and a public address does not: local names and plain http.
    fn judge_exposed(&self, url: &EndpointUrl) -> Result<(), Refusal> {
        if let Host::Name(name) = url.host()
            && is_local_name(name)
        {
            return Err(Refusal::LocalName(name.clone()));
        }
        if !url.is_https() && self.plain_http == PlainHttp::Refused {
            return Err(Refusal::PlainHttp(url.host().to_string()));
        }
        Ok(())
    }
}

fn judge_port(port: u16) -> Result<(), Refusal> {
    match port {
        80 | 443 => Ok(()),
        1024.. if !DENIED_PORTS.contains(&port) => Ok(()),
        _ => Err(Refusal::Port(port)),
    }
}

fn is_local_name(name: &str) -> bool {
    matches!(name.rsplit('.').next(), Some("localhost" | "internal" | "local"))
}

#[cfg(test)]
mod tests;
