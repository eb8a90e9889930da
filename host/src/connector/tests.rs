use super::*;
use crate::connector::resolver::SystemResolver;
use livekit_webhook_core::endpoint::PlainHttp;
use tokio::net::TcpListener;
use tokio::net::TcpSocket;

const SOON: Duration = Duration::from_secs(60);

fn connector(allow: &[&str]) -> Connector {
    let allow = allow.iter().map(|entry| entry.parse().unwrap()).collect();
    let policy = AddressPolicy::new(allow, PlainHttp::Refused);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    Connector::new(Arc::new(policy), Arc::new(SystemResolver), tls)
}

fn url(text: &str) -> EndpointUrl {
    EndpointUrl::parse(text, PlainHttp::Allowed).unwrap()
}

async fn refused(allow: &[&str], url: &str) -> Refused {
    match connector(allow).connect(url.parse().unwrap(), Dial::new()).await {
        Err(refused) => refused,
        Ok(_) => panic!("{url} was connected to"),
    }
}

#[tokio::test]
async fn nothing_local_is_dialled_without_leave() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let other_port = format!("127.0.0.1:{}", if port == 9 { 10 } else { 9 });
    for host in ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "localhost."] {
        let url = format!("https://{host}:{port}/");
        for allow in [vec![], vec!["10.0.0.0/8:*"], vec![other_port.as_str()]] {
            let refused = refused(&allow, &url).await;
            assert_eq!(refused.class(), ErrorClass::AddressRefused, "{url} {allow:?}: {refused}");
        }
    }
    // A leave for the address is one for the name too; plain http comes with it.
    let allow = [&*format!("127.0.0.1:{port}"), &*format!("[::1]:{port}")];
    for host in ["127.0.0.1", "localhost"] {
        let url = format!("http://{host}:{port}/");
        let connected = connector(&allow).connect(url.parse().unwrap(), Dial::new());
        assert!(tokio::time::timeout(SOON, connected).await.unwrap().is_ok(), "{url}");
    }
}

#[tokio::test]
async fn the_peer_is_judged_after_the_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    // As if the address had been vetted, which it never would.
    let address = ["127.0.0.1".parse().unwrap()];
    let url = url(&format!("https://127.0.0.1:{port}/"));
    let dialled = connector(&[]).dial(&url, &address, SOON, &Dial::new()).await;
    assert!(matches!(dialled, Err(Refused::Address(Refusal::Range { .. }))), "{dialled:?}");
}

#[tokio::test]
async fn an_address_that_swallows_packets_does_not_hide_the_next() {
    let good = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = good.local_addr().unwrap().port();
    // A listener whose backlog is full answers nothing at all.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::new("127.0.0.2".parse().unwrap(), port)).unwrap();
    let deaf = socket.listen(1).unwrap();
    let address = deaf.local_addr().unwrap();
    let mut waiting = Vec::new();
    loop {
        assert!(waiting.len() < 64, "the backlog has an end");
        let connect = TcpStream::connect(address);
        match tokio::time::timeout(Duration::from_millis(200), connect).await {
            Ok(connected) => waiting.push(connected.unwrap()),
            Err(_) => break,
        }
    }
    let addresses = [address.ip(), "127.0.0.1".parse().unwrap()];
    let limit = Duration::from_secs(2);
    let connector = connector(&["127.0.0.0/8:*"]);
    let url = url(&format!("http://127.0.0.1:{port}/"));
    let connected = connector.dial(&url, &addresses, limit, &Dial::new()).await.unwrap();
    assert_eq!(connected.peer_addr().unwrap().ip(), addresses[1]);
    let alone =
        connector.dial(&url, &addresses[..1], Duration::from_millis(50), &Dial::new()).await;
    assert!(matches!(alone, Err(Refused::Slow { .. })), "{alone:?}");
}

#[tokio::test]
async fn a_name_that_does_not_resolve() {
    let refused = refused(&[], "https://nothing.invalid/").await;
    assert_eq!(refused.class(), ErrorClass::Dns, "{refused}");
}
