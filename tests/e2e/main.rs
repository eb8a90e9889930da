//! End-to-end stories.

mod edge;
