//! The servers themselves: what a story relies on.

use anyhow::{Result, ensure};
use livekit_webhook_tests::postgres::{Client, Pair, Postgres, Setup, USER};
use std::path::PathBuf;

#[tokio::test]
async fn databases_of_one_server_are_apart_and_go() -> Result<()> {
    let server = Postgres::shared().await?;
    let (first, second) = (server.database().await?, server.database().await?);
    first.client().await?.batch("CREATE TABLE here (number INT)").await?;
    let tables = "SELECT count(*) FROM pg_tables WHERE tablename = 'here'";
    ensure!(first.client().await?.value::<i64>(tables).await? == 1);
    ensure!(second.client().await?.value::<i64>(tables).await? == 0);
    let name = first.name().to_owned();
    drop(first);
    let left = format!("SELECT count(*) FROM pg_database WHERE datname = '{name}'");
    ensure!(second.client().await?.value::<i64>(&left).await? == 0);
    let by_socket = Client::connect(&server.socket_url(second.name())).await?;
    ensure!(by_socket.value::<String>("SHOW fsync").await? == "on");
    Ok(())
}

#[tokio::test]
async fn what_was_committed_is_there_after_every_kind_of_end() -> Result<()> {
    let mut server = Postgres::start(&Setup::default()).await?;
    let url = server.url(USER);
    Client::connect(&url).await?.batch("CREATE TABLE kept (number INT)").await?;
    for number in 0..4 {
        let client = Client::connect(&url).await?;
        client.batch(&format!("INSERT INTO kept VALUES ({number})")).await?;
        if number % 2 == 0 {
            server.kill_9().await?;
        } else {
            server.stop().await?;
        }
        ensure!(client.batch("SELECT 1").await.is_err(), "it answers after its end");
        ensure!(Client::connect(&url).await.is_err(), "it takes connections after its end");
        server.restart().await?;
    }
    let kept = Client::connect(&url).await?.value::<i64>("SELECT count(*) FROM kept").await?;
    ensure!(kept == 4, "{kept} of 4");
    Ok(())
}

#[tokio::test]
async fn a_standby_has_what_the_killed_primary_had_acknowledged() -> Result<()> {
    let mut pair = Pair::start().await?;
    let primary = Client::connect(&pair.primary.url(USER)).await?;
    primary.batch("CREATE TABLE kept (number INT); INSERT INTO kept VALUES (1)").await?;
    let standby = Client::connect(&pair.standby.url(USER)).await?;
    ensure!(standby.batch("INSERT INTO kept VALUES (2)").await.is_err(), "a standby that writes");
    pair.primary.kill_9().await?;
    pair.promote().await?;
    // The same connection: a promotion cuts none.
    standby.batch("INSERT INTO kept VALUES (2)").await?;
    ensure!(standby.value::<i64>("SELECT count(*) FROM kept").await? == 2);
    let leader = Client::connect(&pair.url(USER)).await?;
    ensure!(leader.value::<i64>("SELECT count(*) FROM kept").await? == 2);
    Ok(())
}

#[tokio::test]
async fn nothing_of_a_server_is_left() -> Result<()> {
    let server = Postgres::start(&Setup::default().setting("shared_buffers=16MB")).await?;
    let client = Client::connect(&server.url(USER)).await?;
    ensure!(client.value::<String>("SHOW shared_buffers").await? == "16MB");
    let folder: PathBuf = client.value::<String>("SHOW data_directory").await?.into();
    let id: i32 = client.value("SELECT pg_backend_pid()").await?;
    ensure!(folder.is_dir() && PathBuf::from(format!("/proc/{id}")).is_dir());
    drop(server);
    ensure!(!folder.exists(), "{} is left", folder.display());
    ensure!(!PathBuf::from(format!("/proc/{id}")).exists(), "its process is left");
    Ok(())
}

#[tokio::test]
async fn a_server_may_offer_tls_with_an_authority_of_its_own() -> Result<()> {
    let server = Postgres::start(&Setup::default().tls()).await?;
    let client = Client::connect(&server.url(USER)).await?;
    ensure!(client.value::<String>("SHOW ssl").await? == "on");
    ensure!(std::fs::read_to_string(server.authority())?.contains("BEGIN CERTIFICATE"));
    Ok(())
}
