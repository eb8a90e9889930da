//! What an operator adds to every request to an endpoint: headers, and whom TLS believes and shows.

use crate::signature::is_free_header;
use std::fmt;

/// Most headers of one endpoint.
pub const HEADERS_MAX: usize = 32;
/// Longest value of one of them, in bytes.
pub const HEADER_VALUE_BYTES_MAX: usize = 4_096;

/// A header that every request carries. `Debug` prints no secret value.
#[derive(Clone, PartialEq, Eq)]
pub struct ExtraHeader {
    name: String,
    value: String,
    is_secret: bool,
}

/// Whom TLS believes and shows for one endpoint, apart from the machine's trusted roots. Endpoints
/// that differ in it never share a connection.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Tls {
    /// Roots that are believed in place of the machine's.
    pub ca: Option<Pem>,
    /// What we show when we are asked.
    pub client: Option<ClientCertificate>,
}

/// A client certificate and its key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ClientCertificate {
    /// The certificate first, then its issuers.
    pub certificate: Pem,
    /// Its private key.
    pub key: Pem,
}

/// A file in PEM form. `Debug` prints its name only.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Pem {
    /// Where it was read from, for those who print.
    pub file: String,
    /// What was in it.
    pub bytes: Vec<u8>,
}

/// What is wrong with a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeaderError {
    /// Not a header, or one that the delivery itself sets.
    #[error(
        "cannot be set here: a delivery sets it itself, or it is not a header name of a-z, 0-9, `-` and `_`"
    )]
    Name,
    /// Could not be sent, or would be read as another header.
    #[error("a value has 1 to {HEADER_VALUE_BYTES_MAX} printable ASCII characters")]
    Value,
}

// === impl ExtraHeader ===

impl ExtraHeader {
    /// Checks a header.
    ///
    /// # Errors
    /// [`HeaderError`].
    pub fn new(name: &str, value: &str, is_secret: bool) -> Result<Self, HeaderError> {
        let name = name.to_ascii_lowercase();
        if !is_free_header(&name) {
            return Err(HeaderError::Name);
        }
        let fits = value.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        let long = value.is_empty() || value.len() > HEADER_VALUE_BYTES_MAX;
        if !fits || long || value.trim() != value {
            return Err(HeaderError::Value);
        }
        Ok(Self { name, value: value.to_owned(), is_secret })
    }

    /// In lower case.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Printable ASCII.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// Whether the value must not be shown.
    pub fn is_secret(&self) -> bool {
        self.is_secret
    }
}

impl fmt::Debug for ExtraHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = if self.is_secret { "[redacted]" } else { &self.value };
        write!(f, "{}: {value}", self.name)
    }
}

// === impl Tls ===

impl Tls {
    /// Whether it is what every endpoint has.
    pub fn is_default(&self) -> bool {
        self.ca.is_none() && self.client.is_none()
    }
}

// === impl Pem ===

impl fmt::Debug for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)
    }
}
