//! The host against real components.
