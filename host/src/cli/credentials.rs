//! The key pair that `send` signs with and `verify` judges by.
//!
//! A secret comes from a file or the environment, never from an argument that others on the machine
//! can list. One line end at the end of a secret file is dropped, because every editor writes one;
//! everything else is used as it stands, as LiveKit does.

use anyhow::{Context as _, bail};
use std::path::{Path, PathBuf};

#[cfg(test)]
mod tests;

/// LiveKit's own key pair of `livekit-server --dev`.
pub const DEV_API_KEY: &str = "devkey";
/// The secret that goes with [`DEV_API_KEY`].
pub const DEV_SECRET: &[u8] = b"secret";
/// Longest secret file, in bytes. A longer one is some other file.
pub const SECRET_BYTES_MAX: usize = 4096;

/// Where a key pair comes from.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct Credentials {
    /// API key that signs
    #[arg(long, env = "LIVEKIT_API_KEY", value_name = "KEY")]
    pub api_key: Option<String>,
    /// File with the secret of the API key; without it LIVEKIT_API_SECRET is used
    #[arg(long, value_name = "FILE")]
    pub secret_file: Option<PathBuf>,
    /// Only through the environment: an argument would be listed by `ps`.
    #[arg(
        long,
        env = "LIVEKIT_API_SECRET",
        hide = true,
        hide_env_values = true,
        value_name = "SECRET"
    )]
    pub api_secret: Option<String>,
}

/// A key and its secret. `Debug` does not print the secret.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyPair {
    /// The `iss` of tokens.
    pub api_key: String,
    /// Raw bytes.
    pub secret: Vec<u8>,
}

// === impl Credentials ===

impl Credentials {
    /// The pair, or `None` when neither half was given.
    ///
    /// # Errors
    /// When only one half was given, or the file cannot be read.
    pub async fn resolve(&self) -> anyhow::Result<Option<KeyPair>> {
        let secret = match (&self.secret_file, &self.api_secret) {
            (Some(file), _) => Some(read_secret(file).await?),
            (None, Some(secret)) => Some(secret.clone().into_bytes()),
            (None, None) => None,
        };
        match (self.api_key.clone(), secret) {
            (None, None) => Ok(None),
            (Some(_), None) => {
                bail!("an API key without a secret: give --secret-file or set LIVEKIT_API_SECRET")
            }
            (None, Some(_)) => {
                bail!("a secret without an API key: give --api-key or set LIVEKIT_API_KEY")
            }
            (Some(_), Some(secret)) if secret.is_empty() => {
                bail!("the secret is empty; anybody could sign with it")
            }
            (Some(api_key), Some(secret)) => Ok(Some(KeyPair { api_key, secret })),
        }
    }
}

/// Reads a secret file, without the line end of its last line.
async fn read_secret(file: &Path) -> anyhow::Result<Vec<u8>> {
    let bytes = tokio::fs::read(file)
        .await
        .with_context(|| format!("cannot read the secret file {}", file.display()))?;
    if bytes.len() > SECRET_BYTES_MAX {
        bail!("{} has {} bytes, no secret is that long", file.display(), bytes.len());
    }
    Ok(without_line_end(&bytes).to_vec())
}

fn without_line_end(bytes: &[u8]) -> &[u8] {
    bytes.strip_suffix(b"\r\n").or_else(|| bytes.strip_suffix(b"\n")).unwrap_or(bytes)
}

// === impl KeyPair ===

impl KeyPair {
    /// What `livekit-server --dev` signs with.
    pub fn dev() -> Self {
        Self { api_key: DEV_API_KEY.to_owned(), secret: DEV_SECRET.to_vec() }
    }
}

impl std::fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyPair")
            .field("api_key", &self.api_key)
            .field("secret", &"[redacted]")
            .finish()
    }
}
