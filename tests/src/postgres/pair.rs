//! A primary with a synchronous standby: a commit is answered when both have it on disk.

use super::{Client, POLL, Postgres, READY_MAX, Setup, USER};
use anyhow::{Context as _, Result};
use tokio::time::{sleep, timeout};

/// Two servers, of which the second follows the first.
#[derive(Debug)]
pub struct Pair {
    /// Takes writes.
    pub primary: Postgres,
    /// Follows, and can be read.
    pub standby: Postgres,
}

// === impl Pair ===

impl Pair {
    /// Starts both and waits until the primary waits for the standby.
    ///
    /// # Errors
    /// As [`Postgres::start`].
    pub async fn start() -> Result<Self> {
        // All that has been logged is kept for the standby, which begins with a copy of the same
        // folder and so needs no backup of the primary.
        let leads = Setup::default()
            .setting("wal_keep_size=512MB")
            .setting("synchronous_standby_names=standby");
        let primary = Postgres::start(&leads).await?;
        let folder = primary.folder.path().display();
        let from = format!(
            "primary_conninfo=host={folder} port={} user={USER} application_name=standby",
            primary.port
        );
        let standby = Postgres::start(&Setup::default().setting(&from).standby()).await?;
        let pair = Self { primary, standby };
        pair.wait_synchronous().await?;
        Ok(pair)
    }

    /// A URL that names both, for who wants the one that takes writes.
    pub fn url(&self, database: &str) -> String {
        let (first, second) = (self.primary.port, self.standby.port);
        let one = format!("127.0.0.1:{first}");
        let both = format!("127.0.0.1:{first},127.0.0.1:{second}");
        let url = self.primary.url(database).replace(&one, &both);
        format!("{url}?target_session_attrs=read-write")
    }

    /// Makes the standby take writes. The primary must be gone for good.
    ///
    /// # Errors
    /// When it does not within the bound.
    pub async fn promote(&self) -> Result<()> {
        let standby = Client::connect(&self.standby.url(USER)).await?;
        let seconds = READY_MAX.as_secs();
        let promoted =
            standby.value::<bool>(&format!("SELECT pg_promote(true, {seconds})")).await?;
        anyhow::ensure!(promoted, "not promoted:\n{}", self.standby.log());
        Ok(())
    }

    async fn wait_synchronous(&self) -> Result<()> {
        let primary = Client::connect(&self.primary.url(USER)).await?;
        let sql = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'";
        let follows = async {
            while primary.value::<i64>(sql).await? == 0 {
                sleep(POLL).await;
            }
            anyhow::Ok(())
        };
        let in_time = timeout(READY_MAX, follows).await;
        in_time.with_context(|| format!("no standby:\n{}", self.standby.log()))?
    }
}
