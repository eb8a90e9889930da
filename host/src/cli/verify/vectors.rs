//! Judges every line of a file in the format of `tests/vectors/`, each with its own key and at its
//! own time.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::io::Write;
use std::process::ExitCode;

use super::capture::Capture;
use super::{USAGE, report};
use crate::cli::credentials::KeyPair;

/// One line of the file.
struct Vector {
    name: String,
    pair: KeyPair,
    now_s: i64,
    capture: Capture,
    expected: String,
}

/// Prints one line for each vector; fails on any difference.
///
/// # Errors
/// When `out` fails.
pub fn run(text: &[u8], as_json: bool, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let (mut judged, mut differ) = (0_u64, 0_u64);
    for (at, line) in text.split(|byte| *byte == b'\n').enumerate() {
        if line.trim_ascii().is_empty() {
            continue;
        }
        let Some(vector) = parse(line, out, at + 1)? else {
            return Ok(ExitCode::from(USAGE));
        };
        let (verdict, reason) = judge(&vector);
        let agrees = verdict == vector.expected;
        judged += 1;
        differ += u64::from(!agrees);
        if as_json {
            let line = json!({ "name": vector.name, "verdict": verdict, "reason": reason,
                               "expected": vector.expected, "agrees": agrees });
            writeln!(out, "{line}")?;
        } else {
            let mark = if agrees { "ok  " } else { "DIFF" };
            writeln!(out, "{mark} {verdict:<6} {reason:<16} {}", vector.name)?;
        }
    }
    if !as_json {
        writeln!(out, "{judged} judged, {differ} differ from what is expected")?;
    }
    Ok(if differ == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Verdict and reason. A key pair that cannot be used refuses everything.
fn judge(vector: &Vector) -> (&'static str, String) {
    let pairs = [vector.pair.clone()];
    match report::judge(&vector.capture, &pairs, vector.now_s) {
        Ok(report) if report.accepted() => ("accept", "-".to_owned()),
        Ok(report) => ("reject", report.code().unwrap_or("-").to_owned()),
        Err(_) => ("reject", "no_keys".to_owned()),
    }
}

/// `None`, after saying which line is bad and why.
fn parse(line: &[u8], out: &mut dyn Write, number: usize) -> std::io::Result<Option<Vector>> {
    let vector = match serde_json::from_slice::<Value>(line) {
        Ok(value) => vector(&value),
        Err(error) => Err(error.to_string()),
    };
    match vector {
        Ok(vector) => Ok(Some(vector)),
        Err(why) => {
            writeln!(out, "error: line {number}: {why}")?;
            Ok(None)
        }
    }
}

fn vector(value: &Value) -> Result<Vector, String> {
    let text = |name: &str| {
        let text = value.get(name).and_then(Value::as_str);
        text.map(str::to_owned).ok_or_else(|| format!("`{name}` must be a string"))
    };
    let headers = value.get("headers").and_then(Value::as_array);
    let headers = headers.ok_or("`headers` must be a list of [name, value]")?;
    let pair = |header: &Value| {
        let name = header.get(0).and_then(Value::as_str)?;
        let value = header.get(1).and_then(Value::as_str)?;
        Some((name.to_owned(), value.as_bytes().to_vec()))
    };
    let headers: Option<Vec<_>> = headers.iter().map(pair).collect();
    let body = STANDARD.decode(text("body_base64")?);
    let expected = text("expected")?;
    if expected != "accept" && expected != "reject" {
        return Err("`expected` must be `accept` or `reject`".to_owned());
    }
    Ok(Vector {
        name: text("name")?,
        pair: KeyPair { api_key: text("api_key")?, secret: text("secret")?.into_bytes() },
        now_s: value.get("now").and_then(Value::as_i64).ok_or("`now` must be unix seconds")?,
        capture: Capture {
            headers: headers.ok_or("`headers` must be a list of [name, value]")?,
            body: body.map_err(|error| format!("`body_base64`: {error}"))?,
            notes: Vec::new(),
        },
        expected,
    })
}
