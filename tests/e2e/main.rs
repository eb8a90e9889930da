//! End-to-end stories.

mod doubles;
