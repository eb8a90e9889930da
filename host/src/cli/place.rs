//! Which store a verb looks at.

use super::check;
use crate::app::stores;
use crate::config::Config;
use crate::store::Store;
use crate::store::url::Url;
use std::path::PathBuf;
use std::sync::Arc;

/// Where the store is.
#[derive(clap::Args, Clone, Debug)]
pub struct Place {
    /// The gateway's configuration: the store is the one that it names
    #[arg(
        long,
        value_name = "FILE",
        env = "LIVEKIT_WEBHOOK_CONFIG",
        required_unless_present = "store"
    )]
    pub config: Option<PathBuf>,
    /// The store itself: sqlite:FILE or postgres://…
    #[arg(long, value_name = "URL", value_parser = stores::parse)]
    pub store: Option<Url>,
}

/// What verbs that look at a store or change it have in common.
#[derive(clap::Args, Clone, Debug)]
pub struct Common {
    /// Which store.
    #[command(flatten)]
    pub place: Place,
    /// Print one JSON object a line
    #[arg(long)]
    pub json: bool,
}

/// An open store, and the configuration if one was given.
pub struct Opened {
    /// The store.
    pub store: Arc<dyn Store>,
    /// What `--config` names.
    pub config: Option<Config>,
}

// === impl Place ===

impl Place {
    /// Opens the store to read from it.
    ///
    /// # Errors
    /// What is wrong with the configuration, or the store.
    pub async fn read(&self) -> anyhow::Result<Opened> {
        let (url, config) = self.resolve()?;
        Ok(Opened { store: stores::open_to_read(&url).await?, config })
    }

    /// Opens the store for a small write, beside the hosts that serve from it.
    ///
    /// # Errors
    /// As [`Place::read`].
    pub async fn open(&self) -> anyhow::Result<Opened> {
        let (url, config) = self.resolve()?;
        Ok(Opened { store: stores::open_beside(&url).await?, config })
    }

    /// Opens the store for something that no host may be in the way of.
    ///
    /// # Errors
    /// As [`Place::read`], and when a host serves from an embedded store.
    pub async fn open_alone(&self) -> anyhow::Result<Opened> {
        let (url, config) = self.resolve()?;
        Ok(Opened { store: stores::open_alone(&url).await?, config })
    }

    /// The store's URL, and the configuration if one was given. `--store` goes before the store of
    /// the configuration.
    ///
    /// # Errors
    /// What is wrong with the configuration.
    pub fn resolve(&self) -> anyhow::Result<(Url, Option<Config>)> {
        let config = match &self.config {
            Some(path) => Some(check::load(path)?),
            None => None,
        };
        let url = self.store.clone().or_else(|| config.as_ref().map(stores::of));
        // The command line asks for one of the two.
        let url = url.ok_or_else(|| anyhow::anyhow!("give --config FILE or --store URL"))?;
        Ok((url, config))
    }
}
