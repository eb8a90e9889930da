//! Fixtures shared by the end-to-end stories.

pub mod judge;
