//! A command beside the owner of the file.

use super::*;
use crate::store::conformance::{plan, quota};
use crate::store::{EndpointHealth, Owed, ReplayState, SealedSecret, StoredReplay};
use livekit_webhook_core::delivery::DeadReason;
use livekit_webhook_core::health::{Disabled, DisabledReason, Health};
use livekit_webhook_core::id::{ReplayId, SecretId};
use livekit_webhook_core::replay::Selection;

fn beside(path: &Path) -> SqliteStore {
    SqliteStore::open_beside(path, &Options::default()).unwrap()
}

fn disabled(endpoint: &str, version: u64) -> EndpointHealth {
    let disabled = Some(Disabled { reason: DisabledReason::Operator, at: START });
    let health = Health { disabled, ..Health::default() };
    EndpointHealth { endpoint: endpoint.to_owned(), health, version }
}

#[tokio::test]
async fn the_owner_learns_of_health_with_its_next_claim() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder);
    let owner = open(&path);
    planned(&owner, 1, vec![delivery(1, "a")]).await;
    let command = beside(&path);
    assert_eq!((owner.role(), command.role()), (Role::Owner, Role::Beside));
    assert_eq!(command.record_health(disabled("a", 0)).await.unwrap(), Recorded::Done);
    assert_eq!(claim_due(&owner, START, "a", 1).await, []);
    // What the owner knew is stale, and it is told.
    assert_eq!(owner.record_health(disabled("a", 0)).await.unwrap(), Recorded::Stale);
    let enabled = EndpointHealth { health: Health::default(), ..disabled("a", 1) };
    assert_eq!(command.record_health(enabled).await.unwrap(), Recorded::Done);
    assert_eq!(claim_due(&owner, START, "a", 1).await.len(), 1);
    assert_eq!(owner.check().await.unwrap(), []);
}

/// The number of an endpoint is given by whoever names it first.
#[tokio::test]
async fn an_endpoint_has_one_number() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder);
    let owner = open(&path);
    let command = beside(&path);
    assert_eq!(command.record_health(disabled("b", 0)).await.unwrap(), Recorded::Done);
    planned(&owner, 1, vec![delivery(1, "b"), delivery(2, "c")]).await;
    assert_eq!(command.record_health(disabled("c", 0)).await.unwrap(), Recorded::Done);
    let quotas = vec![quota("b", 9), quota("c", 9)];
    assert_eq!(owner.claim_due(START, 9, quotas).await.unwrap().claims, []);
    let healths = owner.healths().await.unwrap();
    assert_eq!(healths, [disabled("b", 1), disabled("c", 1)]);
}

#[tokio::test]
async fn replays_and_secrets_are_seen_by_the_owner() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder);
    let owner = open(&path);
    let command = beside(&path);
    let replay = StoredReplay {
        id: ReplayId::new(1, 1),
        selection: Selection { kinds: vec!["room_*".parse().unwrap()], ..Selection::default() },
        rate_milli: 1_000,
        created_at: START,
        updated_at: START,
        state: ReplayState::Running,
        cursor: None,
        planned: 0,
        skipped: 0,
        note: None,
    };
    command.create_replay(replay.clone()).await.unwrap();
    assert_eq!(owner.replays(9).await.unwrap(), std::slice::from_ref(&replay));
    let (from, to) = (ReplayState::Running, ReplayState::Cancelled);
    let changed = command.change_replay(later(1), replay.id, from, to).await.unwrap();
    assert_eq!(changed, Recorded::Done);
    assert_eq!(owner.replays(9).await.unwrap()[0].state, to);
    let secret = SealedSecret {
        id: SecretId::new(1, 1),
        endpoint: "a".to_owned(),
        key_id: "k".to_owned(),
        sealed: vec![1, 2].into(),
        created_at: START,
        expires_at: Some(later(9)),
    };
    command.put_secret(secret.clone()).await.unwrap();
    assert_eq!(owner.secrets().await.unwrap(), std::slice::from_ref(&secret));
    assert_eq!(command.remove_secret(secret.id).await.unwrap(), Recorded::Done);
    assert_eq!(owner.secrets().await.unwrap(), []);
}

#[tokio::test]
async fn what_needs_the_owners_memory_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder);
    let owner = open(&path);
    planned(&owner, 1, vec![delivery(1, "a")]).await;
    let command = beside(&path);
    let refused = |error: Error| matches!(error, Error::Unavailable(_));
    assert!(refused(command.append(event(2)).await.unwrap_err()));
    assert!(refused(command.claim_unplanned(START, 9, 9).await.unwrap_err()));
    assert!(refused(command.claim_due(START, 9, vec![quota("a", 1)]).await.unwrap_err()));
    let owed = Owed::Endpoint("a".to_owned());
    let given_up = command.give_up(START, owed, DeadReason::Cancelled, String::new(), 9).await;
    assert!(refused(given_up.unwrap_err()));
    assert!(refused(command.vacuum().await.unwrap_err()));
    assert!(refused(command.import(Vec::new()).await.unwrap_err()));
    assert_eq!(command.depth().await.unwrap(), owner.depth().await.unwrap());
    assert_eq!(command.check().await.unwrap(), []);
    assert_eq!(command.export(None).await.unwrap(), owner.export(None).await.unwrap());
}

/// Writes of both, at the same time, and none of them is lost.
#[tokio::test]
async fn the_owner_goes_on_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder);
    let owner = open(&path);
    let command = beside(&path);
    let serve = async {
        for number in 1..=50 {
            planned(&owner, number, vec![delivery(number, "a")]).await;
        }
    };
    let operate = async {
        for version in 0..50 {
            let recorded = command.record_health(disabled("a", version)).await.unwrap();
            assert_eq!(recorded, Recorded::Done);
        }
    };
    tokio::join!(serve, operate);
    assert_eq!(owner.depth().await.unwrap().pending, 50);
    assert_eq!(owner.healths().await.unwrap()[0].version, 50);
    assert_eq!(owner.check().await.unwrap(), []);
}

#[tokio::test]
async fn without_an_owner_a_command_owns_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder);
    let command = beside(&path);
    assert_eq!(command.role(), Role::Owner);
    command.append(event(1)).await.unwrap();
    let claim = claim_event(&command).await;
    command.record_plans(START, vec![plan(&claim, vec![])]).await.unwrap();
    assert!(matches!(SqliteStore::open(&path, &Options::default()), Err(OpenError::InUse(_))));
    command.close().await.unwrap();
    assert_eq!(open(&path).role(), Role::Owner);
}
