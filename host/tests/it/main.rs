//! The one integration binary of this crate.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on says so by panicking"
)]

mod architecture;
mod readme;
