//! What is learned of the uses that pass.

use super::*;
use crate::plugin::learn::Learner;
use crate::plugin::outside::Question;

#[tokio::test]
async fn what_passes_is_noted_and_a_secret_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("grant.toml");
    let learner = Arc::new(Learner::new(file.clone()));
    let asked = json!({
        "http": [{ "host": "*.example.com", "secrets": ["token", "other"] }],
        "state": "rw", "livekit": ["get-room", "list-egress"],
    });
    let (known, _) = gate(asked);
    let door = known.pass().unwrap().door.as_ref().clone().learning(Some(learner.clone()));
    let mut gate = Gate::new(&Arc::new(door), &Input::default(), Instant::now() + SOON);
    gate.interface = Some(Interface::Enrich);
    let secret = gate.stand_in("token").unwrap();
    get(&gate, &format!("https://api.example.com/v1/{secret}/users?q=1")).await.unwrap();
    let headers = vec![("x-key".to_owned(), secret)];
    let request = request("POST", "https://api.example.com/v1/rooms");
    send(&gate, Request { headers, ..request }).await.unwrap();
    // What is refused is no use.
    get(&gate, "https://evil.com/").await.unwrap_err();
    let pass = gate.pass().unwrap();
    pass.get("k").await.unwrap();
    pass.ask(Question::Room("r".to_owned())).await.unwrap();
    pass.ask(Question::Participants("r".to_owned())).await.unwrap_err();
    let expect: Permissions = serde_json::from_value(json!({
        "http": [{
            "host": "api.example.com", "methods": ["GET", "POST"], "path_prefix": "/v1",
            "secrets": ["token"],
        }],
        "state": "ro", "livekit": ["get-room"],
    }))
    .unwrap();
    assert_eq!(learner.grant(), expect);
    let text = std::fs::read_to_string(file).unwrap();
    assert!(!text.contains("s3cr3t"), "{text}");
    // It is enough for the same again.
    assert_eq!(learner.grant().beyond(&expect), [""; 0]);
}
