//! The command line.

pub mod credentials;
pub mod send;
pub mod verify;
