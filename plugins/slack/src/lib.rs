//! Plugin `slack`.
