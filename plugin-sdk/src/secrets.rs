//! Secrets that a plugin can use and not read.
//!
//! A stand-in is text like any other: the plugin puts it where the secret belongs, in a URL's path
//! or query, a header or a body, and the gateway puts the secret in its place when the request goes
//! to a host that the operator allows that secret for. Anywhere else it stays what it is.

/// The text that stands for the secret of this name, for this event. `None` when the plugin has no
/// such secret.
///
/// ```
/// use livekit_webhook_plugin::{native, secrets};
///
/// assert_eq!(secrets::stand_in("token"), None);
/// native::set_secret("token");
/// assert!(secrets::stand_in("token").is_some());
/// ```
pub fn stand_in(name: &str) -> Option<String> {
    #[cfg(target_arch = "wasm32")]
    return crate::bindings::base::livekit_webhook::plugin::secrets::stand_in(name);
    #[cfg(not(target_arch = "wasm32"))]
    crate::native::outside::stand_in(name)
}
