//! The ranges that must not be reachable, written down once more, apart from the table that the
//! policy works with, and read here by other means.

use super::*;

/// IANA's special-purpose registry for IPv4, and what clouds put elsewhere.
const IPV4: [&str; 19] = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.31.196.0/24",
    "192.52.193.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "192.175.48.0/24",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "168.63.129.16/32",
];

/// The same for IPv6.
const IPV6: [&str; 12] = [
    "::/8",
    "64:ff9b:1::/48",
    "100::/64",
    "2001::/23",
    "2001:db8::/32",
    "2002::/16",
    "3fff::/20",
    "5f00::/16",
    "fc00::/7",
    "fe80::/10",
    "fec0::/10",
    "ff00::/8",
];

/// First and last of a range as numbers, by adding its size.
fn bounds(range: &str, bits: u32) -> (u128, u128) {
    let (first, prefix) = range.split_once('/').unwrap();
    let first = match ip(first) {
        IpAddr::V4(v4) => u128::from(u32::from(v4)),
        IpAddr::V6(v6) => u128::from(v6),
    };
    let size = bits - prefix.parse::<u32>().unwrap();
    (first, first + ((1u128 << size) - 1))
}

fn is_listed(address: u128, ranges: &[&str], bits: u32) -> bool {
    ranges.iter().any(|range| {
        let (first, last) = bounds(range, bits);
        (first..=last).contains(&address)
    })
}

fn is_open(address: IpAddr) -> bool {
    strict().judge(address, 443).is_ok()
}

fn ipv4(number: u128) -> Ipv4Addr {
    Ipv4Addr::from(u32::try_from(number).unwrap())
}

/// The first, the last, one in the middle, and the neighbours on both sides.
fn around(range: &str, bits: u32) -> Vec<u128> {
    let (first, last) = bounds(range, bits);
    let max = if bits == 32 { u128::from(u32::MAX) } else { u128::MAX };
    let below = first.checked_sub(1);
    let above = last.checked_add(1).filter(|above| *above <= max);
    let middle = first + (last - first) / 2;
    [Some(first), Some(middle), Some(last), below, above].into_iter().flatten().collect()
}

#[test]
fn every_listed_ipv4_range_is_closed_to_its_last_address_and_no_further() {
    for range in IPV4 {
        for number in around(range, 32) {
            let open = !is_listed(number, &IPV4, 32);
            assert_eq!(is_open(ipv4(number).into()), open, "{range}: {}", ipv4(number));
        }
    }
}

#[test]
fn every_listed_ipv6_range_is_closed_to_its_last_address_and_no_further() {
    for range in IPV6 {
        for number in around(range, 128) {
            let address = Ipv6Addr::from(number);
            // All neighbours of these ranges are plain addresses, none carries an IPv4 address.
            let open = !is_listed(number, &IPV6, 128);
            assert_eq!(is_open(address.into()), open, "{range}: {address}");
        }
    }
}

/// An IPv4 address in each form of IPv6 that carries one.
fn clothes(v4: Ipv4Addr) -> [(&'static str, Ipv6Addr); 7] {
    let [a, b, c, d] = v4.octets().map(u16::from);
    let (high, low) = (a << 8 | b, c << 8 | d);
    [
        ("mapped", Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, high, low)),
        ("NAT64", Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low)),
        ("compatible", Ipv6Addr::new(0, 0, 0, 0, 0, 0, high, low)),
        ("6to4", Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 1)),
        ("Teredo", Ipv6Addr::new(0x2001, 0, 0x4136, 0xe378, 0x8000, 0x63bf, !high, !low)),
        ("local NAT64", Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, high, low)),
        ("ISATAP", Ipv6Addr::new(0x2a00, 0x1450, 0, 0, 0, 0x5efe, high, low)),
    ]
}

#[test]
fn no_form_of_ipv6_opens_a_listed_ipv4_address() {
    for range in IPV4 {
        for number in around(range, 32) {
            let v4 = ipv4(number);
            for (form, address) in clothes(v4) {
                // Two forms are judged by the address inside, the others are closed whatever it is.
                let by_inside = matches!(form, "mapped" | "NAT64");
                let open = by_inside && !is_listed(number, &IPV4, 32);
                assert_eq!(is_open(address.into()), open, "{form} of {v4}: {address}");
            }
        }
    }
}

#[test]
fn names_of_this_machine_and_network_are_closed_before_dns() {
    for name in ["localhost", "LocalHost", "a.localhost", "x.internal", "X.Y.LOCAL", "localhost."] {
        let judged = strict().judge_url(&url(&format!("https://{name}/")));
        assert!(matches!(judged, Err(Refusal::LocalName(_))), "{name}: {judged:?}");
    }
    for name in ["localhost.example.com", "internal.example", "locals", "my-local"] {
        assert_eq!(strict().judge_url(&url(&format!("https://{name}/"))), Ok(()), "{name}");
    }
}

#[test]
fn every_port_is_open_or_closed_as_written() {
    for port in 0..=u16::MAX {
        let open = port == 80 || port == 443 || (port >= 1024 && !DENIED_PORTS.contains(&port));
        assert_eq!(strict().judge(ip("8.8.8.8"), port).is_ok(), open, "{port}");
    }
    for named in [22, 25, 3306, 5432, 6379, 11211, 27017, 2375, 10250] {
        assert!(strict().judge(ip("8.8.8.8"), named).is_err(), "{named}");
    }
}

proptest! {
    #[test]
    fn an_ipv4_address_is_open_when_no_listed_range_has_it(bits in any::<u32>()) {
        let open = !is_listed(bits.into(), &IPV4, 32);
        prop_assert_eq!(is_open(Ipv4Addr::from(bits).into()), open);
    }
}
