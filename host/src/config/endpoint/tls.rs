//! `ca_file`, `client_certificate_file` and `client_key_file` of an endpoint.

use super::Context;
use crate::config::read_bounded;
use crate::config::reader::Section;
use crate::tls::{self, Error};
use livekit_webhook_core::endpoint::{ClientCertificate, Pem, Tls};
use rustls::RootCertStore;

/// Largest file with certificates or a key, in bytes.
const FILE_BYTES_MAX: u64 = 256 * 1024;

/// Reads them, and sees whether they can be used together.
pub fn tls(section: &mut Section, context: &Context<'_>) -> Option<Tls> {
    let ca = file(section, "ca_file", context);
    let certificate = file(section, "client_certificate_file", context);
    let key = file(section, "client_key_file", context);
    let client = match (certificate?, key?) {
        (Some(certificate), Some(key)) => Some(ClientCertificate { certificate, key }),
        (None, None) => None,
        (Some(_), None) => {
            section.problem("client_key_file", "is missing: the certificate needs its key");
            return None;
        }
        (None, Some(_)) => {
            section.problem("client_certificate_file", "is missing: the key needs its certificate");
            return None;
        }
    };
    let tls = Tls { ca: ca?, client };
    if let Err(error) = tls::client(&RootCertStore::empty(), &tls) {
        let of = |file: &String| tls.ca.as_ref().is_some_and(|ca| ca.file == *file);
        let key = match &error {
            Error::Certificates { file } | Error::Root { file, .. } if of(file) => "ca_file",
            Error::Key { .. } => "client_key_file",
            _ => "client_certificate_file",
        };
        section.problem(key, error);
        return None;
    }
    Some(tls)
}

/// The outer `None` when a problem was noted.
fn file(section: &mut Section, key: &'static str, context: &Context<'_>) -> Option<Option<Pem>> {
    let Some(name) = section.string(key) else { return Some(None) };
    let path = context.folder.join(name);
    let file = path.display().to_string();
    match read_bounded(&path, FILE_BYTES_MAX) {
        Ok(Some(bytes)) => return Some(Some(Pem { file, bytes })),
        Ok(None) => section.problem(key, format_args!("{file} is over {FILE_BYTES_MAX} bytes")),
        Err(error) => section.problem(key, format_args!("cannot read {file}: {error}")),
    }
    None
}
