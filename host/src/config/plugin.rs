//! `[[plugin]]`: the component, its configuration and its limits. Whether it loads is found out at
//! the start.

use super::Plugin;
use super::endpoint::name;
use super::parse::{Named, too_many, unique};
use super::reader::Section;
use crate::plugin::limits::Limits;
use crate::plugin::registry::OnError;
use std::collections::HashSet;
use std::path::Path;
use toml::Value;

/// Reads all plugins.
pub fn plugins(root: &mut Section, folder: &Path) -> Vec<Named<Plugin>> {
    let mut sections = root.sections("plugin");
    too_many(root, "plugin", &mut sections);
    let mut names = HashSet::new();
    let mut found = Vec::new();
    for mut section in sections {
        let name = name(&mut section, "name", "redact").map(|name| name.to_string());
        unique(&section, name.as_deref(), &mut names);
        let file = section.required_string("file", "redact.wasm").map(|file| folder.join(file));
        if let Some(file) = file.as_ref().filter(|file| !file.is_file()) {
            section.problem("file", format_args!("there is no file {}", file.display()));
        }
        let config = section.value("config").unwrap_or(Value::Table(toml::Table::new()));
        let config = json(&config).map_err(|text| section.problem("config", text)).ok();
        let on_error = match section.string("on_error").as_deref() {
            None => None,
            Some("fail") => Some(OnError::Fail),
            Some("pass") => Some(OnError::Pass),
            Some("drop") => Some(OnError::Drop),
            Some(_) => {
                section.problem("on_error", "expected \"fail\", \"pass\" or \"drop\"");
                None
            }
        };
        let limits = limits(&mut section);
        let plugin = (|| {
            let (name, file, config) = (name.clone()?, file?, config?);
            Some(Plugin { name, file, config: config.to_string(), on_error, limits: limits? })
        })();
        section.finish();
        found.push(Named { name, found: plugin });
    }
    found
}

fn limits(section: &mut Section) -> Option<Limits> {
    let mut limits = Limits::default();
    let given = match section.value("limits") {
        None => return Some(limits),
        Some(Value::Table(given)) => given,
        Some(_) => {
            section
                .problem("limits", "expected a table, for example limits = { cpu_pure_ms = 100 }");
            return None;
        }
    };
    let mut right = true;
    for (name, value) in given {
        let value = value.as_integer().and_then(|value| u64::try_from(value).ok());
        let set = match value {
            Some(value) => limits.set(&name, value).map_err(|error| error.to_string()),
            None => Err("expected a whole number".to_owned()),
        };
        if let Err(text) = set {
            section.problem(&format!("limits.{name}"), text);
            right = false;
        }
    }
    right.then_some(limits)
}

/// A date becomes its text. What JSON cannot hold is refused, rather than handed over as `null`.
fn json(value: &Value) -> Result<serde_json::Value, String> {
    Ok(match value {
        Value::String(text) => text.as_str().into(),
        Value::Integer(number) => (*number).into(),
        Value::Float(number) => serde_json::Number::from_f64(*number)
            .ok_or_else(|| format!("{number}: JSON has no such number"))?
            .into(),
        Value::Boolean(flag) => (*flag).into(),
        Value::Datetime(date) => date.to_string().into(),
        Value::Array(items) => items.iter().map(json).collect::<Result<Vec<_>, _>>()?.into(),
        Value::Table(members) => {
            let member = |(name, value): (&String, &Value)| Ok((name.clone(), json(value)?));
            let members: Result<serde_json::Map<_, _>, String> =
                members.iter().map(member).collect();
            members?.into()
        }
    })
}
