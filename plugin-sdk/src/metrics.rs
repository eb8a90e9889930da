//! The plugin's own numbers. Names and labels are `[a-z][a-z0-9_]*`; the gateway drops what is past
//! its limits.

/// Adds to a counter.
pub fn count(name: &str, delta: u64, labels: &[(String, String)]) {
    #[cfg(target_arch = "wasm32")]
    crate::bindings::base::livekit_webhook::plugin::metrics::count(name, delta, labels);
    #[cfg(not(target_arch = "wasm32"))]
    let _ = (name, delta, labels);
}

/// Records one observed value.
pub fn observe(name: &str, value: f64, labels: &[(String, String)]) {
    #[cfg(target_arch = "wasm32")]
    crate::bindings::base::livekit_webhook::plugin::metrics::observe(name, value, labels);
    #[cfg(not(target_arch = "wasm32"))]
    let _ = (name, value, labels);
}
