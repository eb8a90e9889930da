//! The operator's exceptions: a network and its ports, written `10.1.0.0/16:8080`,
//! `127.0.0.1:9000-9100`, `[fd00::/8]:443,8443` or `192.168.7.2:*`.

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// Most ports and port ranges of one entry.
pub const PORTS_MAX: usize = 16;

/// A network and ports that may be reached though the address is not public, also by plain http and
/// under a local name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allow {
    first: IpAddr,
    prefix: u32,
    ports: Vec<RangeInclusive<u16>>,
}

/// Why a text is not an entry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No ports, or IPv6 without brackets.
    #[error("expected a network and its ports, such as 10.1.0.0/16:8080 or [fd00::/8]:443")]
    Form,
    /// Not an address, or a prefix that is longer than one.
    #[error("expected an address and a prefix length, such as 10.1.0.0/16")]
    Network,
    /// `10.1.2.3/8` may be a slip for one machine or for the whole network.
    #[error("the address has bits set after the prefix: write the network's first address")]
    HostBits,
    /// An IPv4 address in IPv6 clothes.
    #[error("write an IPv4 network as IPv4")]
    Mapped,
    /// Not ports.
    #[error("expected `*` or up to {PORTS_MAX} ports or ranges, such as 80,8000-8999")]
    Ports,
}

// === impl Allow ===

impl Allow {
    /// Whether it names this address and port. A mapped address counts as its IPv4 address; a NAT64
    /// one does not, since it leaves through another machine.
    pub fn admits(&self, address: IpAddr, port: u16) -> bool {
        self.has_port(port) && leading(address.to_canonical(), self.prefix) == self.leading()
    }

    /// Whether it names this port for any address.
    pub fn has_port(&self, port: u16) -> bool {
        self.ports.iter().any(|range| range.contains(&port))
    }

    fn leading(&self) -> (bool, u128) {
        leading(self.first, self.prefix)
    }
}

impl FromStr for Allow {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let (network, ports) = match text.strip_prefix('[') {
            Some(rest) => rest.split_once("]:"),
            None => text.split_once(':'),
        }
        .ok_or(Error::Form)?;
        let (address, prefix) = match network.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (network, None),
        };
        let first: IpAddr = address.parse().map_err(|_| Error::Network)?;
        if first.is_ipv6() != text.starts_with('[') {
            return Err(Error::Form);
        }
        if first.to_canonical() != first {
            return Err(Error::Mapped);
        }
        let bits = if first.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            Some(digits) => parse_number(digits).ok_or(Error::Network)?,
            None => bits,
        };
        if prefix > bits {
            return Err(Error::Network);
        }
        if host_bits(first, prefix) != 0 {
            return Err(Error::HostBits);
        }
        Ok(Self { first, prefix, ports: parse_ports(ports)? })
    }
}

impl std::fmt::Display for Allow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.first {
            IpAddr::V4(v4) => write!(f, "{v4}/{}:", self.prefix)?,
            IpAddr::V6(v6) => write!(f, "[{v6}/{}]:", self.prefix)?,
        }
        for (index, range) in self.ports.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            match (range.start(), range.end()) {
                (1, &u16::MAX) => write!(f, "{comma}*")?,
                (first, last) if first == last => write!(f, "{comma}{first}")?,
                (first, last) => write!(f, "{comma}{first}-{last}")?,
            }
        }
        Ok(())
    }
}

/// The family and the first `prefix` bits; addresses of two families never agree.
fn leading(address: IpAddr, prefix: u32) -> (bool, u128) {
    match address {
        IpAddr::V4(v4) => {
            (true, u32::from(v4).checked_shr(32u32.saturating_sub(prefix)).unwrap_or(0).into())
        }
        IpAddr::V6(v6) => (false, u128::from(v6).checked_shr(128 - prefix).unwrap_or(0)),
    }
}

fn host_bits(address: IpAddr, prefix: u32) -> u128 {
    match address {
        IpAddr::V4(v4) => u32::from(v4).checked_shl(prefix).unwrap_or(0).into(),
        IpAddr::V6(v6) => u128::from(v6).checked_shl(prefix).unwrap_or(0),
    }
}

fn parse_ports(text: &str) -> Result<Vec<RangeInclusive<u16>>, Error> {
    if text == "*" {
        return Ok(vec![1..=u16::MAX]);
    }
    let parts: Vec<&str> = text.split(',').collect();
    if parts.len() > PORTS_MAX {
        return Err(Error::Ports);
    }
    parts.into_iter().map(|part| parse_range(part).ok_or(Error::Ports)).collect()
}

fn parse_range(text: &str) -> Option<RangeInclusive<u16>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let first = u16::try_from(parse_number(first)?).ok()?;
    let last = u16::try_from(parse_number(last)?).ok()?;
    (1 <= first && first <= last).then_some(first..=last)
}

/// Digits only: no sign, no space.
fn parse_number(text: &str) -> Option<u32> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}
