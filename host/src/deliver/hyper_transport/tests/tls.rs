//! TLS: whom we believe. The certificates are self-signed, made by openssl, and expire in a hundred
//! years.

use super::*;
use livekit_webhook_core::endpoint::{ClientCertificate, Pem};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use tokio_rustls::TlsAcceptor;

/// For `localhost` and `127.0.0.1`.
pub const LOCALHOST: (&[u8], &[u8]) =
    (include_bytes!("localhost.cert.der"), include_bytes!("localhost.key.der"));
/// For `other.example`.
const OTHER: (&[u8], &[u8]) = (include_bytes!("other.cert.der"), include_bytes!("other.key.der"));

/// A server with this certificate, which wants one of ours when it is given a root.
pub fn acceptor(
    (certificate, key): (&[u8], &[u8]),
    alpn: &[&[u8]],
    client_root: Option<CertificateDer<'static>>,
) -> TlsAcceptor {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = match client_root {
        None => builder.with_no_client_auth(),
        Some(root) => {
            let mut roots = RootCertStore::empty();
            roots.add(root).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        }
    };
    let chain = vec![CertificateDer::from(certificate.to_vec())];
    let key = PrivatePkcs8KeyDer::from(key.to_vec()).into();
    let mut server = builder.with_single_cert(chain, key).unwrap();
    server.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    TlsAcceptor::from(Arc::new(server))
}

async fn tls_receiver(pair: (&[u8], &[u8])) -> Receiver {
    answering(acceptor(pair, &[], None)).await
}

/// Answers every request of a connection; takes several connections at once.
async fn answering(acceptor: TlsAcceptor) -> Receiver {
    receiver(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            Tasks::new().spawn(Kind::Visit, "connection", async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                while read_request(&mut stream).await.is_some() {
                    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
                    let _ = stream.write_all(answer).await;
                }
            });
        }
    })
    .await
}

async fn send(
    receiver: &Receiver,
    host: &str,
    trusted: &[&'static [u8]],
) -> Result<Answered, Failure> {
    let url = format!("https://{host}:{}/", receiver.address.port());
    transport(trusted).send(outgoing(&url, SOON)).await
}

#[tokio::test]
async fn the_right_name_under_a_trusted_certificate() {
    for host in ["localhost", "127.0.0.1"] {
        let receiver = tls_receiver(LOCALHOST).await;
        let answered = send(&receiver, host, &[LOCALHOST.0]).await.unwrap();
        assert_eq!((answered.status, &answered.body_start[..]), (200, &b"ok"[..]));
        assert_eq!(answered.way.address, Some(receiver.address));
        assert!(answered.way.timings.tls_ms.is_some());
    }
}

#[tokio::test]
async fn a_wrong_name_and_a_stranger_are_not_believed() {
    let other = tls_receiver(OTHER).await;
    fails(send(&other, "localhost", &[OTHER.0]).await, ErrorClass::Tls);
    let stranger = tls_receiver(LOCALHOST).await;
    fails(send(&stranger, "localhost", &[]).await, ErrorClass::Tls);
    fails(send(&stranger, "localhost", &[OTHER.0]).await, ErrorClass::Tls);
}

#[tokio::test]
async fn who_does_not_speak_tls_gets_no_request() {
    let plain = receiver(|mut stream| async move {
        let mut hello = [0; 3];
        stream.read_exact(&mut hello).await.unwrap();
        // A handshake record: nothing of the request went out in the clear.
        assert_eq!(hello[0], 22);
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    })
    .await;
    fails(send(&plain, "localhost", &[LOCALHOST.0]).await, ErrorClass::Tls);
}

fn pem(name: &str, text: &str) -> Pem {
    Pem { file: name.to_owned(), bytes: text.as_bytes().to_vec() }
}

#[tokio::test]
async fn a_certificate_that_has_expired_is_not_believed() {
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.not_before = rcgen::date_time_ymd(2019, 1, 1);
    params.not_after = rcgen::date_time_ymd(2020, 1, 1);
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let receiver = tls_receiver((certificate.der(), &key.serialize_der())).await;
    let url = format!("https://localhost:{}/", receiver.address.port());
    let mut expired = outgoing(&url, SOON);
    let ca = Some(pem("ca.pem", &certificate.pem()));
    expired.tls = Arc::new(Tls { ca, client: None });
    let failure = transport(&[]).send(expired).await.unwrap_err();
    assert_eq!(failure.class, ErrorClass::Tls, "{failure}");
    assert!(failure.text.contains("expired"), "{failure}");
    assert!(failure.way.timings.connect_ms.is_some());
}

#[tokio::test]
async fn roots_of_one_endpoint_are_believed_for_it_alone() {
    let receiver = tls_receiver(LOCALHOST).await;
    let transport = transport(&[]);
    let url = format!("https://localhost:{}/", receiver.address.port());
    let text = pem_of(LOCALHOST.0);
    let private = Tls { ca: Some(pem("ca.pem", &text)), client: None };
    let mut with = outgoing(&url, SOON);
    with.tls = Arc::new(private);
    assert_eq!(transport.send(with.clone()).await.unwrap().status, 200);
    // Its connection is open and idle; an endpoint with other roots does not get it.
    fails(transport.send(outgoing(&url, SOON)).await, ErrorClass::Tls);
    assert_eq!(transport.send(with).await.unwrap().way.timings.tls_ms, None, "it was kept");
}

fn pem_of(der: &[u8]) -> String {
    use base64::Engine;
    let digits = base64::engine::general_purpose::STANDARD.encode(der);
    format!("-----BEGIN CERTIFICATE-----\n{digits}\n-----END CERTIFICATE-----\n")
}

/// A client certificate by a root of its own, and that root.
fn client() -> (ClientCertificate, CertificateDer<'static>) {
    let root_key = KeyPair::generate().unwrap();
    let mut root = CertificateParams::new(Vec::new()).unwrap();
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root_certificate = root.self_signed(&root_key).unwrap();
    let issuer = Issuer::new(root, root_key);
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec!["gateway.example".to_owned()]).unwrap();
    let leaf = leaf.signed_by(&key, &issuer).unwrap();
    let certificate = pem("client.pem", &leaf.pem());
    let client = ClientCertificate { certificate, key: pem("client.key", &key.serialize_pem()) };
    (client, root_certificate.der().clone())
}

#[tokio::test]
async fn a_client_certificate_is_shown_for_its_endpoint_alone() {
    let (identity, root) = client();
    let receiver = answering(acceptor(LOCALHOST, &[], Some(root))).await;
    let transport = transport(&[LOCALHOST.0]);
    let url = format!("https://localhost:{}/", receiver.address.port());
    let mut with = outgoing(&url, SOON);
    with.tls = Arc::new(Tls { ca: None, client: Some(identity) });
    assert_eq!(transport.send(with.clone()).await.unwrap().status, 200);
    // The receiver would take a request on that connection: it must not be used for others.
    let failure = transport.send(outgoing(&url, SOON)).await.unwrap_err();
    assert_eq!(failure.class, ErrorClass::Tls, "{failure}");
    let mut other = outgoing(&url, SOON);
    other.tls = Arc::new(Tls { ca: None, client: Some(client().0) });
    fails(transport.send(other).await, ErrorClass::Tls);
    assert_eq!(transport.send(with).await.unwrap().way.timings.tls_ms, None, "it was kept");
}
