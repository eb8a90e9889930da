//! Plugin `redact`.
