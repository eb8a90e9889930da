//! End-to-end stories.

mod wire;
