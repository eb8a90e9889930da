//! The port to name resolution.

use async_trait::async_trait;
use std::io;
use std::net::IpAddr;

/// Knows the addresses of names. Implementations: the machine's own resolver, and the double of the
/// tests, which answers as an attacker's would.
#[async_trait]
pub trait Resolver: Send + Sync + 'static {
    /// All addresses of `host`, a name, in the order in which they are to be tried. Nothing of them
    /// is believed: the connector judges each.
    ///
    /// # Errors
    /// When there is no such name, or nobody to ask.
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>>;
}

/// The machine's own: `/etc/hosts`, DNS, and whatever else its libc is set up for.
pub struct SystemResolver;

#[async_trait]
impl Resolver for SystemResolver {
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        let found = tokio::net::lookup_host((host, 0)).await?;
        Ok(found.map(|address| address.ip()).collect())
    }
}
