//! The wire crate behind a C-like ABI.
