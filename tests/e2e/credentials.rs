//! Stories of endpoints that want to know who asks.

use super::delivery::with_source;
use anyhow::{Result, ensure};
use livekit_webhook_core::attempt::{ErrorClass, Outcome};
use livekit_webhook_core::delivery::State;
use livekit_webhook_tests::authority::{Authority, Server};
use livekit_webhook_tests::exchange::{BOUND, event, post};
use livekit_webhook_tests::gateway::{self, Gateway};
use livekit_webhook_tests::receiver::{Answer, Receiver};

fn token(name: &str) -> Result<Answer> {
    let body = format!(r#"{{"access_token":"{name}","token_type":"Bearer","expires_in":3600}}"#);
    Ok(Answer::status(200)?.with_body(body))
}

fn oauth(token_url: &str) -> String {
    format!(
        "auth = {{ oauth2 = {{ token_url = \"{token_url}\", client_id = \"gateway\", \
         secret_env = \"CLIENT_SECRET\", scope = \"send\" }} }}"
    )
}

#[tokio::test]
async fn a_token_is_fetched_once_shown_and_replaced_when_it_is_refused() -> Result<()> {
    let (receiver, issuer) = (Receiver::start().await?, Receiver::start().await?);
    issuer.script([token("first")?, token("second")?]);
    let strict = format!(
        "{}\nretry = [\"0s\", \"1s\"]\nclient_errors = \"final\"",
        oauth(&issuer.url("/token"))
    );
    let setup = with_source()
        .variable("CLIENT_SECRET", "hush-hush")
        .endpoint("one", &receiver.url("/"), &strict)
        .subscription("one", "");
    let gateway = Gateway::start(&setup, BOUND).await?;
    for number in 0..5 {
        let body = event("room_started", "r", &format!("EV_{number}"));
        ensure!(post(gateway.address(), &body).await?.status == 200);
    }
    let ledger = gateway.ledger()?;
    ledger.wait_ended("one", 5, BOUND).await?;
    for seen in receiver.seen() {
        ensure!(seen.header("authorization")? == "Bearer first", "{seen:?}");
    }
    ensure!(issuer.seen().len() == 1, "it is asked once: {:?}", issuer.seen());
    let asked = issuer.seen().remove(0);
    ensure!(asked.body == "grant_type=client_credentials&scope=send", "{asked:?}");
    ensure!(asked.header("authorization")? == "Basic Z2F0ZXdheTpodXNoLWh1c2g=", "{asked:?}");

    // Revoked: the 401 costs an attempt and not the delivery, though a 4xx is final here.
    receiver.script([Answer::status(401)?]);
    ensure!(post(gateway.address(), &event("room_started", "r", "EV_9")).await?.status == 200);
    let rows = ledger.wait_ended("one", 6, BOUND).await?;
    ensure!(rows[0].state == State::Delivered && rows[0].attempts == 2, "{rows:?}");
    let seen = receiver.seen();
    ensure!(seen[6].header("authorization")? == "Bearer second", "{seen:?}");
    ensure!(issuer.seen().len() == 2);
    ensure!(!gateway.log().join("\n").contains("hush"), "a secret is in the log");
    Ok(())
}

#[tokio::test]
async fn without_a_token_nothing_is_sent_and_the_attempt_says_why() -> Result<()> {
    let (receiver, issuer) = (Receiver::start().await?, Receiver::start().await?);
    let refusal = r#"{"error":"invalid_client"}"#;
    issuer.script([Answer::status(401)?.with_body(refusal), token("late")?]);
    let retry =
        format!("{}\nretry = [\"0s\", \"1s\", \"1s\"]", oauth(&issuer.url("/token?tenant=a")));
    let setup = with_source()
        .variable("CLIENT_SECRET", "hush-hush")
        .endpoint("one", &receiver.url("/"), &retry)
        .subscription("one", "");
    let gateway = Gateway::start(&setup, BOUND).await?;
    ensure!(post(gateway.address(), &event("room_started", "r", "EV_1")).await?.status == 200);
    let ledger = gateway.ledger()?;
    let row = ledger.wait_ended("one", 1, BOUND).await?.remove(0);
    ensure!(row.state == State::Delivered, "{row:?}");
    let first = ledger.attempts(&row).await?.remove(0);
    ensure!(first.outcome == Outcome::Failed(ErrorClass::Auth), "{first:?}");
    let words = format!("no token from {}: status 401 (invalid_client)", issuer.address());
    ensure!(first.error.as_deref() == Some(&*words), "{first:?}");
    ensure!(receiver.seen().len() == 1, "only what had a token was sent");
    Ok(())
}

#[tokio::test]
async fn a_client_certificate_and_a_private_root_belong_to_their_endpoint() -> Result<()> {
    let authority = Authority::new()?;
    let files = tempfile::tempdir()?;
    authority.write(files.path())?;
    let file = |name: &str| files.path().join(name).display().to_string();
    let server = Server { wants_client: true, ..Server::new("127.0.0.1") };
    let receiver = Receiver::start_with_tls(authority.acceptor(&server)?).await?;
    let root = format!("retry = [\"0s\"]\nca_file = {:?}", file("ca.pem"));
    let shown = format!(
        "{root}\nclient_certificate_file = {:?}\nclient_key_file = {:?}",
        file("client.pem"),
        file("client.key")
    );
    let url = receiver.url("/");
    let setup = with_source()
        .endpoint("shown", &url, &shown)
        .endpoint("unshown", &url, &root)
        .endpoint("stranger", &url, "retry = [\"0s\"]")
        .subscription("shown", "")
        .subscription("unshown", "")
        .subscription("stranger", "");
    let gateway = Gateway::start(&setup, BOUND).await?;
    let ledger = gateway.ledger()?;
    // The second event finds the first one's connection in its pool.
    for number in 1..=2 {
        let body = event("room_started", "r", &format!("EV_{number}"));
        ensure!(post(gateway.address(), &body).await?.status == 200);
        let rows = ledger.wait_ended("shown", number, BOUND).await?;
        ensure!(rows.iter().all(|row| row.state == State::Delivered), "{rows:?}");
        for name in ["unshown", "stranger"] {
            for row in ledger.wait_ended(name, number, BOUND).await? {
                let attempt = ledger.attempts(&row).await?.remove(0);
                ensure!(attempt.outcome == Outcome::Failed(ErrorClass::Tls), "{name}: {attempt:?}");
            }
        }
    }
    ensure!(receiver.seen().len() == 2);
    Ok(())
}

#[tokio::test]
async fn headers_are_sent_and_neither_printed_nor_kept_when_they_are_secret() -> Result<()> {
    let receiver = Receiver::start().await?;
    let more = "headers = { x-tenant = \"blue\", x-key = { secret_env = \"CLIENT_SECRET\" } }\n\
                auth = { bearer = { secret_env = \"CLIENT_SECRET\" } }";
    let setup = with_source()
        .variable("CLIENT_SECRET", "hush-hush")
        .endpoint("one", &receiver.url("/"), more)
        .subscription("one", "");
    let gateway = Gateway::start(&setup, BOUND).await?;
    ensure!(post(gateway.address(), &event("room_started", "r", "EV_1")).await?.status == 200);
    let seen = receiver.wait_for(1, BOUND).await?.remove(0);
    ensure!(seen.header("x-tenant")? == "blue" && seen.header("x-key")? == "hush-hush");
    ensure!(seen.header("authorization")? == "Bearer hush-hush");
    ensure!(seen.header("traceparent")?.len() == 55, "{seen:?}");
    let arguments = ["check", "--config", "gateway.toml", "--dump"];
    let dump = gateway::run(gateway.folder(), &arguments, setup.environment(), BOUND).await?;
    ensure!(dump.code == Some(0) && !dump.stdout.contains("hush"), "{dump:?}");
    ensure!(dump.stdout.contains("\"x-key\" = { secret = \"[redacted]\" }"), "{dump:?}");
    gateway.ledger()?.wait_ended("one", 1, BOUND).await?;
    let database = std::fs::read(setup.database_in(gateway.folder()))?;
    let log = std::fs::read(setup.database_in(gateway.folder()).with_extension("db-wal"))?;
    let kept = [database, log].concat();
    ensure!(!kept.windows(9).any(|bytes| bytes == b"hush-hush"), "a secret is in the store");
    Ok(())
}
