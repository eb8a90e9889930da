//! One file of scenarios, three places to play them: the filter as it is linked here, the compiled
//! filter in wasmtime, and the compiled filter in a real Envoy.
//!
//! Cast: a [`scenario::Scenario`] says what is sent and what must come of it. [`world::World`] is a
//! proxy without a network: what the filter asks of it, it answers; what the filter tells it, it
//! remembers. A [`vm::Vm`] is the filter in one of its two forms, and [`stage::Stage`] plays
//! requests to it as Envoy would. The third place is a test with a real Envoy, which reads the same
//! file.

pub mod cost;
pub mod guest;
pub mod scenario;
pub mod stage;
pub mod trap;
pub mod vm;
pub mod world;
