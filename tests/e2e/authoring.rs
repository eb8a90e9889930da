//! Stories of authors: from an empty folder to a plugin that is tested and serves, in every language.
//!
//! The tool chains are those of `tests/setup/languages`, so that a story fetches nothing that is
//! there.

use super::delivery::with_source;
use anyhow::{Context as _, Result, ensure};
use livekit_webhook_tests::envoy::root;
use livekit_webhook_tests::exchange::{BOUND, event, post};
use livekit_webhook_tests::gateway::setup::component;
use livekit_webhook_tests::gateway::{self, Ended, Gateway};
use livekit_webhook_tests::receiver::Receiver;
use serde_json::Value;
use std::path::Path;
use std::time::Duration;

/// A compiler on a busy machine, the first time.
const BUILD_BOUND: Duration = Duration::from_secs(1500);

async fn plugin(folder: &Path, arguments: &[&str]) -> Result<Ended> {
    let arguments = [&["plugin"], arguments].concat();
    gateway::run(folder, &arguments, &[], BUILD_BOUND).await
}

async fn done(folder: &Path, arguments: &[&str]) -> Result<String> {
    let ended = plugin(folder, arguments).await?;
    ensure!(ended.code == Some(0), "{arguments:?}: {ended:?}");
    Ok(ended.stdout)
}

/// New, build, test, torture, inspect, run, a broken fixture, and the broken fixture mended by what
/// came.
async fn author(language: &str, kind: &str) -> Result<()> {
    let home = tempfile::tempdir()?;
    let tools = root().join("target/languages/tools");
    std::fs::create_dir_all(&tools)?;
    let tools = tools.to_str().context("the checkout's path is text")?;
    done(home.path(), &["new", "mine", "--language", language, "--kind", kind]).await?;
    let again = plugin(home.path(), &["new", "mine"]).await?;
    ensure!(again.code == Some(1) && again.stdout.contains("exists already"), "{again:?}");
    let folder = home.path().join("mine");
    let early = plugin(&folder, &["test"]).await?;
    ensure!(early.code == Some(64) && early.stdout.contains("plugin build` first"), "{early:?}");

    let said = done(&folder, &["build", "--tools", tools]).await?;
    ensure!(said.contains("built mine 0.1.0"), "{said}");
    let said = done(&folder, &["test"]).await?;
    ensure!(said.contains("2 fixtures hold") && said.contains("fuel "), "{said}");

    survives(&folder, ".").await?;

    let inspected = done(&folder, &["inspect", "target/mine.wasm", "--json"]).await?;
    let inspected: Value = serde_json::from_str(&inspected)?;
    ensure!(inspected["manifest"]["name"] == "mine", "{inspected}");
    ensure!(inspected["manifest"]["exports"][0] == kind, "{inspected}");
    let arguments = ["run", "target/mine.wasm", "--event", "room_finished", "--json"];
    let ran: Value = serde_json::from_str(&done(&folder, &arguments).await?)?;
    ensure!(ran["ok"] == true && ran["memory_bytes"].as_u64() > Some(0), "{ran}");

    let file = folder.join("plugin.toml");
    let text = std::fs::read_to_string(&file)?;
    let (head, tail) = text.split_once("expect = ").context("an expectation")?;
    let broken = tail.replacen("hello", "goodbye", 1).replacen("acme\"", "other\"", 1);
    std::fs::write(&file, format!("{head}expect = {broken}"))?;
    let failed = plugin(&folder, &["test"]).await?;
    ensure!(failed.code == Some(1), "{failed:?}");
    for words in ["FAILED  ", "--- expected", "+++ got", "1 of 2 fixtures do not hold"] {
        ensure!(failed.stdout.contains(words), "{words:?} is not in {}", failed.stdout);
    }
    done(&folder, &["test", "--update"]).await?;
    done(&folder, &["test"]).await?;
    Ok(())
}

/// Nobody who begins should have to mend what he was given. A machine that is busy may stop the
/// heaviest events; that is told in milliseconds.
async fn survives(folder: &Path, plugin_folder: &str) -> Result<()> {
    let ended = plugin(folder, &["torture", plugin_folder, "--events", "50", "--json"]).await?;
    let report: Value =
        serde_json::from_str(&ended.stdout).with_context(|| format!("{ended:?}"))?;
    let faults = report["faults"].as_array().context("a list of faults")?;
    let is_slow = |fault: &Value| fault["fault"].as_str().is_some_and(|text| text.contains(" ms"));
    ensure!(faults.iter().all(is_slow), "{plugin_folder}: {report:#}");
    ensure!(ended.code == Some(i32::from(!faults.is_empty())), "{ended:?}");
    Ok(())
}

#[tokio::test]
async fn an_author_writes_rust() -> Result<()> {
    author("rust", "transform").await
}

#[tokio::test]
async fn an_author_writes_javascript() -> Result<()> {
    author("javascript", "transform").await
}

#[tokio::test]
async fn an_author_writes_python() -> Result<()> {
    author("python", "transform").await
}

#[tokio::test]
async fn an_author_writes_c() -> Result<()> {
    author("c", "transform").await
}

#[tokio::test]
async fn every_kind_builds_and_holds_in_javascript_and_c() -> Result<()> {
    let home = tempfile::tempdir()?;
    let tools = root().join("target/languages/tools");
    let tools = tools.to_str().context("the checkout's path is text")?;
    for language in ["javascript", "c"] {
        for kind in ["filter", "transform", "route", "enrich", "action"] {
            let name = format!("{language}-{kind}");
            done(home.path(), &["new", &name, "--language", language, "--kind", kind]).await?;
            done(home.path(), &["build", &name, "--tools", tools]).await?;
            let said = done(home.path(), &["test", &name]).await?;
            ensure!(said.contains("2 fixtures hold"), "{name}: {said}");
            survives(home.path(), &name).await?;
        }
    }
    Ok(())
}

/// Asks a server for a plan, and believes what it says.
const TRUSTING: &str = r#"
import { send } from "livekit-webhook:plugin/http@VERSION";
import { decode } from "./livekit-webhook.js";

export const enrich = {
  attributes(event) {
    const url = "https://billing.example.com/plan";
    const answer = send({ method: "GET", url, headers: [], body: new Uint8Array(), timeoutMs: 1000 });
    return [["plan", JSON.parse(decode(answer.body)).plan.name]];
  },
};
"#;

#[tokio::test]
async fn an_author_finds_out_by_torture_that_servers_cannot_be_trusted() -> Result<()> {
    let home = tempfile::tempdir()?;
    let tools = root().join("target/languages/tools");
    let tools = tools.to_str().context("the checkout's path is text")?;
    done(home.path(), &["new", "plan", "--language", "javascript", "--kind", "enrich"]).await?;
    let folder = home.path().join("plan");
    let helpers = std::fs::read_to_string(folder.join("src/livekit-webhook.js"))?;
    let (_, version) = helpers.split_once("plugin/config@").context("the contract's version")?;
    let version = version.split('"').next().context("its end")?;
    std::fs::write(folder.join("src/plugin.js"), TRUSTING.replace("VERSION", version))?;
    let manifest = std::fs::read_to_string(folder.join("plugin.toml"))?;
    let (head, _) = manifest.split_once("# Examples that must hold").context("the examples")?;
    let fixture = r#"
[permissions]
http = [{ host = "billing.example.com" }]
[[fixture]]
name = "who pays"
event = "fixtures/room_started.json"
http = [{ request = "GET https://billing.example.com/plan", status = 200, answer = { plan = { name = "gold" } } }]
expect = { attributes = { plan = "gold" } }
"#;
    std::fs::write(folder.join("plugin.toml"), format!("{head}{fixture}"))?;
    done(&folder, &["build", "--tools", tools]).await?;
    ensure!(done(&folder, &["test"]).await?.contains("1 fixture holds"));
    let run = done(&folder, &["run", ".", "--fixture", "who pays", "--json"]).await?;
    let run: Value = serde_json::from_str(&run)?;
    ensure!(run["result"]["attributes"]["plan"] == "gold", "{run:#}");
    let nobody = plugin(&folder, &["run", ".", "--event", "room_started", "--json"]).await?;
    ensure!(nobody.code == Some(1) && nobody.stdout.contains("was not expected"), "{nobody:?}");

    let tortured = plugin(&folder, &["torture", ".", "--events", "5", "--json"]).await?;
    let report: Value = serde_json::from_str(&tortured.stdout)?;
    ensure!(tortured.code == Some(1), "{report:#}");
    let row = |name: &str| {
        let rows = report["rows"].as_array().into_iter().flatten();
        rows.into_iter().find(|row| row["events"] == name).map(|row| row["faults"].clone())
    };
    for name in ["http: errors", "http: bodies"] {
        ensure!(row(name).and_then(|faults| faults.as_u64()) > Some(0), "{name}: {report:#}");
    }
    Ok(())
}

#[tokio::test]
async fn what_is_shipped_for_other_languages_is_what_new_makes() -> Result<()> {
    let home = tempfile::tempdir()?;
    for (name, language) in
        [("hello-js", "javascript"), ("hello-python", "python"), ("hello-c", "c")]
    {
        let said = done(home.path(), &["new", name, "--language", language]).await?;
        for line in said.lines() {
            let Some(path) = line.strip_prefix("wrote ") else {
                continue;
            };
            let shipped = std::fs::read(root().join("plugins").join(path));
            let shipped = shipped.with_context(|| format!("plugins/{path}"))?;
            let made = std::fs::read(home.path().join(path))?;
            ensure!(shipped == made, "plugins/{path} is not what `plugin new` makes");
        }
    }
    Ok(())
}

#[tokio::test]
async fn plugins_of_every_language_serve_real_events() -> Result<()> {
    let receiver = Receiver::start().await?;
    let large = "limits = { component_bytes = 33554432, cpu_pure_ms = 1000, cpu_init_ms = 5000, \
                 wall_pure_ms = 5000, compile_ms = 120000 }";
    let names = ["hello-c", "hello-js", "hello-python"];
    let mut setup = with_source().endpoint("all", &receiver.url("/"), "");
    for name in names {
        let more = format!("config = {{ note = \"from {name}\" }}\n{large}");
        setup = setup.plugin(name, &component(name)?, &more);
    }
    let setup = setup.subscription("all", &format!("plugins = {names:?}"));
    let gateway = Gateway::start(&setup, BUILD_BOUND).await?;
    let body = event("room_started", "prod-7", "EV_all");
    ensure!(post(gateway.address(), &body).await?.status == 200);
    let seen = receiver.wait_for(1, BOUND).await?.remove(0);
    let seen: Value = serde_json::from_slice(&seen.body)?;
    ensure!(seen["room"]["name"] == "prod-7", "{seen}");
    ensure!(seen["note"] == "from hello-python", "the last one has the last word: {seen}");
    for name in names {
        let calls = format!(r#"plugin_calls_total{{plugin="{name}",outcome="ok",role="stable"}}"#);
        ensure!(gateway.metric(&calls).await? >= 1.0, "{calls}");
    }
    Ok(())
}
