use super::*;
use livekit_webhook_core::endpoint::ClientCertificate;

fn pem(file: &str, text: &str) -> Pem {
    Pem { file: file.to_owned(), bytes: text.as_bytes().to_vec() }
}

fn pair() -> (String, String) {
    let made = rcgen::generate_simple_self_signed(vec!["client.example".to_owned()]).unwrap();
    (made.cert.pem(), made.signing_key.serialize_pem())
}

fn error(tls: &Tls) -> String {
    client(&RootCertStore::empty(), tls).unwrap_err().to_string()
}

#[test]
fn an_identity_is_a_certificate_and_its_own_key() {
    let ((certificate, key), (_, other)) = (pair(), pair());
    let with = |certificate: &str, key: &str| Tls {
        ca: Some(pem("ca.pem", &pair().0)),
        client: Some(ClientCertificate {
            certificate: pem("client.pem", certificate),
            key: pem("client.key", key),
        }),
    };
    assert!(client(&RootCertStore::empty(), &with(&certificate, &key)).is_ok());
    let text = error(&with(&certificate, &other));
    assert!(text.starts_with("client.pem and client.key cannot be used together: "), "{text}");
    let text = error(&with(&key, &key));
    assert_eq!(text, "client.pem holds no certificate in PEM form");
    let text = error(&with(&certificate, &certificate));
    assert_eq!(text, "client.key holds no private key in PEM form without a passphrase");
    for empty in ["", "not PEM", "-----BEGIN CERTIFICATE-----\nAA"] {
        let tls = Tls { ca: Some(pem("ca.pem", empty)), client: None };
        assert_eq!(error(&tls), "ca.pem holds no certificate in PEM form", "{empty:?}");
    }
    let odd = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let text = error(&Tls { ca: Some(pem("ca.pem", odd)), client: None });
    assert!(text.starts_with("ca.pem holds a certificate that cannot be a root: "), "{text}");
}

#[test]
fn no_key_is_in_any_form_of_debug() {
    let (certificate, key) = pair();
    let client = ClientCertificate { certificate: pem("a", &certificate), key: pem("b", &key) };
    let shown = format!("{:?}", Tls { ca: None, client: Some(client) });
    assert!(!shown.contains("PRIVATE") && shown.contains("key: b"), "{shown}");
}
