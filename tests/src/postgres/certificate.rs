//! A certificate for a server that offers TLS, signed by an authority made for it alone.

use super::folder::Folder;
use anyhow::Result;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

/// The authority's file in the server's folder.
pub const AUTHORITY: &str = "authority.pem";

/// Puts the server's key and certificate where PostgreSQL looks for them.
pub fn write(folder: &Folder) -> Result<()> {
    let mut authority = CertificateParams::new(Vec::new())?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;
    let key = KeyPair::generate()?;
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let certificate = CertificateParams::new(names)?.signed_by(&key, &authority)?;
    folder.write("data/server.key", key.serialize_pem().as_bytes())?;
    folder.write("data/server.crt", certificate.pem().as_bytes())?;
    folder.write(AUTHORITY, authority.pem().as_bytes())
}
