//! What holds for a plugin once its manifest and its operator have both spoken: configuration,
//! limits, permissions. Settled before any of its code runs.
//!
//! The manifest describes and asks; it never gives. Limits are its own where the operator set none,
//! and only below the defaults. A component without a manifest says nothing of what it wants: it
//! takes any configuration, and the operator's grant alone holds.

use super::instance::Config;
use super::limits::Limits;
use super::load::Error;
use super::manifest::secret::Secrets;
use super::manifest::{self, Manifest};
use super::permission::Permissions;
use bytes::Bytes;
use serde_json::Value;

/// The settlement.
#[derive(Clone, Debug)]
pub struct Terms {
    /// What the component says of itself.
    pub manifest: Option<Manifest>,
    /// With the defaults of what was left out.
    pub config: Config,
    /// The operator's, else the manifest's, else the defaults.
    pub limits: Limits,
    /// What of the configuration is secret.
    pub secrets: Secrets,
    /// What the manifest asks for. What holds is what the operator grants of it.
    pub permissions: Option<Permissions>,
}

// === impl Terms ===

impl Terms {
    /// Reads the manifest in `wasm`, and brings it together with what the operator says. Runs
    /// nothing.
    ///
    /// # Errors
    /// When the manifest or the configuration is not right.
    pub fn settle(wasm: &[u8], config: Bytes, mut limits: Limits) -> Result<Self, Error> {
        let manifest = match Manifest::read(wasm) {
            Ok(manifest) => manifest,
            // The engine looks closer at a damaged file, and says more of it.
            Err(manifest::Error::NotWasm | manifest::Error::Cut(_)) => None,
            Err(error) => return Err(Error::Manifest(error)),
        };
        let config = if config.is_empty() { Bytes::from_static(b"{}") } else { config };
        let value: Value = serde_json::from_slice(&config).map_err(Error::ConfigSyntax)?;
        let Some(manifest) = manifest else {
            let config = Config { bytes: config, value };
            let secrets = Secrets::default();
            return Ok(Self { manifest: None, config, limits, secrets, permissions: None });
        };
        for (name, value) in &manifest.limits {
            limits.lower(name, *value);
        }
        let (config, secrets) = filled(&manifest, value)?;
        let permissions = Some(manifest.permissions.clone());
        Ok(Self { manifest: Some(manifest), config, limits, secrets, permissions })
    }
}

fn filled(manifest: &Manifest, mut value: Value) -> Result<(Config, Secrets), Error> {
    let mut secrets = Secrets::default();
    if let Some(schema) = manifest.schema().map_err(Error::ConfigRefused)? {
        schema.fill(&mut value);
        let problems = schema.problems(&value);
        if !problems.is_empty() {
            return Err(Error::ConfigRefused(problems));
        }
        secrets = Secrets::of(&schema.secrets(), &value);
    }
    let bytes = serde_json::to_vec(&value).map_err(Error::ConfigSyntax)?;
    Ok((Config { bytes: Bytes::from(bytes), value }, secrets))
}

#[cfg(test)]
mod tests;
