//! All we know of LiveKit's wire. Pure: no IO, no clock, no dice, no async; compiles to wasm32.
//!
//! Used by the Envoy filter, the host, the command line and the plugin SDK, so that there is one
//! verifier and one reading of an event everywhere. Reading order: what a sender signs ([`sign`]),
//! how a token is judged ([`keys`], [`body_hash`], [`verify`]), what the verified bytes say
//! ([`envelope`], [`event`]).

pub mod body_hash;
pub mod envelope;
pub mod event;
pub mod event_type;
pub mod glob;
pub mod json;
pub mod keys;
pub mod sample;
pub mod sign;
pub mod verify;

#[cfg(test)]
mod tests;
