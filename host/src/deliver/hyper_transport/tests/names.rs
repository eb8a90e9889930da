//! Names that lead where a delivery must not go, with a resolver that answers as an attacker's
//! would. 127.0.0.1 stands for a public address: the policy allows it and nothing else.

use super::*;
use crate::connector::DNS_TIMEOUT;
use crate::deliver::token::TokenTransport;
use livekit_webhook_core::endpoint::EndpointUrl;
use livekit_webhook_core::endpoint::auth::{ClientAuth, ClientCredentials};
use livekit_webhook_core::signature::Secret;
use std::collections::VecDeque;
use std::io;
use std::net::IpAddr;

/// Answers in order, the last one again and again; none: it never answers.
struct Names {
    answers: Mutex<VecDeque<Vec<IpAddr>>>,
    asked: AtomicUsize,
}

#[async_trait]
impl Resolver for Names {
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        assert_eq!(host, "receiver.example");
        self.asked.fetch_add(1, Ordering::SeqCst);
        let next = {
            let mut answers = self.answers.lock().unwrap();
            if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() }
        };
        match next {
            Some(addresses) => Ok(addresses),
            None => std::future::pending().await,
        }
    }
}

/// A transport that may dial 127.0.0.1 at this port, and what its resolver answers.
fn under(port: u16, answers: &[&[&str]]) -> (HyperTransport, Arc<Names>) {
    let read = |texts: &&[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
    let answers = Mutex::new(answers.iter().map(read).collect());
    let names = Arc::new(Names { answers, asked: AtomicUsize::new(0) });
    let allow = format!("127.0.0.1:{port}").parse().unwrap();
    // Plain http anywhere, so that it is the address alone that can be refused.
    let policy = AddressPolicy::new(vec![allow], PlainHttp::Allowed);
    (HyperTransport::new(policy, names.clone(), roots(&[])), names)
}

/// Answers every request, and closes the connection after `requests` of them.
async fn answering(requests: usize) -> Receiver {
    receiver(move |mut stream| async move {
        for _ in 0..requests {
            if read_request(&mut stream).await.is_none() {
                return;
            }
            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
            stream.write_all(answer).await.unwrap();
        }
    })
    .await
}

fn to(receiver: &Receiver) -> Outgoing {
    outgoing(&format!("http://receiver.example:{}/", receiver.address.port()), SOON)
}

#[tokio::test]
async fn a_name_that_is_bound_anew_to_a_forbidden_address_is_refused() {
    let mut receiver = answering(1).await;
    let answers: [&[&str]; 2] = [&["127.0.0.1"], &["169.254.169.254"]];
    let (transport, names) = under(receiver.address.port(), &answers);
    assert_eq!(transport.send(to(&receiver)).await.unwrap().status, 200);
    receiver.ended.recv().await;
    let failure = transport.send(to(&receiver)).await.unwrap_err();
    assert_eq!(failure.class, ErrorClass::AddressRefused, "{failure}");
    assert!(failure.text.contains("169.254.169.254 is in 169.254.0.0/16"), "{failure}");
    let refused = SocketAddr::new("169.254.169.254".parse().unwrap(), receiver.address.port());
    assert_eq!(failure.way.address, Some(refused), "the log tells what it resolved to");
    assert_eq!(names.asked.load(Ordering::SeqCst), 2);
    assert_eq!(receiver.accepted.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn one_forbidden_address_among_good_ones_refuses_them_all() {
    let receiver = answering(1).await;
    let port = receiver.address.port();
    for bad in [
        "169.254.169.254",
        "127.0.0.2",
        "10.0.0.1",
        "::1",
        "::ffff:127.0.0.2",
        "::127.0.0.1",
        "64:ff9b::127.0.0.1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::7f00:1",
        "2002:7f00:1::",
        "2001:0:7f00:1::",
        "fe80::5efe:127.0.0.1",
        "2a00:1450::5efe:127.0.0.1",
        "fd00:ec2::254",
    ] {
        for answer in [&["127.0.0.1", bad][..], &[bad, "127.0.0.1"], &[bad]] {
            let (transport, _) = under(port, &[answer]);
            let failure = transport.send(to(&receiver)).await.unwrap_err();
            assert_eq!(failure.class, ErrorClass::AddressRefused, "{answer:?}: {failure}");
            assert!(failure.text.contains(" is in "), "{answer:?}: {failure}");
            let address = failure.way.address.map(|address| address.ip());
            assert_eq!(address, bad.parse().ok(), "{answer:?}");
        }
    }
    assert_eq!(receiver.accepted.load(Ordering::SeqCst), 0, "nothing was dialled");
    // In its other clothes the good one is the good one.
    let (transport, _) = under(port, &[&["::ffff:127.0.0.1"]]);
    assert_eq!(transport.send(to(&receiver)).await.unwrap().status, 200);
}

#[tokio::test]
async fn a_name_has_one_to_sixteen_addresses() {
    let receiver = answering(1).await;
    for (count, expect) in
        [(0, "has no address"), (17, "has 17 addresses"), (40, "has 17 addresses")]
    {
        let (transport, _) = under(receiver.address.port(), &[&vec!["127.0.0.1"; count]]);
        let failure = transport.send(to(&receiver)).await.unwrap_err();
        assert_eq!(failure.class, ErrorClass::AddressRefused, "{failure}");
        assert!(failure.text.contains(expect), "{failure}");
    }
    assert_eq!(receiver.accepted.load(Ordering::SeqCst), 0);
    let (transport, _) = under(receiver.address.port(), &[&["127.0.0.1"; 16]]);
    assert_eq!(transport.send(to(&receiver)).await.unwrap().status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_resolver_that_does_not_answer_has_its_own_deadline() {
    let (transport, _) = under(443, &[]);
    let began = Instant::now();
    let failure = transport.send(outgoing("http://receiver.example:443/", SOON)).await.unwrap_err();
    assert_eq!(failure.class, ErrorClass::Dns, "{failure}");
    assert_eq!(began.elapsed().as_secs(), DNS_TIMEOUT.as_secs());
    assert_eq!(failure.way.timings.dns_ms, Some(3_000));
    assert_eq!(failure.way.address, None);
}

#[tokio::test]
async fn a_token_is_asked_for_under_the_same_guard() {
    let receiver = answering(9).await;
    let port = receiver.address.port();
    let (transport, names) = under(port, &[&["169.254.169.254"]]);
    let url = format!("http://receiver.example:{port}/token");
    let url = EndpointUrl::parse(&url, PlainHttp::Allowed).unwrap();
    let secret = Secret::new(b"hush".to_vec()).unwrap();
    let how = ClientAuth::Basic;
    let credentials = ClientCredentials::new(url, "gateway", secret, None, how).unwrap();
    let mut request = outgoing(&format!("http://127.0.0.1:{port}/"), SOON);
    request.credentials = Some(credentials);
    let failure = TokenTransport::new(transport).send(request).await.unwrap_err();
    // Not final, as a refused endpoint is: the delivery itself is well.
    assert_eq!(failure.class, ErrorClass::Auth, "{failure}");
    assert!(failure.text.contains("169.254.169.254 is in 169.254.0.0/16"), "{failure}");
    assert_eq!(names.asked.load(Ordering::SeqCst), 1);
    assert_eq!(receiver.accepted.load(Ordering::SeqCst), 0);
}
