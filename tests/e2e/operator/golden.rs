//! The JSON of every verb, as it is promised: names, order, types, and the values that do not
//! change from run to run.

use super::*;
use std::fmt::Write as _;

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/e2e/operator/json.golden");
/// Members whose numbers depend on the machine.
const MEASURED: [&str; 7] =
    ["duration_ms", "dns_ms", "connect_ms", "tls_ms", "first_byte_ms", "size_bytes", "body_bytes"];

/// `value` with everything that changes from run to run replaced by what it is.
fn settled(name: &str, value: &Value) -> Value {
    let kind = |text: &str| -> String {
        let id = text.get(..4).filter(|_| text.len() == 30).filter(|prefix| prefix.ends_with('_'));
        match id {
            Some(prefix) => format!("{prefix}…"),
            None if name.ends_with("_at") || name.ends_with("_until") => "TIME".to_owned(),
            None if ["until", "since", "failing_since"].contains(&name) => "TIME".to_owned(),
            None if name == "body_sha256" => "SHA256".to_owned(),
            None if text.starts_with("127.0.0.1:") => "ADDRESS".to_owned(),
            None if text.starts_with("http://127.0.0.1:") => "URL".to_owned(),
            None if text.starts_with("whsec_") => "whsec_…".to_owned(),
            None => text.to_owned(),
        }
    };
    match value {
        Value::String(text) => kind(text).into(),
        Value::Number(_) if MEASURED.contains(&name) => "NUMBER".into(),
        Value::Null if MEASURED.contains(&name) => "NUMBER".into(),
        Value::Array(_) if name.ends_with("_headers") => "LINES".into(),
        Value::Array(items) => items.iter().map(|item| settled(name, item)).collect(),
        Value::Object(members) => {
            let member = |(name, value): (&String, &Value)| (name.clone(), settled(name, value));
            Value::Object(members.iter().map(member).collect())
        }
        other => other.clone(),
    }
}

async fn look(gateway: &Gateway, verb: &[&str], shown: &str, page: &mut String) -> Result<()> {
    writeln!(page, "{shown}")?;
    for value in json(gateway, verb).await? {
        writeln!(page, "  {}", settled("", &value))?;
    }
    Ok(())
}

#[tokio::test]
async fn every_verb_prints_the_json_it_promises() -> Result<()> {
    let receiver = Receiver::start().await?;
    receiver.script([Answer::status(500)?]);
    let key = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";
    let sealing = format!("[secrets]\nkeys = [{{ id = \"k1\", secret = \"{key}\" }}]");
    let setup = with_source()
        .deliver(&format!("allow = [\"127.0.0.1:*\"]\nhost = \"gateway-1\"\n\n{sealing}"))
        .endpoint("one", &receiver.url("/"), ONCE)
        .endpoint("kept", &receiver.url("/"), "signing = [\"standard\"]")
        .subscription("one", "");
    let mut gateway = Gateway::start(&setup, BOUND).await?;
    send(&gateway, 0..1).await?;
    let (dead, _) = gateway.ledger()?.wait_dead("one", BOUND).await?;
    let (delivery, event) = (dead.id.to_string(), dead.event.to_string());
    let mut page = String::new();
    for (verb, shown) in [
        (vec!["events"], "events"),
        (vec!["events", &event], "events EVENT"),
        (vec!["deliveries"], "deliveries"),
        (vec!["deliveries", &delivery], "deliveries DELIVERY"),
        (vec!["dead-letters"], "dead-letters"),
        (vec!["dead-letters", "--summary"], "dead-letters --summary"),
        (vec!["attempts", &delivery], "attempts DELIVERY"),
        (vec!["quarantine"], "quarantine"),
        (vec!["endpoint", "list"], "endpoint list"),
        (vec!["endpoint", "show", "one"], "endpoint show one"),
        (vec!["endpoint", "disable", "kept"], "endpoint disable kept"),
        (vec!["endpoint", "enable", "kept"], "endpoint enable kept"),
        (vec!["endpoint", "pause", "kept"], "endpoint pause kept"),
        (vec!["endpoint", "resume", "kept"], "endpoint resume kept"),
        (vec!["secret", "rotate", "kept"], "secret rotate kept"),
        (vec!["secret", "rotate", "kept", "--overlap", "1h"], "secret rotate kept --overlap 1h"),
        (vec!["secret", "list"], "secret list"),
        (vec!["secret", "reseal"], "secret reseal"),
        (vec!["replay", "--status", "dead", "--dry-run"], "replay --status dead --dry-run"),
        (vec!["replay", "--status", "dead"], "replay --status dead"),
    ] {
        look(&gateway, &verb, shown, &mut page).await?;
    }
    receiver.wait_for(2, BOUND).await?;
    let replay = one(&gateway, &["replay", "list"]).await?;
    let replay = text(&replay, "id")?;
    let show = ["replay", "show", replay];
    until(&gateway, &show, |shown| shown["state"] == "done" && shown["pending"] == 0).await?;
    look(&gateway, &["replay", "list"], "replay list", &mut page).await?;
    look(&gateway, &show, "replay show REPLAY", &mut page).await?;
    let secret = json(&gateway, &["secret", "list"]).await?;
    let revoke = ["secret", "revoke", text(&secret[0], "id")?];
    look(&gateway, &revoke, "secret revoke SECRET", &mut page).await?;
    look(&gateway, &["store", "check"], "store check", &mut page).await?;
    look(&gateway, &["store", "export", "a.jsonl"], "store export FILE", &mut page).await?;
    ensure!(gateway.terminate(BOUND).await?.success());
    let import = ["store", "import", "a.jsonl", "--store", "sqlite:b.db"];
    look(&gateway, &import, "store import FILE", &mut page).await?;
    let from = ["store", "import", "--from", "sqlite:b.db", "--store", "sqlite:c.db"];
    look(&gateway, &from, "store import --from URL", &mut page).await?;
    look(&gateway, &["store", "migrate"], "store migrate", &mut page).await?;
    look(&gateway, &["store", "vacuum"], "store vacuum", &mut page).await?;
    let golden = std::fs::read_to_string(GOLDEN).unwrap_or_default();
    ensure!(page == golden, "not as in {GOLDEN}; found:\n{page}");
    Ok(())
}
