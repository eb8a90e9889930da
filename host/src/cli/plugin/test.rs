//! `plugin test`: the fixtures of a manifest, run on the engine of production.

mod update;

use super::{USAGE, component_of, fail, read_manifest};
use crate::plugin::compile::Setup;
use crate::plugin::engine::Engine;
use crate::plugin::fixture::{Bench, Verdict};
use crate::plugin::manifest::{FILE, Manifest};
use anyhow::Context as _;
use bytes::Bytes;
use serde_json::{Value, json};
use similar::TextDiff;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Lines around a difference.
const CONTEXT_LINES: usize = 3;

const HELP: &str = r#"Examples:
  livekit-webhook plugin test
  livekit-webhook plugin test plugins/annotate --only "a note"
  livekit-webhook plugin test annotate.wasm --json
  livekit-webhook plugin test --update

A folder's fixtures are those of its plugin.toml, run on DIR/target/NAME.wasm; a component's are those
in its manifest. A fixture has a name, an `event` (a table, or the path of a JSON file), and perhaps
`config`, `attributes` of earlier plugins, `state`, answers of `http` and `livekit`, `fuel_max`, and

  expect = { accept = true }                             filter: true or false
  expect = { drafts = [{ body = {…}, kind = "…", attributes = {…} }] }
                     transform: all, in order; left out: the event's body, its kind, no attributes
  expect = { destinations = ["billing"] }                route: all, in order
  expect = { attributes = { tenant = "acme" } }          enrich: all, in any order
  expect = { done = … }                                  action: JSON, or a text
  expect = { fault = "rejected", text = "part of it" }   or retry (with after_ms), failed, trap,
                     cpu_exceeded, deadline_exceeded, memory_exceeded, output_exceeded
  expect = { state = { key = "value" } }                 all keys and values after the call
  expect = "fixtures/expected.json"                      any of these in a file

Members can stand together; one that is not given is not compared. Nothing real is reached: requests
are answered by http = [{ request = "POST https://…", body = …, headers = {…}, status = 200,
answer = … }], in their order and all of them; a secret has the text test-secret-NAME.

Exit codes: 0 all hold, 1 not, 64 no such plugin or wrong usage."#;

/// Run a plugin's fixtures
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = HELP)]
pub struct Options {
    /// The plugin's folder, or its component
    #[arg(value_name = "DIR|FILE", default_value = ".")]
    pub place: PathBuf,
    /// Only fixtures whose name contains this
    #[arg(long, value_name = "TEXT")]
    pub only: Option<String>,
    /// Write what came into plugin.toml or the files it names, instead of comparing
    #[arg(long)]
    pub update: bool,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Runs it.
///
/// # Errors
/// When `out` cannot be written, or the engine does not start.
pub async fn run(options: &Options, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let (manifest, wasm) = match find(&options.place) {
        Ok(found) => found,
        Err(problem) => return fail(options.json, &problem, USAGE, out),
    };
    if options.update && !options.place.is_dir() {
        return fail(options.json, "--update needs the plugin's folder", USAGE, out);
    }
    let only = options.only.as_deref().unwrap_or_default();
    let chosen = manifest.fixtures.iter().filter(|fixture| fixture.name.contains(only));
    let chosen: Vec<_> = chosen.collect();
    if chosen.is_empty() {
        let problem = format!("there is no fixture to run: add [[fixture]] to {FILE}");
        return fail(options.json, &problem, 1, out);
    }
    let engine = Engine::metering(Setup::serving(None)).context("starting the engine")?;
    let mut bench = match Bench::new(&engine, &wasm, &manifest) {
        Ok(bench) => bench,
        Err(error) => return fail(options.json, &error.to_string(), 1, out),
    };
    let mut verdicts = Vec::new();
    for fixture in chosen {
        match bench.run(fixture).await {
            Ok(verdict) => {
                if !options.json && !options.update {
                    print(&verdict, out)?;
                }
                verdicts.push(verdict);
            }
            Err(error) => {
                let problem = super::check::problem(&error).to_string();
                return fail(options.json, &format!("{}: {problem}", fixture.name), 1, out);
            }
        }
    }
    if options.update {
        return update::run(&options.place, &verdicts, out);
    }
    conclude(options, &verdicts, out)
}

fn conclude(
    options: &Options,
    verdicts: &[Verdict],
    out: &mut dyn Write,
) -> anyhow::Result<ExitCode> {
    let failed = verdicts.iter().filter(|verdict| !verdict.holds()).count();
    if options.json {
        let fixtures: Vec<_> = verdicts.iter().map(report).collect();
        writeln!(out, "{:#}", json!({ "ok": failed == 0, "fixtures": fixtures }))?;
    } else if failed == 0 {
        let count = verdicts.len();
        let hold = if count == 1 { "fixture holds" } else { "fixtures hold" };
        writeln!(out, "{count} {hold}")?;
    } else {
        writeln!(out, "{failed} of {} fixtures do not hold", verdicts.len())?;
    }
    Ok(ExitCode::from(u8::from(failed > 0)))
}

/// Manifest and component of a folder, or of a file.
fn find(place: &Path) -> Result<(Manifest, Bytes), String> {
    if place.is_dir() {
        let manifest = read_manifest(place)?;
        return Ok((manifest, component_of(place)?));
    }
    let wasm = component_of(place)?;
    match Manifest::read(&wasm) {
        Ok(Some(manifest)) => Ok((manifest, wasm)),
        Ok(None) => Err(format!(
            "{}: has no manifest, and so no fixtures: `livekit-webhook plugin build` puts it in",
            place.display()
        )),
        Err(error) => Err(format!("{}: {error}", place.display())),
    }
}

fn print(verdict: &Verdict, out: &mut dyn Write) -> std::io::Result<()> {
    let Verdict { name, expected, got, problems, fuel, .. } = verdict;
    let fuel = fuel.map_or_else(String::new, |fuel| format!("  fuel {fuel}"));
    if verdict.holds() {
        return writeln!(out, "ok      {name}{fuel}");
    }
    writeln!(out, "FAILED  {name}{fuel}")?;
    for problem in problems {
        writeln!(out, "    {problem}")?;
    }
    if expected != got {
        for line in difference(expected, got).lines() {
            writeln!(out, "    {line}")?;
        }
    }
    Ok(())
}

/// What was expected and what came, line by line.
fn difference(expected: &Value, got: &Value) -> String {
    let (expected, got) = (format!("{:#}\n", sorted(expected)), format!("{:#}\n", sorted(got)));
    let diff = TextDiff::from_lines(expected.as_str(), got.as_str());
    diff.unified_diff().context_radius(CONTEXT_LINES).header("expected", "got").to_string()
}

/// The order of members means nothing, so it must not show as a difference.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let mut members: Vec<_> =
                members.iter().map(|(name, value)| (name.clone(), sorted(value))).collect();
            members.sort_by(|(a, _), (b, _)| a.cmp(b));
            Value::Object(members.into_iter().collect())
        }
        Value::Array(items) => items.iter().map(sorted).collect(),
        other => other.clone(),
    }
}

fn report(verdict: &Verdict) -> Value {
    let Verdict { name, expected, got, problems, fuel, .. } = verdict;
    json!({
        "name": name,
        "ok": verdict.holds(),
        "expected": expected,
        "got": got,
        "problems": problems,
        "fuel": fuel,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_reads_line_by_line_whatever_the_order() {
        let expected = json!({ "drafts": [{ "body": { "b": 1, "a": "x" } }] });
        let got = json!({ "drafts": [{ "body": { "a": "y", "b": 1 } }] });
        let text = difference(&expected, &got);
        assert!(text.contains("-        \"a\": \"x\",\n+        \"a\": \"y\","), "{text}");
        assert!(!text.contains("-        \"b\""), "{text}");
    }
}
