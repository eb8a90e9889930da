//! `plugin test --update`: what came becomes what is expected.
//!
//! An expectation in a file is written there. One in `plugin.toml` is replaced where it stands, and
//! nothing else of the file is touched, so that comments stay.

use crate::plugin::fixture::Verdict;
use crate::plugin::manifest::FILE;
use serde::Deserialize;
use serde_json::Value;
use std::fmt::Write as _;
use std::io::Write;
use std::ops::Range;
use std::path::Path;
use std::process::ExitCode;
use toml::Spanned;

/// As much of a `plugin.toml` as is needed to find the expectations.
#[derive(Deserialize)]
struct Places {
    #[serde(default)]
    fixture: Vec<Place>,
}

#[derive(Deserialize)]
struct Place {
    name: String,
    expect: Option<Spanned<toml::Value>>,
}

/// Writes what every verdict saw.
///
/// # Errors
/// When `out` or a file cannot be written.
pub fn run(folder: &Path, verdicts: &[Verdict], out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let file = folder.join(FILE);
    let mut text = std::fs::read_to_string(&file)?;
    let places: Places = toml::from_str(&text)?;
    let mut replaced: Vec<(Range<usize>, String)> = Vec::new();
    let mut left = 0;
    for verdict in verdicts {
        let place = places.fixture.iter().find(|place| place.name == verdict.name);
        let Some(expect) = place.and_then(|place| place.expect.as_ref()) else {
            continue;
        };
        if verdict.holds() {
            continue;
        }
        if let Some(path) = expect.as_ref().as_str() {
            std::fs::write(folder.join(path), format!("{:#}\n", verdict.all))?;
            writeln!(out, "wrote {path}: {}", verdict.name)?;
            continue;
        }
        let is_inline = text.get(expect.span()).is_some_and(|text| text.starts_with('{'));
        match inline(&verdict.all).filter(|_| is_inline) {
            Some(value) => replaced.push((expect.span(), value)),
            None => {
                left += 1;
                writeln!(
                    out,
                    "left {:?}: write expect = \"fixtures/….json\", so that it can be updated",
                    verdict.name
                )?;
            }
        }
    }
    replaced.sort_by_key(|(span, _)| std::cmp::Reverse(span.start));
    let changed = replaced.len();
    for (span, value) in replaced {
        text.replace_range(span, &value);
    }
    std::fs::write(&file, text)?;
    writeln!(out, "updated {changed} in {FILE}; read them before you commit them")?;
    Ok(ExitCode::from(u8::from(left > 0)))
}

/// JSON as a value of TOML on one line; `None` when it has what TOML has not.
fn inline(value: &Value) -> Option<String> {
    Some(match value {
        Value::Null => return None,
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) if number.is_u64() && number.as_i64().is_none() => return None,
        Value::Number(number) => number.to_string(),
        // What JSON writes of a text is a text of TOML.
        Value::String(_) => value.to_string(),
        Value::Array(items) => {
            let items: Option<Vec<_>> = items.iter().map(inline).collect();
            format!("[{}]", items?.join(", "))
        }
        Value::Object(members) => {
            let mut text = String::from("{");
            for (at, (name, value)) in members.iter().enumerate() {
                let comma = if at == 0 { " " } else { ", " };
                let name = Value::from(name.as_str());
                let _ = write!(text, "{comma}{name} = {}", inline(value)?);
            }
            text.push_str(" }");
            text
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn verdict(all: Value) -> Verdict {
        Verdict {
            name: "one".to_owned(),
            expected: json!({}),
            got: all.clone(),
            all,
            problems: Vec::new(),
            fuel: None,
        }
    }

    #[test]
    fn an_expectation_is_replaced_and_everything_around_it_stays() {
        let folder = tempfile::tempdir().unwrap();
        let text = "# why\nschema = 1\n[[fixture]] # first\nname = \"one\"\nexpect = { accept = true } # end\n";
        std::fs::write(folder.path().join(FILE), text).unwrap();
        let all = json!({ "drafts": [{ "body": { "a b": "x\"\n", "n": 1.5 } }] });
        run(folder.path(), &[verdict(all.clone())], &mut Vec::new()).unwrap();
        let after = std::fs::read_to_string(folder.path().join(FILE)).unwrap();
        assert!(after.starts_with("# why\nschema = 1\n[[fixture]] # first\nname = \"one\"\n"));
        assert!(after.ends_with(" # end\n"), "{after}");
        let parsed: Value = toml::from_str(&after).unwrap();
        assert_eq!(parsed["fixture"][0]["expect"], all);
    }

    #[test]
    fn an_expectation_in_a_file_is_written_there() {
        let folder = tempfile::tempdir().unwrap();
        let text = "[[fixture]]\nname = \"one\"\nexpect = \"expected.json\"\n";
        std::fs::write(folder.path().join(FILE), text).unwrap();
        let all = json!({ "done": null });
        run(folder.path(), &[verdict(all.clone())], &mut Vec::new()).unwrap();
        let after = std::fs::read(folder.path().join("expected.json")).unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&after).unwrap(), all);
        assert_eq!(inline(&json!({ "a": null })), None);
    }
}
