//! Stories of a host that is told to stop: it finishes what it began, and what it leaves is done at
//! the next start.

use super::delivery::with_source;
use anyhow::{Context as _, Result, ensure};
use livekit_webhook_core::delivery::State;
use livekit_webhook_tests::exchange::{BOUND, Reply, event, post, token};
use livekit_webhook_tests::gateway::Gateway;
use livekit_webhook_tests::gateway::setup::DATABASE;
use livekit_webhook_tests::livekit::raw;
use livekit_webhook_tests::receiver::{Answer, Receiver};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// The log says this constant text.
async fn wait_says(gateway: &Gateway, text: &str) -> Result<()> {
    let line = format!(r#""message":"{text}""#);
    gateway.wait_log(BOUND, |own| own.contains(&line).then_some(())).await
}

/// Waits until nobody takes connections there.
async fn wait_refused(address: SocketAddr) -> Result<()> {
    let refused = async {
        while TcpStream::connect(address).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(BOUND, refused).await.context("it still takes connections")
}

#[tokio::test]
async fn what_is_under_way_is_finished() -> Result<()> {
    let receiver = Receiver::start().await?;
    let held = receiver.hold();
    let setup = with_source()
        .endpoint("all", &receiver.url("/"), r#"retry = ["0s", "1s"]"#)
        .subscription("all", "");
    let mut gateway = Gateway::start(&setup, BOUND).await?;
    // An attempt that waits for its answer, and a request of which half has come.
    ensure!(post(gateway.address(), &event("room_started", "r", "EV_sent")).await?.status == 200);
    receiver.wait_for(1, BOUND).await?;
    let late = event("room_started", "r", "EV_late");
    let authorization = token(&late);
    let request = raw::request("/webhook", &[("Authorization", &authorization)], late.as_bytes());
    let (first, rest) = request.split_at(request.len() - 10);
    let mut socket = TcpStream::connect(gateway.address()).await?;
    socket.write_all(first).await?;
    // Connections on which nothing is under way, new and used ones, hold nobody up.
    let silent = TcpStream::connect(gateway.address()).await?;
    let mut used = TcpStream::connect(gateway.address()).await?;
    used.write_all(b"GET /webhook HTTP/1.1\r\nHost: g\r\n\r\n").await?;
    ensure!(used.read(&mut [0; 4_096]).await? > 0, "no answer");
    gateway.wait_metric("attempts_in_flight", 1.0, BOUND).await?;

    gateway.ask_to_stop().await?;
    wait_says(&gateway, "stopping").await?;
    wait_refused(gateway.address()).await?;
    socket.write_all(rest).await?;
    let mut answer = Vec::new();
    timeout(BOUND, socket.read_to_end(&mut answer)).await??;
    let reply = Reply::parse(&answer)?;
    ensure!(reply.status == 200, "{reply:?}");
    held.release();
    let status = gateway.wait_end(BOUND).await?;
    ensure!(status.code() == Some(0), "{status:?}\n{:#?}", gateway.log());
    ensure!(gateway.log().iter().any(|line| line.contains(r#""message":"stopped""#)));
    let left = gateway.log().into_iter().find(|line| line.contains("connections left open"));
    ensure!(left.is_none(), "{left:?}");
    drop((silent, used));
    // A closed store has written its log back into the file.
    let log = std::fs::metadata(gateway.folder().join(format!("{DATABASE}-wal")));
    ensure!(log.map_or(0, |log| log.len()) == 0, "the store was not closed");
    let rows = gateway.ledger()?.deliveries("all").await?;
    let sent = rows.iter().find(|row| row.state == State::Delivered && row.attempts == 1);
    ensure!(sent.is_some(), "the attempt was not recorded: {rows:#?}");

    gateway.start_again(BOUND).await?;
    gateway.ledger()?.wait_ended("all", 2, BOUND).await?;
    let bodies: Vec<_> = receiver.seen().into_iter().map(|seen| seen.body).collect();
    ensure!(bodies.len() == 2 && bodies[1] == late, "{bodies:?}");
    Ok(())
}

#[tokio::test]
async fn an_attempt_that_outlasts_the_grace_is_made_again() -> Result<()> {
    let receiver = Receiver::start().await?;
    receiver.script([Answer::Never]);
    let setup = with_source()
        .deliver("allow = [\"127.0.0.1:*\"]\ngrace_ms = 100")
        .endpoint("all", &receiver.url("/"), "")
        .subscription("all", "");
    let mut gateway = Gateway::start(&setup, BOUND).await?;
    ensure!(post(gateway.address(), &event("room_started", "r", "EV_1")).await?.status == 200);
    receiver.wait_for(1, BOUND).await?;
    let status = gateway.terminate(BOUND).await?;
    ensure!(status.code() == Some(0), "{status:?}");
    ensure!(gateway.log().iter().any(|line| line.contains("attempts cut off")));
    gateway.start_again(BOUND).await?;
    let seen = receiver.wait_for(2, BOUND).await?;
    ensure!(seen[0].header("webhook-id")? == seen[1].header("webhook-id")?);
    ensure!(gateway.ledger()?.wait_ended("all", 1, BOUND).await?[0].state == State::Delivered);
    Ok(())
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once_and_loses_nothing() -> Result<()> {
    let receiver = Receiver::start().await?;
    receiver.script([Answer::Never]);
    // A grace and a deadline that are far longer than this story waits.
    let setup = with_source()
        .deliver("allow = [\"127.0.0.1:*\"]\ngrace_ms = 600000")
        .endpoint("all", &receiver.url("/"), "attempt_timeout_ms = 120000")
        .subscription("all", "");
    let mut gateway = Gateway::start(&setup, BOUND).await?;
    ensure!(post(gateway.address(), &event("room_started", "r", "EV_1")).await?.status == 200);
    receiver.wait_for(1, BOUND).await?;
    gateway.ask_to_stop().await?;
    wait_says(&gateway, "stopping").await?;
    ensure!(gateway.terminate(BOUND).await?.code() == Some(1), "cut off is not a clean end");
    gateway.start_again(BOUND).await?;
    receiver.wait_for(2, BOUND).await?;
    ensure!(gateway.ledger()?.wait_ended("all", 1, BOUND).await?[0].state == State::Delivered);
    Ok(())
}
