//! A real component, the gate and real sockets together.

use super::*;
use crate::plugin::engine::Engine;
use crate::plugin::gate::Secret;
use crate::plugin::limits::{self, Limits};
use crate::plugin::outside::Outside;
use crate::plugin::registry::{OnError, Options, Plugin};
use crate::plugin::tests::asking;
use crate::plugin::{Input, Output};
use serde_json::json;

/// What `evil-io` tells of one request to `host` at the peer's port, with one secret.
async fn told(peer: &Peer, host: &str, resolver: Arc<Names>, limits: Limits) -> String {
    let port = peer.address.port();
    let grant = json!({ "http": [
        { "scheme": "http", "host": "127.0.0.1", "port": port, "secrets": ["token"] },
        { "scheme": "http", "host": "peer.example", "port": port, "secrets": ["token"] },
        { "scheme": "http", "host": "169.254.169.254", "port": port },
    ] });
    let config = json!({
        "method": "GET",
        "url": format!("http://{host}:{port}/?token={{token}}"),
        "headers": [["authorization", "Bearer {token}"]],
    });
    let options = Options {
        config: config.to_string().into(),
        limits,
        on_error: Some(OnError::Fail),
        grant: serde_json::from_value(grant).unwrap(),
        secrets: [("token".to_owned(), Secret::new(b"s3cr3t"))].into(),
        outside: Some(Outside::http(fetch_to(port, resolver))),
        ..Options::default()
    };
    let engine = Engine::on_demand().unwrap();
    let wasm = asking("evil-io", &options.grant);
    let plugin = Plugin::load(&engine, "evil-io", wasm, options).await.unwrap();
    let room = Some("evil:send".to_owned());
    let input = Input { id: "ev_1".to_owned(), room_name: room, ..Input::default() };
    let outputs = plugin.call(input).await.unwrap();
    match outputs.as_slice() {
        [Output::Accept(true), Output::Attributes(told), Output::Done(_)] => told[0].1.clone(),
        other => panic!("{other:?}"),
    }
}

fn generous() -> Limits {
    let limits = Limits::default().with(limits::CPU_IO_MS, limits::CPU_IO_MS.cap).unwrap();
    let limits = limits.with(limits::CPU_INIT_MS, limits::CPU_INIT_MS.cap).unwrap();
    limits.with(limits::WALL_IO_MS, limits::WALL_IO_MS.cap).unwrap()
}

#[tokio::test]
async fn a_plugin_reaches_what_it_is_granted_with_a_secret_it_never_sees() {
    let peer = says(answer("x-echo: Bearer s3cr3t\r\n", b"you sent s3cr3t")).await;
    let told = told(&peer, "127.0.0.1", names(&[]), generous()).await;
    assert!(told.starts_with("200 "), "{told}");
    assert!(told.contains("you sent secret-") && !told.contains("s3cr3t"), "{told}");
    let head = peer.requests.lock().unwrap()[0].clone();
    assert!(head.starts_with("GET /?token=s3cr3t HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("authorization: Bearer s3cr3t\r\n"), "{head}");
    assert!(head.contains("livekit-webhook-hop: 1\r\n"), "{head}");
}

#[tokio::test]
async fn a_grant_does_not_lift_the_address_policy() {
    let peer = says(answer("", b"ok")).await;
    let named = names(&[&["169.254.169.254"]]);
    for told in [
        told(&peer, "peer.example", named, generous()).await,
        told(&peer, "169.254.169.254", names(&[]), generous()).await,
    ] {
        assert!(told.starts_with("denied: "), "{told}");
    }
    assert_eq!(peer.accepted.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_peer_that_never_answers_costs_a_call_its_deadline_and_no_more() {
    let silent = peer(|mut stream| async move { while stream.read_u8().await.is_ok() {} }).await;
    let limits = generous().with(limits::WALL_IO_MS, 2000).unwrap();
    let told = told(&silent, "127.0.0.1", names(&[]), limits).await;
    assert!(told.starts_with("timed-out: "), "{told}");
}
