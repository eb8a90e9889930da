//! The Envoy filter: verifies LiveKit's webhooks at the edge, with the request's head held back,
//! so that the host never sees a byte that LiveKit did not sign.
//!
//! Cast: [`settings`] is the configuration and [`policy`] what it means for a request; [`decision`]
//! is what to do with one request, with [`dedupe`] and [`rate`] for what the workers share;
//! [`answer`] is what to say, [`headers`] the verdict for the host; [`watch`] and [`self_test`]
//! find a wrong set-up and a wrong build. [`request`] and [`filter`] bring them to a [`proxy`].
//! All these are pure or speak to that trait, and run on any machine. Only in WebAssembly there are
//! `abi`, which Envoy calls, and `hostcalls` and `environ`, which call Envoy.
//!
//! Guarantee: no path that a request can reach panics, and everything that is not verified is
//! answered here. Non-guarantee: without `allow_on_headers_stop_iteration` the head cannot be
//! held; the filter then says so and answers 503, or leaks it when told `hold_headers: false`.

#[cfg(test)]
extern crate self as livekit_webhook_filter;

pub mod settings;

pub mod policy;

pub mod decision;
pub mod dedupe;
pub mod rate;

pub mod answer;
pub mod headers;
pub mod metrics;
pub mod proxy;
pub mod self_test;
pub mod watch;

pub mod filter;
pub mod request;

#[cfg(target_arch = "wasm32")]
mod abi;
#[cfg(target_arch = "wasm32")]
mod environ;
#[cfg(target_arch = "wasm32")]
mod hostcalls;
