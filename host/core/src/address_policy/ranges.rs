//! The ranges that are not public. IANA's special-purpose registries for IPv4 and IPv6, and what
//! clouds put elsewhere.
//!
//! Forms of IPv6 that carry an IPv4 address are judged by it where the packet ends up there
//! (mapped, NAT64), and are refused whole where they only name a tunnel (6to4, Teredo, compatible,
//! ISATAP).

use super::Refusal;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// First address, prefix length, the range as text, what it is for.
type Range4 = (Ipv4Addr, u32, &'static str, &'static str);
type Range6 = (Ipv6Addr, u32, &'static str, &'static str);

/// IPv4, in order.
pub const IPV4: [Range4; 19] = [
    v4([0, 0, 0, 0], 8, "0.0.0.0/8", "this network"),
    v4([10, 0, 0, 0], 8, "10.0.0.0/8", "private"),
    v4([100, 64, 0, 0], 10, "100.64.0.0/10", "carrier-grade NAT"),
    v4([127, 0, 0, 0], 8, "127.0.0.0/8", "loopback"),
    v4([168, 63, 129, 16], 32, "168.63.129.16/32", "Azure host"),
    v4([169, 254, 0, 0], 16, "169.254.0.0/16", "link-local, cloud metadata"),
    v4([172, 16, 0, 0], 12, "172.16.0.0/12", "private"),
    v4([192, 0, 0, 0], 24, "192.0.0.0/24", "protocol assignments"),
    v4([192, 0, 2, 0], 24, "192.0.2.0/24", "documentation"),
    v4([192, 31, 196, 0], 24, "192.31.196.0/24", "AS112"),
    v4([192, 52, 193, 0], 24, "192.52.193.0/24", "AMT"),
    v4([192, 88, 99, 0], 24, "192.88.99.0/24", "6to4 relay"),
    v4([192, 168, 0, 0], 16, "192.168.0.0/16", "private"),
    v4([192, 175, 48, 0], 24, "192.175.48.0/24", "AS112"),
    v4([198, 18, 0, 0], 15, "198.18.0.0/15", "benchmarking"),
    v4([198, 51, 100, 0], 24, "198.51.100.0/24", "documentation"),
    v4([203, 0, 113, 0], 24, "203.0.113.0/24", "documentation"),
    v4([224, 0, 0, 0], 4, "224.0.0.0/4", "multicast"),
    v4([240, 0, 0, 0], 4, "240.0.0.0/4", "reserved, broadcast"),
];

/// IPv6, in order, but that a smaller range comes before the one around it. Mapped and NAT64
/// addresses are taken out before.
pub const IPV6: [Range6; 12] = [
    v6([0x64, 0xff9b, 1, 0], 48, "64:ff9b:1::/48", "local NAT64"),
    v6([0, 0, 0, 0], 8, "::/8", "unspecified, loopback, compatible"),
    v6([0x100, 0, 0, 0], 64, "100::/64", "discard"),
    v6([0x2001, 0, 0, 0], 23, "2001::/23", "protocol assignments, Teredo"),
    v6([0x2001, 0xdb8, 0, 0], 32, "2001:db8::/32", "documentation"),
    v6([0x2002, 0, 0, 0], 16, "2002::/16", "6to4"),
    v6([0x3fff, 0, 0, 0], 20, "3fff::/20", "documentation"),
    v6([0x5f00, 0, 0, 0], 16, "5f00::/16", "segment routing"),
    v6([0xfc00, 0, 0, 0], 7, "fc00::/7", "unique local"),
    v6([0xfe80, 0, 0, 0], 10, "fe80::/10", "link-local"),
    v6([0xfec0, 0, 0, 0], 10, "fec0::/10", "site-local"),
    v6([0xff00, 0, 0, 0], 8, "ff00::/8", "multicast"),
];

const fn v4(first: [u8; 4], prefix: u32, range: &'static str, name: &'static str) -> Range4 {
    (Ipv4Addr::from_octets(first), prefix, range, name)
}

/// Of the first half of an address: no range here is longer than 64 bits.
const fn v6(first: [u16; 4], prefix: u32, range: &'static str, name: &'static str) -> Range6 {
    let [a, b, c, d] = first;
    (Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0), prefix, range, name)
}

/// Whether `address` is public.
///
/// # Errors
/// [`Refusal::Range`] with the range it is in.
pub fn judge(address: IpAddr) -> Result<(), Refusal> {
    match find(address) {
        Some((range, name)) => Err(Refusal::Range { address, range, name }),
        None => Ok(()),
    }
}

fn find(address: IpAddr) -> Option<(&'static str, &'static str)> {
    match address {
        IpAddr::V4(v4) => find_v4(v4),
        IpAddr::V6(v6) => match embedded_v4(v6) {
            Some(v4) => find_v4(v4),
            None => find_v6(v6),
        },
    }
}

fn find_v4(address: Ipv4Addr) -> Option<(&'static str, &'static str)> {
    let bits = u32::from(address);
    let range = IPV4.iter().find(|(first, prefix, ..)| {
        let rest = 32 - prefix;
        bits >> rest == u32::from(*first) >> rest
    })?;
    Some((range.2, range.3))
}

fn find_v6(address: Ipv6Addr) -> Option<(&'static str, &'static str)> {
    let bits = u128::from(address);
    let range = IPV6.iter().find(|(first, prefix, ..)| {
        let rest = 128 - prefix;
        bits >> rest == u128::from(*first) >> rest
    });
    match range {
        Some(range) => Some((range.2, range.3)),
        None if is_isatap(address) => Some(("::5efe:0:0/96", "ISATAP")),
        None => None,
    }
}

/// `::ffff:a.b.c.d` and `64:ff9b::a.b.c.d`: a packet to it arrives at the IPv4 address.
fn embedded_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    const NAT64: [u16; 6] = [0x64, 0xff9b, 0, 0, 0, 0];
    if let Some(mapped) = address.to_ipv4_mapped() {
        return Some(mapped);
    }
    let [a, b, c, d, e, f, high, low] = address.segments();
    ([a, b, c, d, e, f] == NAT64).then(|| Ipv4Addr::from(u32::from(high) << 16 | u32::from(low)))
}

/// An interface id of `0:5efe` or, with the universal bit, `200:5efe`. RFC 5214, section 6.1.
fn is_isatap(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    segments[4] & 0xfdff == 0 && segments[5] == 0x5efe
}
