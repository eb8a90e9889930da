//! End-to-end stories.

mod demo;
mod doubles;
mod edge;
mod wire;
