//! Stories of moving: to a file and back, from SQLite to PostgreSQL, to another file.

use super::*;
use livekit_webhook_tests::postgres::Postgres;
use std::path::Path;

/// A store with delivered events, dead letters and something in quarantine, whose host has stopped.
async fn a_full_store() -> Result<(Gateway, Receiver)> {
    let receiver = Receiver::start().await?;
    receiver.script([Answer::status(500)?, Answer::status(500)?]);
    let mut gateway = gateway_to(&receiver, ONCE).await?;
    send(&gateway, 0..6).await?;
    gateway.ledger()?.wait_ended("one", 6, BOUND).await?;
    ensure!(gateway.terminate(BOUND).await?.success());
    Ok((gateway, receiver))
}

async fn run(folder: &Path, arguments: &[&str]) -> Result<Value> {
    let arguments = [arguments, &["--json"]].concat();
    let ended = gateway::run(folder, &arguments, &[], BOUND).await?;
    ensure!(ended.code == Some(0), "{arguments:?}: {ended:?}");
    serde_json::from_str(&ended.stdout).with_context(|| format!("{arguments:?}: {ended:?}"))
}

/// Everything that an export says, without its first line, which has a time.
async fn rows(folder: &Path, store: &str, name: &str) -> Result<Vec<String>> {
    run(folder, &["store", "export", name, "--store", store]).await?;
    let text = std::fs::read_to_string(folder.join(name))?;
    let mut lines: Vec<String> = text.lines().skip(1).map(str::to_owned).collect();
    lines.sort();
    Ok(lines)
}

const OLD: &str = "sqlite:livekit-webhook.db";

#[tokio::test]
async fn a_store_moves_from_sqlite_to_postgres_and_back_and_loses_nothing() -> Result<()> {
    let (gateway, _receiver) = a_full_store().await?;
    let folder = gateway.folder();
    let server = Postgres::shared().await?;
    let database = server.database().await?;
    let url = database.url();
    let moved = run(folder, &["store", "import", "--from", OLD, "--store", url]).await?;
    ensure!(moved["read"]["events"] == 6 && moved["target"]["events"] == 6, "{moved}");
    ensure!(moved["read"] == moved["target"], "{moved}");
    ensure!(moved["read"]["attempts"] == 6 && moved["new"] != 0, "{moved}");
    // Once more, as after an interruption: nothing is new, nothing is lost.
    let again = run(folder, &["store", "import", "--from", OLD, "--store", url]).await?;
    ensure!(again["new"] == 0 && again["target"] == moved["target"], "{again}");
    let before = rows(folder, OLD, "old.jsonl").await?;
    ensure!(before == rows(folder, url, "shared.jsonl").await?, "rows have changed on the way");
    run(folder, &["store", "import", "--from", url, "--store", "sqlite:new.db"]).await?;
    ensure!(before == rows(folder, "sqlite:new.db", "new.jsonl").await?);
    for store in [OLD, url, "sqlite:new.db"] {
        let checked = run(folder, &["store", "check", "--store", store]).await?;
        ensure!(checked["is_well"] == true, "{store}: {checked}");
    }
    Ok(())
}

#[tokio::test]
async fn an_export_is_read_into_another_file_and_served_from() -> Result<()> {
    let (gateway, receiver) = a_full_store().await?;
    let folder = gateway.folder();
    let counts = run(folder, &["store", "export", "all.jsonl", "--store", OLD]).await?;
    ensure!(counts["events"] == 6 && counts["deliveries"] == 6, "{counts}");
    let taken = ["store", "export", "all.jsonl", "--store", OLD];
    let refused = gateway::run(folder, &taken, &[], BOUND).await?;
    ensure!(refused.code == Some(1) && refused.stderr.contains("cannot create all.jsonl"));
    let read = run(folder, &["store", "import", "all.jsonl", "--store", "sqlite:two.db"]).await?;
    ensure!(read["read"] == counts, "{read}");
    let sized = run(folder, &["store", "vacuum", "--store", "sqlite:two.db"]).await?;
    ensure!(sized["size_bytes"].as_u64() > Some(0), "{sized}");
    // A host takes it up as if it had been its own: the dead letters are sent again.
    let setup = gateway.setup().clone().database(Path::new("two.db"));
    let other = apart(&setup)?;
    std::fs::copy(folder.join("two.db"), other.path().join("two.db"))?;
    let moved = Gateway::start_in(other, &setup, BOUND).await?;
    let before = receiver.seen().len();
    one(&moved, &["replay", "--status", "dead", "--endpoint", "one"]).await?;
    receiver.wait_for(before + 2, BOUND).await?;
    Ok(())
}

#[tokio::test]
async fn a_source_that_a_host_serves_from_is_refused() -> Result<()> {
    let receiver = Receiver::start().await?;
    let gateway = gateway_to(&receiver, "").await?;
    let import = ["store", "import", "--from", OLD, "--store", "sqlite:new.db"];
    let refused = gateway::run(gateway.folder(), &import, &[], BOUND).await?;
    ensure!(refused.code == Some(1), "{refused:?}");
    let words = "a host serves from sqlite:livekit-webhook.db: stop it first";
    ensure!(refused.stderr.contains(words), "{refused:?}");
    let same = ["store", "import", "--from", "sqlite:a.db", "--store", "sqlite:a.db"];
    let refused = gateway::run(gateway.folder(), &same, &[], BOUND).await?;
    ensure!(refused.stderr.contains("are the same"), "{refused:?}");
    Ok(())
}
