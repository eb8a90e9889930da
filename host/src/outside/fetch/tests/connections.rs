//! What is shared between requests, and what is not.

use super::*;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use tokio_rustls::TlsAcceptor;

const CERTIFICATE: &[u8] =
    include_bytes!("../../../deliver/hyper_transport/tests/localhost.cert.der");
const KEY: &[u8] = include_bytes!("../../../deliver/hyper_transport/tests/localhost.key.der");

#[tokio::test]
async fn a_request_says_who_asks_whom_and_nothing_else() {
    let peer = says(answer("set-cookie: a=b\r\n", b"ok")).await;
    let port = peer.address.port();
    let fetch = fetch_to(port, names(&[&["127.0.0.1"]]));
    let headers = vec![("x-own".to_owned(), "grüße".to_owned())];
    let request = FetchRequest { headers, ..request("peer.example", port) };
    for _ in 0..2 {
        fetch.fetch(request.clone()).await.unwrap();
    }
    let heads = peer.requests.lock().unwrap().clone();
    assert_eq!(heads[0], heads[1], "no cookie is kept");
    let mut lines: Vec<_> = heads[0].trim_end().split("\r\n").collect();
    lines.sort_unstable();
    let host = format!("host: peer.example:{port}");
    let agent = format!("user-agent: {AGENT}");
    let mut expect =
        ["GET /path HTTP/1.1", "x-own: grüße", "accept-encoding: gzip, deflate", &host, &agent];
    expect.sort_unstable();
    assert_eq!(lines, expect);
}

#[tokio::test]
async fn connections_are_shared_within_a_pool_and_not_across() {
    let peer = says(answer("", b"ok")).await;
    let port = peer.address.port();
    let fetch = fetch_to(port, names(&[]));
    for (pool, connections) in [("a", 1), ("a", 1), ("b", 2), ("a", 2), ("b", 2)] {
        let request = FetchRequest { pool: pool.to_owned(), ..request("127.0.0.1", port) };
        fetch.fetch(request).await.unwrap();
        assert_eq!(peer.accepted.load(Ordering::SeqCst), connections, "{pool}");
    }
}

#[tokio::test]
async fn there_are_so_many_pools_and_the_least_used_goes_first() {
    let fetch = fetch_to(9, names(&[]));
    let of = |pool: usize| FetchRequest { pool: pool.to_string(), ..request("127.0.0.1", 9) };
    for pool in 0..POOLS_MAX {
        fetch.pool(&of(pool));
    }
    fetch.pool(&of(0));
    for pool in POOLS_MAX..POOLS_MAX + 3 {
        fetch.pool(&of(pool));
    }
    let pools = fetch.pools.lock().unwrap();
    assert_eq!(pools.len(), POOLS_MAX);
    assert!(pools.contains_key("0") && !pools.contains_key("1"));
}

#[tokio::test]
async fn http2_is_spoken_where_it_is_offered_and_a_stranger_is_not_believed() {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut server = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from(CERTIFICATE)],
            PrivatePkcs8KeyDer::from(KEY).into(),
        )
        .unwrap();
    server.alpn_protocols = vec![b"h2".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(server));
    let peer = peer(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(stream) = acceptor.accept(stream).await else { return };
            let serve = service_fn(|request: Request<Incoming>| async move {
                let text = format!("{:?} {}", request.version(), request.uri());
                Ok::<_, std::convert::Infallible>(Response::new(Full::new(Bytes::from(text))))
            });
            let builder = http2::Builder::new(TokioExecutor::new());
            let _ = builder.serve_connection(TokioIo::new(stream), serve).await;
        }
    })
    .await;
    let port = peer.address.port();
    let mut roots = RootCertStore::empty();
    let policy = || {
        let allow = format!("127.0.0.1:{port}").parse().unwrap();
        AddressPolicy::new(vec![allow], PlainHttp::Refused)
    };
    let request = FetchRequest { scheme: Scheme::Https, ..request("127.0.0.1", port) };
    let strict = HyperFetch::new(policy(), names(&[]), &roots).unwrap();
    let stranger = strict.fetch(request.clone()).await;
    assert!(
        matches!(&stranger, Err(FetchError::Unreachable(text)) if text.contains("TLS")),
        "{stranger:?}"
    );
    roots.add(CERTIFICATE.into()).unwrap();
    let fetch = HyperFetch::new(policy(), names(&[]), &roots).unwrap();
    let answer = fetch.fetch(request).await.unwrap();
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    assert_eq!(text, format!("HTTP/2.0 https://127.0.0.1:{port}/path"));
}
