//! Stories of secrets that live in the store: made, replaced, withdrawn, and never shown.

use super::delivery::with_source;
use super::operator::{json, send, told, verb};
use anyhow::{Context as _, Result, ensure};
use livekit_webhook_tests::exchange::{BOUND, now_s};
use livekit_webhook_tests::gateway::{Gateway, Setup};
use livekit_webhook_tests::receiver::{Receiver, Seen};
use tokio::time::timeout;

const KEY: &str = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";
const OTHER_KEY: &str = "bm90IHRoZSBzYW1lIGtleSBhcyB0aGUgZmlyc3Qga2U=";

/// One endpoint that signs with the store's secrets, and the keys that seal them.
fn sealed(receiver: &Receiver, keys: &[(&str, &str)]) -> Setup {
    let key = |(id, secret): &(&str, &str)| format!("{{ id = \"{id}\", secret = \"{secret}\" }}");
    let keys: Vec<String> = keys.iter().map(key).collect();
    let sealing = format!("[secrets]\nkeys = [{}]", keys.join(", "));
    with_source()
        .deliver(&format!("allow = [\"127.0.0.1:*\"]\n\n{sealing}"))
        .endpoint("one", &receiver.url("/"), "signing = [\"standard\"]")
        .subscription("one", "")
}

/// Rotates, and gives the secret that was printed.
async fn rotate(gateway: &Gateway, more: &[&str]) -> Result<String> {
    let printed = told(gateway, &[&["secret", "rotate", "one"], more].concat()).await?;
    let secret = printed.lines().next().context("nothing was printed")?.to_owned();
    ensure!(secret.starts_with("whsec_"), "{printed}");
    Ok(secret)
}

fn verifies(seen: &Seen, secret: &str) -> bool {
    seen.verify_standard(secret, now_s()).is_ok()
}

/// Sends events until one arrives that is as wanted: hosts follow within seconds.
async fn sent_until(
    gateway: &Gateway,
    receiver: &Receiver,
    wanted: impl Fn(&Seen) -> bool,
) -> Result<Seen> {
    let came = async {
        loop {
            let count = receiver.seen().len();
            send(gateway, count..count + 1).await?;
            let seen = receiver.wait_for(count + 1, BOUND).await?;
            if let Some(last) = seen.last().filter(|seen| wanted(seen)) {
                return anyhow::Ok(last.clone());
            }
        }
    };
    timeout(BOUND, came).await.context("the hosts do not follow")?
}

#[tokio::test]
async fn both_secrets_verify_during_the_overlap_and_only_the_new_one_after() -> Result<()> {
    let receiver = Receiver::start().await?;
    let gateway = Gateway::start(&sealed(&receiver, &[("k1", KEY)]), BOUND).await?;
    let old = rotate(&gateway, &[]).await?;
    let seen = sent_until(&gateway, &receiver, |seen| verifies(seen, &old)).await?;
    ensure!(seen.header("webhook-signature")?.split(' ').count() == 1);
    let new = rotate(&gateway, &["--overlap", "4s"]).await?;
    ensure!(old != new);
    let seen = sent_until(&gateway, &receiver, |seen| verifies(seen, &new)).await?;
    ensure!(verifies(&seen, &old), "a receiver that still has the old secret is left out");
    let seen = sent_until(&gateway, &receiver, |seen| !verifies(seen, &old)).await?;
    ensure!(verifies(&seen, &new), "neither fits");
    // At once, when it must be.
    let newest = rotate(&gateway, &["--overlap", "0s"]).await?;
    let seen = sent_until(&gateway, &receiver, |seen| verifies(seen, &newest)).await?;
    ensure!(!verifies(&seen, &new) && !verifies(&seen, &old));
    Ok(())
}

#[tokio::test]
async fn deliveries_wait_for_a_first_secret_and_no_attempt_is_used_up() -> Result<()> {
    let receiver = Receiver::start().await?;
    let gateway = Gateway::start(&sealed(&receiver, &[("k1", KEY)]), BOUND).await?;
    let words = "run `livekit-webhook secret rotate one`";
    gateway.wait_log(BOUND, |line| line.contains(words).then_some(())).await?;
    gateway.wait_metric("endpoints_without_secret", 1.0, BOUND).await?;
    send(&gateway, 0..3).await?;
    gateway.wait_metric("deliveries_pending", 3.0, BOUND).await?;
    let secret = rotate(&gateway, &[]).await?;
    for seen in receiver.wait_for(3, BOUND).await? {
        ensure!(seen.header("webhook-attempt")? == "1", "{seen:?}");
        ensure!(verifies(&seen, &secret), "{seen:?}");
    }
    Ok(())
}

#[tokio::test]
async fn no_secret_is_in_the_store_the_log_or_what_verbs_print() -> Result<()> {
    let receiver = Receiver::start().await?;
    let setup = sealed(&receiver, &[("k1", KEY)]);
    let mut gateway = Gateway::start(&setup, BOUND).await?;
    let secret = rotate(&gateway, &[]).await?;
    sent_until(&gateway, &receiver, |seen| verifies(seen, &secret)).await?;
    let delivery = json(&gateway, &["deliveries", "--limit", "1"]).await?;
    let id = delivery[0]["id"].as_str().context("no id")?;
    let mut printed = String::new();
    for arguments in [
        vec!["secret", "list"],
        vec!["secret", "list", "--json"],
        vec!["attempts", id],
        vec!["attempts", id, "--json"],
        vec!["endpoint", "list", "--json"],
        vec!["check", "--dump"],
        vec!["store", "export", "all.jsonl"],
    ] {
        printed += &told(&gateway, &arguments).await?;
    }
    printed += &gateway.log().join("\n");
    ensure!(gateway.terminate(BOUND).await?.success());
    let digits = secret.trim_start_matches("whsec_");
    let raw = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, digits)?;
    ensure!(raw.len() == 32);
    let holds = |bytes: &[u8]| {
        let has = |needle: &[u8]| bytes.windows(needle.len()).any(|part| part == needle);
        has(digits.as_bytes()) || has(&raw) || has(KEY.as_bytes())
    };
    ensure!(!holds(printed.as_bytes()), "a secret was printed:\n{printed}");
    let mut looked = 0;
    for entry in std::fs::read_dir(gateway.folder())? {
        let path = entry?.path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name.starts_with("livekit-webhook.db") || name == "all.jsonl" {
            ensure!(!holds(&std::fs::read(&path)?), "the secret is in {name}");
            looked += 1;
        }
    }
    ensure!(looked >= 2, "only {looked} files were looked at");
    Ok(())
}

#[tokio::test]
async fn everything_is_resealed_under_a_new_key_and_the_old_key_can_go() -> Result<()> {
    let receiver = Receiver::start().await?;
    let mut gateway = Gateway::start(&sealed(&receiver, &[("k1", KEY)]), BOUND).await?;
    let secret = rotate(&gateway, &[]).await?;
    sent_until(&gateway, &receiver, |seen| verifies(seen, &secret)).await?;
    ensure!(gateway.terminate(BOUND).await?.success());
    let both = sealed(&receiver, &[("k2", OTHER_KEY), ("k1", KEY)]);
    gateway.configure(&both)?;
    gateway.start_again(BOUND).await?;
    let printed = told(&gateway, &["secret", "reseal"]).await?;
    ensure!(printed.contains("1 secret sealed under k2"), "{printed}");
    ensure!(gateway.terminate(BOUND).await?.success());
    gateway.configure(&sealed(&receiver, &[("k2", OTHER_KEY)]))?;
    gateway.start_again(BOUND).await?;
    sent_until(&gateway, &receiver, |seen| verifies(seen, &secret)).await?;
    // A key that is not the one is told, and nothing is sent unsigned.
    ensure!(gateway.terminate(BOUND).await?.success());
    gateway.configure(&sealed(&receiver, &[("k3", KEY)]))?;
    gateway.start_again(BOUND).await?;
    let words = "which [secrets] keys does not name";
    gateway.wait_log(BOUND, |line| line.contains(words).then_some(())).await?;
    Ok(())
}

#[tokio::test]
async fn an_ed25519_rotation_prints_both_halves_and_a_revoked_secret_is_gone() -> Result<()> {
    let receiver = Receiver::start().await?;
    let gateway = Gateway::start(&sealed(&receiver, &[("k1", KEY)]), BOUND).await?;
    let printed = told(&gateway, &["secret", "rotate", "one", "--ed25519"]).await?;
    ensure!(printed.starts_with("whsk_") && printed.contains("\nwhpk_"), "{printed}");
    let is_v1a =
        |seen: &Seen| seen.header("webhook-signature").is_ok_and(|s| s.starts_with("v1a,"));
    sent_until(&gateway, &receiver, is_v1a).await?;
    let row = json(&gateway, &["secret", "list"]).await?.remove(0);
    let id = row["id"].as_str().context("no id")?.to_owned();
    let printed = told(&gateway, &["secret", "revoke", &id]).await?;
    ensure!(printed.contains("wait: run `livekit-webhook secret rotate one`"), "{printed}");
    gateway.wait_metric("endpoints_without_secret", 1.0, BOUND).await?;
    let again = verb(&gateway, &["secret", "revoke", &id]).await?;
    ensure!(again.code == Some(1) && again.stderr.contains("there is no secret"), "{again:?}");
    Ok(())
}
