//! End-to-end stories.

#![expect(clippy::unwrap_used, reason = "a story that cannot go on says so by panicking")]

mod doubles;
mod edge;
mod wire;
