//! Stories of configurations that are wrong: what an operator reads, and with which code the
//! command ends.

use super::delivery::with_source;
use anyhow::{Result, ensure};
use livekit_webhook_tests::exchange::BOUND;
use livekit_webhook_tests::gateway::{self, Ended};
use tempfile::TempDir;

/// Runs `verb` on this configuration.
async fn with_file(verb: &str, toml: &str) -> Result<Ended> {
    let folder = TempDir::new()?;
    std::fs::write(folder.path().join("gateway.toml"), toml)?;
    let ended =
        gateway::run(folder.path(), &[verb, "--config", "gateway.toml"], &[], BOUND).await?;
    let left: Vec<_> = std::fs::read_dir(folder.path())?.collect();
    ensure!(left.len() == 1, "{verb} left something behind: {left:?}");
    Ok(ended)
}

const FIVE_MISTAKES: &str = r#"
[ingest]
body_timeout_ms = 0

[[source]]
name = "prod"
keys = [{ api_key = "APIabc", secret_env = "NOT_SET_ANYWHERE" }]

[[endpoint]]
name = "billing"
url = "ftp://billing.example.com/"
retri = ["0s"]
secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

[[subscription]]
endpoint = "biling"
"#;

#[tokio::test]
async fn five_mistakes_are_told_at_once_with_their_keys() -> Result<()> {
    for verb in ["check", "serve"] {
        let ended = with_file(verb, FIVE_MISTAKES).await?;
        ensure!(ended.code == Some(64) && ended.stdout.is_empty(), "{verb}: {ended:?}");
        let said = &ended.stderr;
        ensure!(said.contains("gateway.toml: 5 problems"), "{verb}: {said}");
        for line in [
            "ingest.body_timeout_ms = 0: must be 1 to 120000",
            "source[0].keys[0].secret_env: the variable NOT_SET_ANYWHERE is not set",
            "endpoint[0].url: expected a URL that begins with https://",
            "endpoint[0].retri: is not known, did you mean `retry`?",
            r#"subscription[0].endpoint: "biling" is not configured; there is: billing"#,
        ] {
            ensure!(said.lines().any(|own| own.trim() == line), "{line:?} is not in\n{said}");
        }
        ensure!(!said.contains("whsec_"), "a secret is printed: {said}");
    }
    Ok(())
}

#[tokio::test]
async fn what_is_not_toml_is_told_with_its_line() -> Result<()> {
    let ended = with_file("check", "[ingest]\nlisten = 127.0.0.1\n").await?;
    ensure!(ended.code == Some(64), "{ended:?}");
    ensure!(ended.stderr.contains("not TOML") && ended.stderr.contains("line 2"), "{ended:?}");
    Ok(())
}

#[tokio::test]
async fn a_wrong_command_line_ends_with_64_and_a_missing_file_with_1() -> Result<()> {
    let folder = TempDir::new()?;
    for (arguments, code, words) in [
        (&["serve", "--confg", "x"][..], 64, "--confg"),
        (&["serv"], 64, "serv"),
        (&["serve"], 64, "--config"),
        (&["check", "--config", "absent.toml"], 1, "absent.toml"),
        (&["serve", "--config", "absent.toml"], 1, "absent.toml"),
    ] {
        let ended = gateway::run(folder.path(), arguments, &[], BOUND).await?;
        ensure!(ended.code == Some(code), "{arguments:?}: {ended:?}");
        ensure!(ended.stderr.contains(words), "{arguments:?}: {ended:?}");
    }
    let help = gateway::run(folder.path(), &["--help"], &[], BOUND).await?;
    ensure!(help.code == Some(0) && help.stdout.contains("Examples:"), "{help:?}");
    Ok(())
}

#[tokio::test]
async fn check_says_what_is_well_and_dump_keeps_secrets_to_itself() -> Result<()> {
    let setup = with_source().endpoint(
        "billing",
        "https://billing.example.com/",
        "secret = \"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"\nsigning = [\"standard\"]",
    );
    let ended = with_file("check", &setup.to_toml()).await?;
    ensure!(ended.code == Some(0), "{ended:?}");
    ensure!(ended.stdout.contains("all is well"), "{ended:?}");
    let note = "note: no subscription sends anything to endpoint billing";
    ensure!(ended.stdout.contains(note), "{ended:?}");

    let folder = TempDir::new()?;
    std::fs::write(folder.path().join("gateway.toml"), setup.to_toml())?;
    let dump = ["check", "--dump", "--config", "gateway.toml"];
    let ended = gateway::run(folder.path(), &dump, &[], BOUND).await?;
    ensure!(ended.code == Some(0) && ended.stdout.contains("[redacted]"), "{ended:?}");
    for secret in ["MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", livekit_webhook_tests::exchange::SECRET] {
        ensure!(!ended.stdout.contains(secret), "{ended:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() -> Result<()> {
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = taken.local_addr()?.to_string();
    let toml = with_source().to_toml().replacen("127.0.0.1:0", &address, 1);
    let ended = with_file("serve", &toml).await?;
    ensure!(ended.code == Some(1), "{ended:?}");
    let words = format!("cannot listen on {address} (ingest.listen)");
    ensure!(ended.stderr.contains(&words), "{ended:?}");
    Ok(())
}
