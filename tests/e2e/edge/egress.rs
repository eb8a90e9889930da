//! The host's deliveries leave through Envoy, and the address guard holds all the same.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Result, ensure};
use livekit_webhook_core::attempt::{ErrorClass, Outcome};
use livekit_webhook_core::delivery::{DeadReason, State};
use livekit_webhook_tests::authority::{Authority, Server};
use livekit_webhook_tests::envoy::{Envoy, Setup};
use livekit_webhook_tests::exchange::{BOUND, event, post};
use livekit_webhook_tests::gateway::Gateway;
use livekit_webhook_tests::receiver::Receiver;

use crate::delivery::with_source;

fn egress() -> Result<Envoy> {
    // It stands in front of nobody.
    let nobody = SocketAddr::from(([127, 0, 0, 1], 9));
    Envoy::start(&Setup::default().file("egress.yaml"), nobody)
}

/// Waits until `holds`, looking again and again.
async fn until(what: &str, mut holds: impl FnMut() -> Result<bool>) -> Result<()> {
    let looking = async {
        while !holds()? {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(BOUND, looking).await.map_err(|_| anyhow::anyhow!("in vain: {what}"))?
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_goes_through_envoy_to_the_very_address_the_host_has_judged() -> Result<()> {
    let envoy = tokio::task::spawn_blocking(egress).await??;
    let receiver = Receiver::start().await?;
    let port = receiver.address().port();
    let proxy = envoy.listener();
    let setup = with_source()
        .deliver(&format!("allow = [\"127.0.0.1:*\", \"[::1]:*\"]\nproxy = \"http://{proxy}\""))
        // A name: the host resolves it, and asks Envoy for an address.
        .endpoint("one", &format!("http://localhost:{port}/hook"), "")
        .subscription("one", "");
    let gateway = Gateway::start(&setup, BOUND).await?;
    ensure!(post(gateway.address(), &event("room_started", "r", "EV_1")).await?.status == 200);
    until("it is delivered", || Ok(!receiver.seen().is_empty())).await?;
    drop(gateway);
    let target = format!(r#""target":"127.0.0.1:{port}""#);
    until("Envoy has logged the tunnel", || Ok(envoy.access_log().contains(&target))).await?;
    ensure!(!envoy.access_log().contains("localhost"), "{}", envoy.access_log());
    Ok(())
}

/// Envoy is asked for an address and carries bytes; who is at the other end is still judged by the
/// name in the endpoint's URL.
#[tokio::test(flavor = "multi_thread")]
async fn tls_runs_through_the_tunnel_from_the_host_to_the_endpoint() -> Result<()> {
    let envoy = tokio::task::spawn_blocking(egress).await??;
    let authority = Authority::new()?;
    let files = tempfile::tempdir()?;
    authority.write(files.path())?;
    let root = format!(
        "retry = [\"0s\"]\nca_file = {:?}",
        files.path().join("ca.pem").display().to_string()
    );
    let servers = [("one", Server::new("localhost")), ("imposter", Server::new("other.example"))];
    let mut setup = with_source().deliver(&format!(
        "allow = [\"127.0.0.1:*\", \"[::1]:*\"]\nproxy = \"http://{}\"",
        envoy.listener()
    ));
    let mut receivers = Vec::new();
    for (name, server) in servers {
        let receiver = Receiver::start_with_tls(authority.acceptor(&server)?).await?;
        let url = format!("https://localhost:{}/hook", receiver.address().port());
        setup = setup.endpoint(name, &url, &root).subscription(name, "");
        receivers.push(receiver);
    }
    let gateway = Gateway::start(&setup, BOUND).await?;
    ensure!(post(gateway.address(), &event("room_started", "r", "EV_1")).await?.status == 200);
    let ledger = gateway.ledger()?;
    let row = ledger.wait_ended("one", 1, BOUND).await?.remove(0);
    ensure!(row.state == State::Delivered, "{row:?}");
    let row = ledger.wait_ended("imposter", 1, BOUND).await?.remove(0);
    let attempt = ledger.attempts(&row).await?.remove(0);
    ensure!(attempt.outcome == Outcome::Failed(ErrorClass::Tls), "{attempt:?}");
    let seen: Vec<_> = receivers.iter().map(|receiver| receiver.seen().len()).collect();
    ensure!(seen == [1, 0], "{seen:?}");
    ensure!(envoy.stat("http.egress.downstream_rq_total")? == 2);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_not_be_dialled_is_not_asked_of_the_proxy_either() -> Result<()> {
    let envoy = tokio::task::spawn_blocking(egress).await??;
    let receiver = Receiver::start().await?;
    let port = receiver.address().port();
    let setup = with_source()
        .deliver(&format!(
            "allow = [\"192.0.2.1:{port}\"]\nproxy = \"http://{}\"",
            envoy.listener()
        ))
        .endpoint("one", &format!("http://localhost:{port}/"), "")
        .subscription("one", "");
    let gateway = Gateway::start(&setup, BOUND).await?;
    ensure!(post(gateway.address(), &event("room_started", "r", "EV_1")).await?.status == 200);
    let (row, reason) = gateway.ledger()?.wait_dead("one", BOUND).await?;
    ensure!((reason, row.attempts) == (DeadReason::AddressRefused, 1), "{row:?}");
    ensure!(receiver.connections() == 0 && envoy.stat("http.egress.downstream_rq_total")? == 0);
    Ok(())
}

#[test]
fn the_proxy_itself_takes_addresses_only() -> Result<()> {
    let envoy = egress()?;
    for request in [
        "CONNECT localhost:443 HTTP/1.1\r\nhost: localhost:443\r\n\r\n",
        "CONNECT 127.0.0.1.example:443 HTTP/1.1\r\nhost: 127.0.0.1.example:443\r\n\r\n",
        "GET http://127.0.0.1:9/ HTTP/1.1\r\nhost: 127.0.0.1:9\r\n\r\n",
    ] {
        let mut stream = TcpStream::connect(envoy.listener())?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        stream.write_all(request.as_bytes())?;
        let mut answer = [0; 64];
        let read = stream.read(&mut answer)?;
        let answer = String::from_utf8_lossy(&answer[..read]).into_owned();
        ensure!(
            answer.starts_with("HTTP/1.1 403 ") || answer.starts_with("HTTP/1.1 404 "),
            "{request}: {answer}"
        );
    }
    ensure!(envoy.stat("cluster.endpoints.upstream_cx_total")? == 0);
    Ok(())
}
