mod listed;

use super::*;
use proptest::prelude::*;
use std::net::{Ipv4Addr, Ipv6Addr};

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn url(text: &str) -> EndpointUrl {
    EndpointUrl::parse(text, PlainHttp::Allowed).unwrap()
}

fn strict() -> AddressPolicy {
    AddressPolicy::default()
}

fn allowing(entries: &[&str]) -> AddressPolicy {
    let allowed = entries.iter().map(|entry| entry.parse().unwrap()).collect();
    AddressPolicy::new(allowed, PlainHttp::Refused)
}

/// The range that refuses the address, or `public`.
#[track_caller]
fn check(address: IpAddr, expect: &str) {
    let found = match strict().judge(address, 443) {
        Ok(()) => "public",
        Err(Refusal::Range { range, .. }) => range,
        Err(other) => panic!("{other}"),
    };
    assert_eq!(found, expect, "{address}");
}

/// The neighbours of every range: `public`, or the range that lies next to it.
#[test]
fn ipv4_ranges_end_where_they_should() {
    let neighbours = [
        ("", "public"),
        ("public", "public"),
        ("public", "public"),
        ("public", "public"),
        ("public", "public"),
        ("public", "public"),
        ("public", "public"),
        ("public", "public"),
        ("public", "public"),
        ("public", "public"),
        ("public", "public"),
        ("public", "public"),
        ("public", "public"),
        ("public", "public"),
        ("public", "public"),
        ("public", "public"),
        ("public", "public"),
        ("public", "240.0.0.0/4"),
        ("224.0.0.0/4", ""),
    ];
    for ((first, prefix, range, _), (below, above)) in ranges::IPV4.into_iter().zip(neighbours) {
        let first = u32::from(first);
        let last = first | u32::MAX.checked_shr(prefix).unwrap_or(0);
        check(Ipv4Addr::from(first).into(), range);
        check(Ipv4Addr::from(last).into(), range);
        if !below.is_empty() {
            check(Ipv4Addr::from(first - 1).into(), below);
        }
        if !above.is_empty() {
            check(Ipv4Addr::from(last + 1).into(), above);
        }
    }
}

#[test]
fn ipv6_ranges_end_where_they_should() {
    let neighbours = [
        ("::/8", "::/8"),
        ("", "100::/64"),
        ("::/8", "public"),
        ("public", "public"),
        ("public", "public"),
        ("public", "public"),
        ("public", "public"),
        ("public", "public"),
        ("public", "public"),
        ("public", "fec0::/10"),
        ("fe80::/10", "ff00::/8"),
        ("fec0::/10", ""),
    ];
    for ((first, prefix, range, _), (below, above)) in ranges::IPV6.into_iter().zip(neighbours) {
        let first = u128::from(first);
        let last = first | u128::MAX >> prefix;
        check(Ipv6Addr::from(first).into(), range);
        check(Ipv6Addr::from(last).into(), range);
        if !below.is_empty() {
            check(Ipv6Addr::from(first - 1).into(), below);
        }
        if !above.is_empty() {
            check(Ipv6Addr::from(last + 1).into(), above);
        }
    }
}

#[test]
fn every_range_is_written_as_it_is() {
    for (first, prefix, range, _) in ranges::IPV4 {
        assert_eq!(format!("{first}/{prefix}"), range);
        assert_eq!(u32::from(first) & u32::MAX.checked_shr(prefix).unwrap_or(0), 0, "{range}");
    }
    for (first, prefix, range, _) in ranges::IPV6 {
        assert_eq!(format!("{first}/{prefix}"), range);
        assert_eq!(u128::from(first) & u128::MAX >> prefix, 0, "{range}");
    }
}

#[test]
fn embedded_addresses() {
    check(ip("::ffff:127.0.0.1"), "127.0.0.0/8");
    check(ip("::ffff:8.8.8.8"), "public");
    check(ip("64:ff9b::169.254.169.254"), "169.254.0.0/16");
    check(ip("64:ff9b::8.8.8.8"), "public");
    check(ip("64:ff9b:1::8.8.8.8"), "64:ff9b:1::/48");
    check(ip("::8.8.8.8"), "::/8");
    check(ip("::1"), "::/8");
    check(ip("2002:0808:0808::1"), "2002::/16");
    check(ip("2001:0:4136:e378:8000:63bf:3fff:fdd2"), "2001::/23");
    check(ip("2a00:1450::5efe:10.0.0.1"), "::5efe:0:0/96");
    check(ip("2a00:1450::200:5efe:8.8.8.8"), "::5efe:0:0/96");
    check(ip("2a00:1450::1:5efe:8.8.8.8"), "public");
    check(ip("fd00:ec2::254"), "fc00::/7");
    check(ip("168.63.129.16"), "168.63.129.16/32");
    check(ip("255.255.255.255"), "240.0.0.0/4");
    check(ip("2606:4700::6810:84e5"), "public");
}

#[test]
fn ports() {
    for (port, open) in [
        (0, false),
        (22, false),
        (25, false),
        (79, false),
        (80, true),
        (81, false),
        (443, true),
        (1023, false),
        (1024, true),
        (6379, false),
        (8080, true),
        (11211, false),
        (65535, true),
    ] {
        let judged = strict().judge(ip("8.8.8.8"), port);
        assert_eq!(judged, if open { Ok(()) } else { Err(Refusal::Port(port)) });
    }
    assert!(DENIED_PORTS.is_sorted() && DENIED_PORTS.iter().all(|port| *port >= 1024));
}

#[test]
fn urls_before_dns() {
    for local in ["localhost", "a.localhost", "metadata.google.internal", "printer.local", "local"]
    {
        let judged = strict().judge_url(&url(&format!("https://{local}/")));
        assert_eq!(judged, Err(Refusal::LocalName(local.to_owned())));
    }
    assert_eq!(strict().judge_url(&url("https://notlocalhost/")), Ok(()));
    assert_eq!(strict().judge_url(&url("https://local.example.com/")), Ok(()));
    let plain = url("http://example.com/");
    assert_eq!(strict().judge_url(&plain), Err(Refusal::PlainHttp("example.com".to_owned())));
    let lenient = AddressPolicy::new(vec![], PlainHttp::Allowed);
    assert_eq!(lenient.judge_url(&plain), Ok(()));
    assert!(matches!(lenient.judge_url(&url("http://10.0.0.1/")), Err(Refusal::Range { .. })));
    assert_eq!(strict().judge_url(&url("https://a.example:22/")), Err(Refusal::Port(22)));
    assert_eq!(strict().judge_url(&url("https://8.8.8.8/")), Ok(()));
}

#[test]
fn any_bad_address_refuses_all() {
    let url = url("https://example.com/");
    let judge = |addresses: &[IpAddr]| strict().judge_all(&url, addresses);
    assert_eq!(judge(&[]), Err(Refusal::NoAddress));
    assert_eq!(judge(&[ip("8.8.8.8"); 16]), Ok(()));
    assert_eq!(judge(&[ip("8.8.8.8"); 17]), Err(Refusal::TooMany(17)));
    assert!(judge(&[ip("8.8.8.8"), ip("169.254.169.254")]).is_err());
    assert!(judge(&[ip("::1"), ip("8.8.8.8")]).is_err());
}

#[test]
fn the_allow_list_lifts_network_port_scheme_and_name() {
    let policy = allowing(&["10.1.0.0/16:8080", "127.0.0.1:*", "[fd00::/8]:443,9000-9100"]);
    assert_eq!(policy.plain_http(), PlainHttp::Allowed);
    assert_eq!(strict().plain_http(), PlainHttp::Refused);
    let ok = |text: &str, address: &str| {
        let url = url(text);
        policy.judge_url(&url).and_then(|()| policy.judge_all(&url, &[ip(address)]))
    };
    assert_eq!(ok("http://10.1.2.3:8080/", "10.1.2.3"), Ok(()));
    assert!(ok("http://10.1.2.3:8081/", "10.1.2.3").is_err());
    assert!(ok("http://10.2.0.0:8080/", "10.2.0.0").is_err());
    assert_eq!(ok("http://localhost:22/", "127.0.0.1"), Ok(()));
    assert_eq!(ok("http://localhost:22/", "::ffff:127.0.0.1"), Ok(()));
    assert_eq!(ok("https://svc.internal:9050/", "fd12::1"), Ok(()));
    // The name alone opens nothing: a public address under a local name or without TLS stays
    // refused.
    assert!(matches!(ok("https://svc.internal/", "8.8.8.8"), Err(Refusal::LocalName(_))));
    assert!(matches!(ok("http://example.com:8080/", "8.8.8.8"), Err(Refusal::PlainHttp(_))));
    assert!(matches!(ok("https://example.com:22/", "8.8.8.8"), Err(Refusal::Port(22))));
    assert!(ok("https://example.com:8080/", "64:ff9b::10.1.2.3").is_err());
}

#[test]
fn allow_entries_have_one_form() {
    use allow::Error;
    let check = |text: &str, expect| assert_eq!(text.parse::<Allow>(), Err(expect), "{text}");
    check("", Error::Form);
    check("10.0.0.0/8", Error::Form);
    check("fd00::/8:443", Error::Network);
    check("[10.0.0.0/8]:443", Error::Form);
    check("[fd00::/8]", Error::Form);
    check("10.0.0.0/33:443", Error::Network);
    check("10.0.0.0/+8:443", Error::Network);
    check("10.0.0/8:443", Error::Network);
    check("10.0.0.0/:443", Error::Network);
    check("10.1.0.0/8:443", Error::HostBits);
    check("[::ffff:10.0.0.0/104]:443", Error::Mapped);
    for ports in ["", "0", "65536", "9-8", "80,", "http", "1-2-3", "**"] {
        check(&format!("10.0.0.0/8:{ports}"), Error::Ports);
    }
    check(&format!("10.0.0.0/8:{}", ["80"; 17].join(",")), Error::Ports);
    let everything: Allow = "0.0.0.0/0:443".parse().unwrap();
    assert!(everything.admits(ip("255.255.255.255"), 443) && !everything.admits(ip("::"), 443));
    let everything: Allow = "[::/0]:443".parse().unwrap();
    assert!(everything.admits(ip("ff02::1"), 443) && !everything.admits(ip("1.1.1.1"), 443));
}

proptest! {
    /// However an IPv4 address is clothed, the verdict is that of the address itself.
    #[test]
    fn clothes_do_not_matter(bits in any::<u32>()) {
        let plain = Ipv4Addr::from(bits);
        let expect = strict().judge(plain.into(), 443).is_ok();
        let mapped = plain.to_ipv6_mapped();
        let nat64 = Ipv6Addr::from((0x0064_ff9b_u128 << 96) | u128::from(bits));
        prop_assert_eq!(strict().judge(mapped.into(), 443).is_ok(), expect);
        prop_assert_eq!(strict().judge(nat64.into(), 443).is_ok(), expect);
    }

    /// The standard library's own idea of what is local is a subset of ours.
    #[test]
    fn what_std_calls_local_is_refused(bits in any::<u32>(), bits6 in any::<u128>()) {
        let v4 = Ipv4Addr::from(bits);
        if v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_multicast()
            || v4.is_broadcast() || v4.is_documentation() || v4.is_unspecified()
        {
            prop_assert!(strict().judge(v4.into(), 443).is_err());
        }
        let v6 = Ipv6Addr::from(bits6);
        if v6.is_multicast() || v6.is_unique_local() || v6.is_unicast_link_local() {
            prop_assert!(strict().judge(v6.into(), 443).is_err());
        }
    }
}
