//! Plugin `evil`.
