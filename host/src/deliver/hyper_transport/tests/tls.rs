//! TLS: whom we believe. The certificates are self-signed, made by openssl, and expire in a hundred
//! years.

use super::*;
use rustls::pki_types::PrivatePkcs8KeyDer;
use tokio_rustls::TlsAcceptor;

/// For `localhost` and `127.0.0.1`.
const LOCALHOST: (&[u8], &[u8]) =
    (include_bytes!("localhost.cert.der"), include_bytes!("localhost.key.der"));
/// For `other.example`.
const OTHER: (&[u8], &[u8]) = (include_bytes!("other.cert.der"), include_bytes!("other.key.der"));

async fn tls_receiver((certificate, key): (&'static [u8], &'static [u8])) -> Receiver {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let server = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.into()], PrivatePkcs8KeyDer::from(key).into())
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(server));
    receiver(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut stream) = acceptor.accept(stream).await else { return };
            while read_request(&mut stream).await.is_some() {
                let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
                let _ = stream.write_all(answer).await;
            }
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
        assert_eq!(answered.address, Some(receiver.address));
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
