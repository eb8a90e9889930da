//! The configuration the operator gave this plugin.

use serde::de::DeserializeOwned;

/// The whole configuration as `T`.
///
/// It is read from the host and parsed at each call; a plugin that also has a `#[configure]`
/// function of the same type has it checked when the plugin is loaded, so that an error here cannot
/// happen later.
///
/// # Errors
/// When it is not a `T`, in serde's words.
pub fn config<T: DeserializeOwned>() -> Result<T, String> {
    serde_json::from_slice(&json()).map_err(|error| format!("config: {error}"))
}

#[cfg(target_arch = "wasm32")]
fn json() -> Vec<u8> {
    crate::bindings::base::livekit_webhook::plugin::config::json()
}

#[cfg(not(target_arch = "wasm32"))]
fn json() -> Vec<u8> {
    crate::native::config_json()
}
