//! Other beginnings than a new folder with one configuration.

use super::{Gateway, Log, Setup};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

impl Gateway {
    /// Starts the binary in a folder that has a configuration and, perhaps, a store.
    ///
    /// # Errors
    /// As [`Gateway::start`].
    pub async fn start_in(
        folder: tempfile::TempDir,
        setup: &Setup,
        bound: Duration,
    ) -> anyhow::Result<Self> {
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let setup = setup.clone();
        let log = Arc::<Log>::default();
        let mut gateway =
            Self { folder, setup, child: None, address: nowhere, admin: nowhere, log };
        gateway.start_again(bound).await?;
        Ok(gateway)
    }

    /// Another configuration for the next start.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn configure(&mut self, setup: &Setup) -> anyhow::Result<()> {
        std::fs::write(self.folder.path().join("gateway.toml"), setup.to_toml())?;
        self.setup = setup.clone();
        Ok(())
    }

    /// What it was configured with.
    pub fn setup(&self) -> &Setup {
        &self.setup
    }
}
