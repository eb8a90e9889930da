//! Questions to a double of LiveKit's server API, on real sockets.

use anyhow::{Context as _, Result, ensure};
use livekit_protocol as proto;
use livekit_webhook::clock::SystemClock;
use livekit_webhook::connector::resolver::SystemResolver;
use livekit_webhook::outside::fetch::HyperFetch;
use livekit_webhook::outside::livekit::{LiveKitServers, Server};
use livekit_webhook::plugin::outside::{LiveKit, LiveKitError, Question};
use livekit_webhook::tls;
use livekit_webhook_core::address_policy::AddressPolicy;
use livekit_webhook_core::endpoint::{EndpointUrl, PlainHttp};
use livekit_webhook_tests::livekit::api::{Api, Known, Mood};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

const API_KEY: &str = "APIquestions";
const SECRET: &str = "a secret of the server";

fn known() -> Known {
    let participant = |identity: &str, state| proto::ParticipantInfo {
        sid: format!("PA_{identity}"),
        identity: identity.to_owned(),
        state,
        joined_at: 1_795_435_200,
        attributes: [("plan".to_owned(), "pro".to_owned())].into(),
        ..Default::default()
    };
    Known {
        rooms: vec![proto::Room {
            sid: "RM_1".to_owned(),
            name: "weekly".to_owned(),
            metadata: r#"{"tenant":"acme"}"#.to_owned(),
            turn_password: "FAKE0turn".to_owned(),
            num_participants: 2,
            ..Default::default()
        }],
        participants: vec![
            ("weekly".to_owned(), participant("alice", 2)),
            ("weekly".to_owned(), participant("bob", 0)),
            ("other".to_owned(), participant("carol", 2)),
        ],
        egresses: vec![proto::EgressInfo {
            egress_id: "EG_1".to_owned(),
            room_name: "weekly".to_owned(),
            status: 3,
            started_at: 1_795_435_200_000_000_000,
            ..Default::default()
        }],
    }
}

async fn scene() -> Result<(Api, Arc<LiveKitServers>)> {
    let api = Api::start(API_KEY, SECRET, known()).await?;
    let servers = asking(&api.url(), SECRET)?;
    Ok((api, servers))
}

fn asking(url: &str, secret: &str) -> Result<Arc<LiveKitServers>> {
    let anywhere = ["0.0.0.0/0:*", "[::/0]:*"].map(|network| network.parse());
    let anywhere = anywhere.into_iter().collect::<Result<Vec<_>, _>>()?;
    let policy = AddressPolicy::new(anywhere, PlainHttp::Allowed);
    let roots = tls::machine_roots(false);
    let fetch = HyperFetch::new(policy, Arc::new(SystemResolver), &roots)?;
    let url = EndpointUrl::parse(&url.replace("ws://", "http://"), PlainHttp::Allowed)?;
    let server = Server::new(url, API_KEY, secret.as_bytes());
    let servers = BTreeMap::from([("prod".to_owned(), server)]);
    Ok(Arc::new(LiveKitServers::new(Arc::new(fetch), Arc::new(SystemClock), servers)))
}

async fn json(servers: &LiveKitServers, question: Question) -> Result<Option<Value>> {
    let answer = servers.ask("prod", question).await?;
    Ok(answer.map(|json| serde_json::from_slice(&json)).transpose()?)
}

fn weekly() -> String {
    "weekly".to_owned()
}

#[tokio::test]
async fn each_question_is_answered_in_the_shape_of_webhook_bodies() -> Result<()> {
    let (api, servers) = scene().await?;
    let room = json(&servers, Question::Room(weekly())).await?;
    let expect = json!({
        "sid": "RM_1", "name": "weekly", "metadata": "{\"tenant\":\"acme\"}", "numParticipants": 2,
    });
    ensure!(room == Some(expect), "{room:?}");
    let alice = json!({
        "sid": "PA_alice", "identity": "alice", "state": "ACTIVE", "joinedAt": "1795435200",
        "attributes": { "plan": "pro" },
    });
    let of =
        |identity: &str| Question::Participant { room: weekly(), identity: identity.to_owned() };
    let found = json(&servers, of("alice")).await?;
    ensure!(found == Some(alice.clone()), "{found:?}");
    let list = json(&servers, Question::Participants(weekly())).await?.context("a list")?;
    ensure!(list[0] == alice && list[1]["identity"] == "bob", "{list}");
    ensure!(list[1].get("state").is_none() && list.as_array().is_some_and(|all| all.len() == 2));
    let egresses = json(&servers, Question::Egress(weekly())).await?;
    let expect = json!([{
        "egressId": "EG_1", "roomName": "weekly", "status": "EGRESS_COMPLETE",
        "startedAt": "1795435200000000000",
    }]);
    ensure!(egresses == Some(expect), "{egresses:?}");
    ensure!(json(&servers, of("nobody")).await?.is_none());
    ensure!(json(&servers, Question::Room("gone".to_owned())).await?.is_none());
    ensure!(json(&servers, Question::Participants("gone".to_owned())).await? == Some(json!([])));
    let refused = api.refused();
    ensure!(refused == ["RoomService/GetParticipant: not_found: participant does not exist"]);
    Ok(())
}

#[tokio::test]
async fn fifty_at_once_are_one_request() -> Result<()> {
    let (api, servers) = scene().await?;
    api.is(Mood::Slow(Duration::from_millis(100)));
    let mut asking = JoinSet::new();
    for _ in 0..50 {
        let servers = servers.clone();
        asking.spawn(async move { servers.ask("prod", Question::Room(weekly())).await });
    }
    for answer in asking.join_all().await {
        ensure!(answer?.is_some());
    }
    ensure!(api.asked() == ["RoomService/ListRooms"], "{:?}", api.asked());
    Ok(())
}

#[tokio::test]
async fn a_server_in_trouble_is_told_from_one_that_knows_nothing() -> Result<()> {
    let (api, servers) = scene().await?;
    for (mood, room) in [(Mood::Broken, "a"), (Mood::Redirecting, "b")] {
        api.is(mood);
        let failed = servers.ask("prod", Question::Room(room.to_owned())).await;
        ensure!(matches!(failed, Err(LiveKitError::Unavailable(_))), "{mood:?}: {failed:?}");
    }
    // A redirect is not followed.
    ensure!(api.asked().len() == 2, "{:?}", api.asked());
    api.is(Mood::Huge);
    let failed = servers.ask("prod", Question::Room("c".to_owned())).await;
    ensure!(matches!(failed, Err(LiveKitError::TooLarge { .. })), "{failed:?}");
    let url = api.url();
    let stranger = asking(&url, "another secret")?;
    api.is(Mood::Well);
    let failed = stranger.ask("prod", Question::Room(weekly())).await;
    let text = failed.err().context("a wrong secret was believed")?.to_string();
    ensure!(text.contains("unauthenticated") && !text.contains("another secret"), "{text}");
    drop(api);
    let failed = servers.ask("prod", Question::Room("d".to_owned())).await;
    ensure!(matches!(failed, Err(LiveKitError::Unavailable(_))), "{failed:?}");
    Ok(())
}
