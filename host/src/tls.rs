//! TLS towards endpoints: whom we believe, and what we show.
//!
//! The configuration is checked with the same function that makes what is dialled with, so a
//! certificate that does not fit its key is told before the start.

use livekit_webhook_core::endpoint::{Pem, Tls};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use std::sync::Arc;
use tracing::warn;

/// What is wrong with an identity.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No certificate in it.
    #[error("{file} holds no certificate in PEM form")]
    Certificates {
        /// The file.
        file: String,
    },
    /// Nothing in it can be trusted.
    #[error("{file} holds a certificate that cannot be a root: {source}")]
    Root {
        /// The file.
        file: String,
        /// Why.
        source: rustls::Error,
    },
    /// No key in it.
    #[error("{file} holds no private key in PEM form without a passphrase")]
    Key {
        /// The file.
        file: String,
    },
    /// They do not belong together, or are of a kind that TLS does not use.
    #[error("{certificate} and {key} cannot be used together: {source}")]
    Pair {
        /// The file.
        certificate: String,
        /// The file.
        key: String,
        /// Why.
        source: rustls::Error,
    },
    /// The TLS library refuses its settings.
    #[error("the TLS library refuses its settings: {0}")]
    Settings(#[source] rustls::Error),
}

/// The roots that this machine trusts. `needed` says whether somebody will miss them.
pub fn machine_roots(needed: bool) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    let (trusted, ignored) = roots.add_parsable_certificates(found.certs);
    if trusted == 0 && needed {
        warn!(ignored, "no trusted certificates on this machine, https endpoints will fail");
    }
    roots
}

/// What connections to endpoints with the identity `tls` are made with. `roots` are believed unless
/// it names its own.
///
/// # Errors
/// What is wrong with its files.
pub fn client(roots: &RootCertStore, tls: &Tls) -> Result<ClientConfig, Error> {
    let roots = match &tls.ca {
        Some(ca) => own_roots(ca)?,
        None => roots.clone(),
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(Error::Settings)?
        .with_root_certificates(roots);
    let Some(client) = &tls.client else { return Ok(builder.with_no_client_auth()) };
    let chain = certificates(&client.certificate)?;
    let key = PrivateKeyDer::from_pem_slice(&client.key.bytes)
        .map_err(|_| Error::Key { file: client.key.file.clone() })?;
    builder.with_client_auth_cert(chain, key).map_err(|source| Error::Pair {
        certificate: client.certificate.file.clone(),
        key: client.key.file.clone(),
        source,
    })
}

fn own_roots(ca: &Pem) -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(ca)? {
        roots.add(certificate).map_err(|source| Error::Root { file: ca.file.clone(), source })?;
    }
    Ok(roots)
}

/// All certificates of a file, at least one.
fn certificates(pem: &Pem) -> Result<Vec<CertificateDer<'static>>, Error> {
    let none = || Error::Certificates { file: pem.file.clone() };
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem.bytes).collect();
    found.ok().filter(|found| !found.is_empty()).ok_or_else(none)
}

#[cfg(test)]
mod tests;
