//! What is done beside the stages: secrets, replays, retention.

use super::Shared;
use crate::config::Config;
use crate::replay::Replayer;
use crate::retain::Retainer;
use crate::store::{Hint, Store};
use crate::tasks::{Bell, Kind, Stop, Tasks};
use crate::vault::Keeper;
use std::sync::Arc;

impl Shared {
    /// Starts its workers. The bell wakes the one of the replays.
    pub(super) fn upkeep(
        &self,
        config: &Config,
        tasks: &Tasks,
        stop: &Stop,
        deliver: &Bell,
    ) -> Bell {
        let replayer = self.replayer(config, deliver);
        let bell = replayer.bell.clone();
        let retainer = Retainer {
            retention: config.store.retention,
            store: self.store.clone(),
            clock: self.clock.clone(),
            entropy: self.entropy.clone(),
            metrics: self.metrics.clone(),
        };
        let keeper = Arc::new(self.keeper(config, deliver));
        tasks.spawn(Kind::Worker, "secrets", keeper.run(stop.clone()));
        tasks.spawn(Kind::Worker, "replay", Arc::new(replayer).run(stop.clone()));
        tasks.spawn(Kind::Worker, "retain", Arc::new(retainer).run(stop.clone()));
        bell
    }

    fn keeper(&self, config: &Config, deliver: &Bell) -> Keeper {
        let stored = config.endpoints.iter().filter(|endpoint| endpoint.signs_with_stored());
        Keeper {
            endpoints: stored.map(|endpoint| endpoint.name.to_string()).collect(),
            vault: config.vault.clone(),
            store: self.store.clone(),
            clock: self.clock.clone(),
            live: self.secrets.clone(),
            deliver: deliver.clone(),
            metrics: self.metrics.clone(),
        }
    }

    fn replayer(&self, config: &Config, deliver: &Bell) -> Replayer {
        let in_order = config.endpoints.iter();
        let in_order = in_order.filter(|endpoint| endpoint.traffic.order.has_lanes());
        Replayer {
            ordered: in_order.map(|endpoint| endpoint.name.to_string()).collect(),
            store: self.store.clone(),
            clock: self.clock.clone(),
            entropy: self.entropy.clone(),
            bell: Bell::new(),
            deliver: deliver.clone(),
            metrics: self.metrics.clone(),
        }
    }
}

/// Rings for what other hosts wrote, until `stop`.
pub(super) async fn pass_hints(
    store: Arc<dyn Store>,
    [route, deliver, watch, replay]: [Bell; 4],
    mut stop: Stop,
) {
    loop {
        tokio::select! {
            hint = store.hint() => match hint {
                Hint::Events => route.ring(),
                Hint::Deliveries => {
                    deliver.ring();
                    watch.ring();
                    replay.ring();
                }
            },
            () = stop.given() => return,
        }
    }
}
