//! Addresses that no plugin reaches, by whatever name. 127.0.0.1 at one port stands for a public
//! address: the policy allows it and nothing else.

use super::*;

/// One of each range that is not public, and of each way to write one inside another.
const FORBIDDEN: [&str; 29] = [
    "127.0.0.1",
    "127.0.0.2",
    "0.0.0.0",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.0.1",
    "100.64.0.1",
    "169.254.169.254",
    "192.0.0.1",
    "192.0.2.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::ffff:10.0.0.1",
    "::10.0.0.1",
    "64:ff9b::10.0.0.1",
    "64:ff9b:1::a00:1",
    "2002:a00:1::",
    "2001:0:a00:1::",
    "2001:db8::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "ff02::1",
];

#[track_caller]
fn refused(sent: Result<FetchResponse, FetchError>, what: &str) {
    assert!(matches!(sent, Err(FetchError::AddressRefused(_))), "{what}: {sent:?}");
}

#[tokio::test]
async fn no_address_that_is_not_public_is_dialled_by_literal_or_by_name() {
    for address in FORBIDDEN {
        let literal = match address.parse().unwrap() {
            IpAddr::V4(v4) => v4.to_string(),
            IpAddr::V6(v6) => format!("[{v6}]"),
        };
        // The allowed port is another one.
        let sent = fetch_to(9, names(&[])).fetch(request(&literal, 443)).await;
        refused(sent, address);
        for answers in [vec![address], vec!["1.1.1.1", address]] {
            let fetch = fetch_to(9, names(&[&answers]));
            refused(fetch.fetch(request("peer.example", 443)).await, address);
        }
    }
}

#[tokio::test]
async fn names_of_this_machine_and_ports_of_other_services_are_refused() {
    for (host, port) in [("localhost", 443), ("x.internal", 443), ("x.local", 443), ("a.com", 22)] {
        let fetch = fetch_to(9, names(&[&["1.1.1.1"]]));
        refused(fetch.fetch(request(host, port)).await, host);
    }
}

#[tokio::test]
async fn plain_http_to_a_public_address_needs_the_operators_leave() {
    let allow = "127.0.0.1:9".parse().unwrap();
    let policy = AddressPolicy::new(vec![allow], PlainHttp::Refused);
    let fetch = HyperFetch::new(policy, names(&[&["1.1.1.1"]]), &RootCertStore::empty()).unwrap();
    refused(fetch.fetch(request("peer.example", 80)).await, "plain http");
}

#[tokio::test]
async fn a_name_that_is_bound_anew_to_a_forbidden_address_is_refused() {
    let peer = peer(|mut stream| async move {
        read_head(&mut stream).await;
        let _ = stream.write_all(&answer("connection: close\r\n", b"ok")).await;
    })
    .await;
    let port = peer.address.port();
    let fetch = fetch_to(port, names(&[&["127.0.0.1"], &["169.254.169.254"]]));
    assert_eq!(fetch.fetch(request("peer.example", port)).await.unwrap().status, 200);
    refused(fetch.fetch(request("peer.example", port)).await, "bound anew");
    assert_eq!(peer.accepted.load(Ordering::SeqCst), 1);
}
