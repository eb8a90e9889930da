//! Chooses endpoints by the tenant an event belongs to.
//!
//! [`places`] says where the tenant is written: in the room's name, in metadata, in a participant's
//! attribute, in an attribute an earlier plugin added. The first place that has one decides; the
//! table says which endpoints are this tenant's. The host leaves out endpoints that the
//! subscription does not allow.
//!
//! Guarantee: an event without a known tenant goes to the default endpoints or nowhere, never to
//! another tenant's.

mod pattern;
mod places;

use livekit_webhook_plugin::prelude::*;
use places::Place;
use serde::Deserialize;
use std::collections::BTreeMap;

/// Most places to look at.
const PLACES_MAX: usize = 16;
/// Most tenants in the table. It is read for each event, so its length costs CPU.
const TENANTS_MAX: usize = 1_000;
/// Most endpoints of one tenant.
const ENDPOINTS_MAX: usize = 32;

/// What the operator may say.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// Where the tenant is written, in the order to look.
    tenant: Vec<Place>,
    /// The endpoints of each tenant.
    #[serde(default)]
    endpoints: BTreeMap<String, Names>,
    /// Where events without a tenant go, and those of unknown tenants unless `unknown` says
    /// otherwise.
    #[serde(default)]
    default: Names,
    /// Where events of tenants go that are not in the table.
    #[serde(default)]
    unknown: Unknown,
}

/// One name or several.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
enum Names {
    One(String),
    Several(Vec<String>),
}

/// What becomes of a tenant that is not in the table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Unknown {
    /// As without a tenant.
    #[default]
    Default,
    /// Nowhere.
    Nothing,
    /// To the endpoint that has the tenant's name.
    SameName,
}

// === impl Names ===

impl Default for Names {
    fn default() -> Self {
        Self::Several(Vec::new())
    }
}

impl Names {
    fn as_slice(&self) -> &[String] {
        match self {
            Self::One(name) => std::slice::from_ref(name),
            Self::Several(names) => names,
        }
    }
}

#[configure]
fn check(config: &Config) -> Result<(), String> {
    let Config { tenant, endpoints, default, .. } = config;
    if tenant.is_empty() || tenant.len() > PLACES_MAX {
        return Err(format!(
            "tenant: must name 1 to {PLACES_MAX} places, such as {{ room_metadata = \"/tenant\" }}"
        ));
    }
    for (n, place) in tenant.iter().enumerate() {
        place.check().map_err(|error| format!("tenant, place {}: {error}", n + 1))?;
    }
    if endpoints.len() > TENANTS_MAX {
        return Err(format!("endpoints: {} tenants, at most {TENANTS_MAX}", endpoints.len()));
    }
    for (key, names) in
        endpoints.iter().map(|(key, names)| (key.as_str(), names)).chain([("default", default)])
    {
        let names = names.as_slice();
        if names.len() > ENDPOINTS_MAX || names.iter().any(String::is_empty) {
            return Err(format!("{key:?}: at most {ENDPOINTS_MAX} names of endpoints, none empty"));
        }
    }
    Ok(())
}

#[route]
fn route(event: &Event) -> Result<Vec<String>, Failure> {
    let Config { tenant, mut endpoints, default, unknown } = config()?;
    let found = tenant.iter().find_map(|place| place.tenant(event));
    let Some(found) = found else {
        metrics::count("without_tenant", 1, &[]);
        return Ok(default.as_slice().to_vec());
    };
    if let Some(names) = endpoints.remove(&found) {
        return Ok(names.as_slice().to_vec());
    }
    metrics::count("unknown_tenant", 1, &[]);
    debug!("unknown tenant {found:?}");
    Ok(match unknown {
        Unknown::Default => default.as_slice().to_vec(),
        Unknown::Nothing => Vec::new(),
        Unknown::SameName => vec![found],
    })
}

#[cfg(test)]
mod tests;
