//! `[plugins]` and `[[plugin]]`: the component, its configuration, its limits and what it may reach.
//! Whether it loads is found out at the start.

use super::endpoint::name;
use super::parse::{Named, too_many, unique};
use super::reader::Section;
use super::secret::{self, Environment};
use super::{Canary, Instances, Plugin, Plugins};
use crate::plugin::limits::Limits;
use crate::plugin::registry::OnError;
use crate::store::plugin_state;
use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use toml::Value;

mod grant;

/// Beside the configuration, when it names none.
const FOLDER_DEFAULT: &str = "livekit-webhook-plugins";
/// Most secrets of one plugin.
const SECRETS_MAX: usize = 32;

/// Reads `[plugins]`.
pub fn all(mut section: Section, folder: &Path) -> Plugins {
    let below = section.string("folder").unwrap_or_else(|| FOLDER_DEFAULT.to_owned());
    if below.is_empty() {
        section.problem("folder", format_args!("is empty, for example {FOLDER_DEFAULT:?}"));
    }
    let watch = section.bool("watch", true);
    let mut most = |key, default: u64, cap: u64| {
        let most = section.integer(key, default.cast_signed(), 1..=cap.cast_signed());
        most.unsigned_abs()
    };
    let state = plugin_state::Limits {
        keys_max: most("state_keys_max", plugin_state::KEYS_MAX, plugin_state::KEYS_CAP),
        bytes_max: most("state_bytes_max", plugin_state::BYTES_MAX, plugin_state::BYTES_CAP),
    };
    let chain = section.strings("chain").unwrap_or_default();
    section.finish();
    Plugins { folder: folder.join(below), watch, state, chain }
}

/// Reads all plugins.
pub fn plugins(root: &mut Section, folder: &Path, environment: &Environment) -> Vec<Named<Plugin>> {
    let mut sections = root.sections("plugin");
    too_many(root, "plugin", &mut sections);
    let mut names = HashSet::new();
    let mut found = Vec::new();
    for mut section in sections {
        let name = name(&mut section, "name", "redact").map(|name| name.to_string());
        unique(&section, name.as_deref(), &mut names);
        let file = component(&mut section, folder);
        let config = section.value("config").unwrap_or(Value::Table(toml::Table::new()));
        let config = json(&config).map_err(|text| section.problem("config", text)).ok();
        let on_error = section.string("on_error").and_then(|text| {
            let known = OnError::ALL.into_iter().find(|(word, _)| *word == text);
            if known.is_none() {
                section.problem("on_error", "expected \"fail\", \"pass\" or \"drop\"");
            }
            known.map(|(_, on_error)| on_error)
        });
        let limits = limits(&mut section);
        let secrets = secrets(&mut section, folder, environment);
        let grant = grant::grant(&mut section, secrets.as_ref());
        let instances = match section.string("instances").as_deref() {
            None | Some("fresh") => Instances::Fresh,
            Some("warm") => Instances::Warm,
            Some(_) => {
                section.problem("instances", "expected \"fresh\" or \"warm\"");
                Instances::Fresh
            }
        };
        let learn = section.bool("learn", false);
        let shadow = beside(&mut section, "shadow", folder, |_| ());
        let canary = beside(&mut section, "canary", folder, |section| {
            section.integer("percent", 5, 1..=100)
        });
        let plugin = (|| {
            Some(Plugin {
                name: name.clone()?,
                file: file?,
                config: config?.to_string(),
                on_error,
                limits: limits?,
                grant: grant?,
                secrets: secrets?,
                instances,
                learn,
                shadow: shadow.map(|(file, ())| file),
                canary: canary.map(|(file, percent)| Canary {
                    file,
                    percent: u8::try_from(percent).unwrap_or(100),
                }),
            })
        })();
        section.finish();
        found.push(Named { name, found: plugin });
    }
    found
}

/// `file`, which must be there.
fn component(section: &mut Section, folder: &Path) -> Option<PathBuf> {
    let file = section.required_string("file", "redact.wasm").map(|file| folder.join(file))?;
    if !file.is_file() {
        section.problem("file", format_args!("there is no file {}", file.display()));
    }
    Some(file)
}

/// A version beside the one that serves, such as `canary = { file = "new.wasm", percent = 5 }`.
fn beside<T>(
    section: &mut Section,
    key: &'static str,
    folder: &Path,
    more: impl FnOnce(&mut Section) -> T,
) -> Option<(PathBuf, T)> {
    section.has(key).then_some(())?;
    let mut beside = section.section(key);
    let file = component(&mut beside, folder);
    let more = more(&mut beside);
    beside.finish();
    Some((file?, more))
}

/// `[[plugin.secret]]`, by name.
fn secrets(
    section: &mut Section,
    folder: &Path,
    environment: &Environment,
) -> Option<BTreeMap<String, secret::Bytes>> {
    let mut sections = section.sections("secret");
    if sections.len() > SECRETS_MAX {
        section.problem("secret", format_args!("at most {SECRETS_MAX} are allowed"));
        sections.truncate(SECRETS_MAX);
    }
    let (mut found, mut names, mut right) = (BTreeMap::new(), HashSet::new(), true);
    for mut one in sections {
        let name = name(&mut one, "name", "token").map(|name| name.to_string());
        unique(&one, name.as_deref(), &mut names);
        let bytes = secret::take(&mut one, folder, environment);
        one.finish();
        match (name, bytes) {
            (Some(name), Some(bytes)) => _ = found.insert(name, bytes),
            _ => right = false,
        }
    }
    right.then_some(found)
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
