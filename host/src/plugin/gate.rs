//! Between a guest and the [`super::outside`] world: grants, limits and secrets.

use super::Interface;
use super::outside::Outside;
use super::permission::Permissions;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// A plugin's door: what holds for every call of one version.
#[derive(Clone, Debug, Default)]
pub struct Door {
    /// What holds: the plugin's wish and the operator's grant.
    pub permissions: Permissions,
    /// By name.
    pub secrets: BTreeMap<String, Secret>,
    /// `None` where there is nothing beyond: every call is then denied.
    pub outside: Option<Outside>,
}

/// A secret of a plugin. `Debug` does not print it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<[u8]>);

/// The door during one call.
#[derive(Debug)]
pub struct Gate {
    /// The plugin's.
    pub door: Arc<Door>,
    /// Which interface runs: only `enrich` and `action` may pass.
    pub interface: Option<Interface>,
}

// === impl Secret ===

impl Secret {
    /// Takes the bytes.
    pub fn new(bytes: &[u8]) -> Self {
        Self(Arc::from(bytes))
    }

    /// For the one who puts it into a request.
    pub fn reveal(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}
