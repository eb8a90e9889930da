//! Stories of endpoints that lead where a delivery must not go.
//!
//! The real binary asks the machine's own resolver: of names, only `localhost` is used, which every
//! machine resolves to itself. Names that lie are the transport's own tests.

use super::delivery::with_source;
use anyhow::{Result, ensure};
use livekit_webhook_core::attempt::{ErrorClass, Outcome};
use livekit_webhook_core::delivery::DeadReason;
use livekit_webhook_tests::exchange::{API_KEY, BOUND, SECRET, event, post};
use livekit_webhook_tests::gateway::setup::component;
use livekit_webhook_tests::gateway::{self, Gateway, Setup};
use livekit_webhook_tests::livekit::api::{Api, Known};
use livekit_webhook_tests::receiver::Receiver;

#[tokio::test]
async fn an_address_that_is_not_allowed_is_refused_before_the_start() -> Result<()> {
    let allow_nothing = "";
    let allow_one = r#"allow = ["127.0.0.1:9000"]"#;
    for (allow, url, words) in [
        (allow_nothing, "https://127.0.0.1:8443/", "127.0.0.1 is in 127.0.0.0/8"),
        (allow_nothing, "https://10.0.0.1/", "10.0.0.1 is in 10.0.0.0/8"),
        (allow_nothing, "https://169.254.169.254/latest/", "169.254.169.254 is in 169.254.0.0/16"),
        (allow_nothing, "https://[::1]/", "::1 is in ::/8"),
        (allow_nothing, "https://[::ffff:127.0.0.1]/", "127.0.0"),
        (allow_nothing, "https://localhost/", "the host name localhost is local"),
        (allow_nothing, "https://db.internal/", "the host name db.internal is local"),
        (allow_nothing, "http://billing.example.com/", "plain http is not allowed"),
        (allow_nothing, "http://billing.example.com/", "[deliver] allow can make an exception"),
        (allow_nothing, "http://billing.example.com/", "plain_http = true"),
        (allow_nothing, "https://billing.example.com:6379/", "port 6379 is not allowed"),
        (allow_nothing, "https://2130706433/", "write an address as four decimal numbers"),
        (allow_nothing, "https://user:word@billing.example.com/", "no user name"),
        (allow_one, "http://127.0.0.1:9001/", "plain http is not allowed"),
        (allow_one, "https://127.0.0.1:9001/", "127.0.0.1 is in 127.0.0.0/8"),
        (allow_one, "http://127.0.0.2:9000/", "plain http is not allowed"),
    ] {
        let folder = tempfile::tempdir()?;
        let setup = with_source().deliver(allow).endpoint("one", url, "");
        std::fs::write(folder.path().join("gateway.toml"), setup.to_toml())?;
        for verb in ["check", "serve"] {
            let arguments = [verb, "--config", "gateway.toml"];
            let environment = setup.environment();
            let ended = gateway::run(folder.path(), &arguments, environment, BOUND).await?;
            ensure!(ended.code == Some(64), "{verb} {url}: {ended:?}");
            ensure!(ended.stderr.contains("endpoint[0].url: "), "{verb} {url}: {ended:?}");
            ensure!(ended.stderr.contains(words), "{verb} {url}: {ended:?}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_name_that_leads_to_a_forbidden_address_is_never_dialled() -> Result<()> {
    let receiver = Receiver::start().await?;
    let port = receiver.address().port();
    // The port has an exception for another address, so the name passes the check and is resolved
    // at every attempt.
    let setup = with_source()
        .deliver(&format!("allow = [\"192.0.2.1:{port}\"]"))
        .endpoint("one", &format!("http://localhost:{port}/"), "")
        .subscription("one", "");
    let gateway = Gateway::start(&setup, BOUND).await?;
    ensure!(post(gateway.address(), &event("room_started", "r", "EV_1")).await?.status == 200);
    let ledger = gateway.ledger()?;
    let (row, reason) = ledger.wait_dead("one", BOUND).await?;
    ensure!((reason, row.attempts) == (DeadReason::AddressRefused, 1), "{row:?}");
    let attempt = ledger.attempts(&row).await?.remove(0);
    ensure!(attempt.outcome == Outcome::Failed(ErrorClass::AddressRefused), "{attempt:?}");
    let words = attempt.error.unwrap_or_default();
    ensure!(words.contains("the address may not be dialled"), "{words}");
    ensure!(receiver.connections() == 0, "a connection was opened");
    Ok(())
}

#[tokio::test]
async fn a_name_with_an_exception_for_its_address_is_dialled() -> Result<()> {
    let receiver = Receiver::start().await?;
    let port = receiver.address().port();
    // Machines differ in whether `localhost` has an IPv6 address, too.
    let setup = with_source()
        .deliver(&format!("allow = [\"127.0.0.1:{port}\", \"[::1]:{port}\"]"))
        .endpoint("one", &format!("http://localhost:{port}/"), "")
        .subscription("one", "");
    let gateway = Gateway::start(&setup, BOUND).await?;
    ensure!(post(gateway.address(), &event("room_started", "r", "EV_1")).await?.status == 200);
    let seen = receiver.wait_for(1, BOUND).await?;
    ensure!(seen[0].header("host")? == format!("localhost:{port}"), "{seen:?}");
    Ok(())
}

#[tokio::test]
async fn a_proxy_that_the_environment_names_is_not_used() -> Result<()> {
    let (receiver, proxy) = (Receiver::start().await?, Receiver::start().await?);
    let api = Api::start(API_KEY, SECRET, Known::default()).await?;
    let mut setup = Setup::new()
        .source("prod", API_KEY, SECRET, &format!("server = {:?}", api.url()))
        .plugin(
            "asks",
            &component("evil-io")?,
            "on_error = \"fail\"\n\
             grant = { livekit = [\"get-room\", \"list-participants\", \"get-participant\"] }\n\
             limits = { cpu_pure_ms = 500, wall_pure_ms = 5000 }",
        )
        .endpoint("one", &receiver.url("/"), "")
        .subscription("one", "plugins = [\"asks\"]");
    for name in ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]
    {
        setup = setup.variable(name, &proxy.url("/"));
    }
    let gateway = Gateway::start(&setup, BOUND).await?;
    let body = event("room_started", "evil:livekit", "EV_1");
    ensure!(post(gateway.address(), &body).await?.status == 200);
    receiver.wait_for(1, BOUND).await?;
    ensure!(!api.asked().is_empty(), "the plugin asked nobody");
    ensure!(proxy.connections() == 0, "a connection went through the environment's proxy");
    Ok(())
}
