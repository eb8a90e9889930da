//! A certificate authority of one story: servers and clients that nobody else believes.

use anyhow::Context as _;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use std::path::Path;
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;

/// The authority.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: rcgen::Certificate,
}

/// What a server shows, and wants to see.
#[derive(Clone, Debug)]
pub struct Server {
    /// The name or address that its certificate is for.
    pub name: String,
    /// A certificate that ended in 2020.
    pub has_expired: bool,
    /// Whether it wants a certificate of the same authority.
    pub wants_client: bool,
    /// Protocols it offers.
    pub alpn: Vec<Vec<u8>>,
}

// === impl Authority ===

impl Authority {
    /// A new one.
    ///
    /// # Errors
    /// When no key can be made.
    pub fn new() -> anyhow::Result<Self> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key)?;
        Ok(Self { issuer: Issuer::new(params, key), certificate })
    }

    /// Writes `ca.pem`, `client.pem` and `client.key` into `folder`.
    ///
    /// # Errors
    /// When they cannot be made or written.
    pub fn write(&self, folder: &Path) -> anyhow::Result<()> {
        std::fs::write(folder.join("ca.pem"), self.certificate.pem())?;
        let key = KeyPair::generate()?;
        let params = CertificateParams::new(vec!["gateway.example".to_owned()])?;
        let client = params.signed_by(&key, &self.issuer)?;
        std::fs::write(folder.join("client.pem"), client.pem())?;
        Ok(std::fs::write(folder.join("client.key"), key.serialize_pem())?)
    }

    /// TLS as `server` has it.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn acceptor(&self, server: &Server) -> anyhow::Result<TlsAcceptor> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(vec![server.name.clone()])?;
        if server.has_expired {
            params.not_before = rcgen::date_time_ymd(2019, 1, 1);
            params.not_after = rcgen::date_time_ymd(2020, 1, 1);
        }
        let certificate = params.signed_by(&key, &self.issuer)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = rustls::ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()?;
        let builder = if server.wants_client {
            let mut roots = RootCertStore::empty();
            roots.add(self.certificate.der().clone())?;
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.context("a verifier")?)
        } else {
            builder.with_no_client_auth()
        };
        let chain: Vec<CertificateDer<'static>> = vec![certificate.der().clone()];
        let key = PrivatePkcs8KeyDer::from(key.serialize_der());
        let mut config = builder.with_single_cert(chain, key.into())?;
        config.alpn_protocols.clone_from(&server.alpn);
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

// === impl Server ===

impl Server {
    /// A good one for this name.
    pub fn new(name: &str) -> Self {
        let name = name.to_owned();
        Self { name, has_expired: false, wants_client: false, alpn: Vec::new() }
    }

    /// Offers HTTP/2 and nothing else.
    #[must_use]
    pub fn http2(mut self) -> Self {
        self.alpn = vec![b"h2".to_vec()];
        self
    }
}
