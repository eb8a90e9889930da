//! From tables to a [`Manifest`], with every problem at once.

mod fixture;
mod permissions;

use super::reader::{Problems, Table};
use super::schema::Schema;
use super::version::{is_semver, precedence};
use super::{Error, Export, GATEWAY, Instances, Language, Manifest, SCHEMA};
use crate::plugin::Interface;
use crate::plugin::limits::Limits;
use crate::plugin::permission::Permissions;
use crate::plugin::registry::OnError;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::Path;

/// Characters of a name.
const NAME_MAX: usize = 64;
/// Bytes of a one-line text.
const LINE_BYTES_MAX: usize = 256;

/// Reads the whole manifest. With a folder, an event may be the path of a file in it.
///
/// # Errors
/// [`Error::Invalid`].
pub fn manifest(members: Map<String, Value>, folder: Option<&Path>) -> Result<Manifest, Error> {
    // First of all: a manifest for a later gateway may have keys that this one does not know.
    let needs = members.get("min_gateway").and_then(Value::as_str);
    if let Some(needs) = needs.filter(|needs| is_semver(needs))
        && precedence(needs, GATEWAY).is_gt()
    {
        return Err(Error::Newer { needs: needs.to_owned() });
    }
    let problems = Problems::default();
    let found = read(Table::new("", members, &problems), folder);
    match (found, problems.into_vec()) {
        (Some(manifest), problems) if problems.is_empty() => Ok(manifest),
        (_, problems) => Err(Error::Invalid(problems)),
    }
}

/// Reads a grant that stands alone, or as `[plugin.grant]`.
///
/// # Errors
/// [`Error::Invalid`].
pub fn grant(mut members: Map<String, Value>) -> Result<Permissions, Error> {
    let mut path = "";
    if let Some(Value::Object(plugin)) = members.get_mut("plugin")
        && let Some(Value::Object(grant)) = plugin.get_mut("grant")
    {
        (members, path) = (std::mem::take(grant), "plugin.grant");
    }
    let problems = Problems::default();
    let found = permissions::read(Table::new(path, members, &problems));
    match problems.into_vec() {
        problems if problems.is_empty() => Ok(found),
        problems => Err(Error::Invalid(problems)),
    }
}

/// TOML as JSON.
///
/// # Errors
/// What JSON cannot hold.
pub fn json(table: toml::Table) -> Result<Map<String, Value>, String> {
    table.into_iter().map(|(name, value)| Ok((name, json_value(value)?))).collect()
}

fn json_value(value: toml::Value) -> Result<Value, String> {
    Ok(match value {
        toml::Value::String(text) => text.into(),
        toml::Value::Integer(number) => number.into(),
        toml::Value::Float(number) => serde_json::Number::from_f64(number)
            .ok_or_else(|| format!("{number}: JSON has no such number"))?
            .into(),
        toml::Value::Boolean(flag) => flag.into(),
        toml::Value::Datetime(date) => date.to_string().into(),
        toml::Value::Array(items) => {
            items.into_iter().map(json_value).collect::<Result<Vec<_>, _>>()?.into()
        }
        toml::Value::Table(members) => json(members)?.into(),
    })
}

fn read(mut root: Table<'_>, folder: Option<&Path>) -> Option<Manifest> {
    let schema = root.number("schema", u64::from(u32::MAX));
    if schema != Some(u64::from(SCHEMA)) {
        root.problem("schema", format_args!("must be {SCHEMA}"));
    }
    let name = name(&mut root);
    let version = root.required("version", "0.1.0").inspect(|version| {
        if !is_semver(version) {
            root.problem("version", format_args!("{version:?} is no SemVer such as 0.1.0"));
        }
    });
    let api = root.string("api").inspect(|api| {
        if !is_semver(api) {
            root.problem("api", format_args!("{api:?} is no version such as 0.1.1"));
        }
    });
    let min_gateway = root.string("min_gateway").inspect(|version| {
        if !is_semver(version) {
            root.problem("min_gateway", format_args!("{version:?} is no SemVer such as 0.1.0"));
        }
    });
    let language = root.word("language", &Language::ALL);
    let (world, exports) = exports(&mut root);
    let on_error = root.word("on_error", &OnError::ALL);
    let instances = root.word("instances", &Instances::ALL);
    let description = line(&mut root, "description").unwrap_or_default();
    let license = line(&mut root, "license");
    let homepage = line(&mut root, "homepage").inspect(|url| {
        if !url.starts_with("https://") && !url.starts_with("http://") {
            root.problem("homepage", format_args!("{url:?} must begin with https://"));
        }
    });
    let permissions = permissions::read(root.table("permissions"));
    let limits = limits(&mut root);
    let config = root.value("config");
    let schema = config.as_ref().and_then(|document| match Schema::new(document) {
        Ok(schema) => Some(schema),
        Err(texts) => {
            texts.iter().for_each(|text| root.problem("", text));
            None
        }
    });
    let fixtures = fixture::read(&mut root, schema.as_ref(), folder);
    root.finish();
    Some(Manifest {
        schema: SCHEMA,
        name: name?,
        version: version?,
        api,
        min_gateway,
        language,
        world,
        exports,
        on_error,
        instances,
        description,
        license,
        homepage,
        permissions,
        limits,
        config,
        fixtures,
    })
}

fn name(root: &mut Table<'_>) -> Option<String> {
    let name = root.required("name", "my-plugin")?;
    if !is_name(&name) {
        root.problem(
            "name",
            format_args!("{name:?} must be 1 to {NAME_MAX} of a-z, 0-9, `-` and `_`"),
        );
    }
    Some(name)
}

/// Whether a plugin may have this name: the same rule as in the gateway's configuration.
pub fn is_name(name: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
    !name.is_empty() && name.len() <= NAME_MAX && name.bytes().all(allowed)
}

/// `world` and `exports`. One world alone says what is exported.
fn exports(root: &mut Table<'_>) -> (Option<Export>, Vec<Export>) {
    let worlds = Interface::ALL.map(|interface| (interface.as_str(), Export::Called(interface)));
    let world = root.word("world", &worlds);
    let mut exports = listed(root);
    let is_other = |export: &&Export| **export != Export::Lifecycle && Some(**export) != world;
    match world {
        Some(world) if exports.is_empty() => exports.push(world),
        Some(world) if !exports.contains(&world) || exports.iter().any(|e| is_other(&e)) => {
            let text = format_args!(
                "{:?} stands for exports = [{:?}]: leave one of them out",
                world.as_str(),
                world.as_str()
            );
            root.problem("world", text);
        }
        _ => {}
    }
    (world, exports)
}

fn listed(root: &mut Table<'_>) -> Vec<Export> {
    let mut exports = Vec::new();
    for (index, word) in root.strings("exports").into_iter().enumerate() {
        let called = Interface::ALL.into_iter().find(|interface| interface.as_str() == word);
        let export =
            called.map(Export::Called).or((word == "lifecycle").then_some(Export::Lifecycle));
        match export {
            Some(export) if exports.contains(&export) => {
                root.problem(&format!("exports[{index}]"), "is there already");
            }
            Some(export) => exports.push(export),
            None => root.problem(
                &format!("exports[{index}]"),
                format_args!(
                    "{word:?} must be one of filter, transform, route, enrich, action, lifecycle"
                ),
            ),
        }
    }
    exports
}

fn line(table: &mut Table<'_>, key: &'static str) -> Option<String> {
    let text = table.string(key)?;
    if text.len() > LINE_BYTES_MAX || text.chars().any(char::is_control) {
        table.problem(key, format_args!("must be one line of at most {LINE_BYTES_MAX} bytes"));
    }
    Some(text)
}

fn limits(root: &mut Table<'_>) -> BTreeMap<String, u64> {
    let defaults = Limits::default();
    let mut lowered = BTreeMap::new();
    for (name, value) in root.members("limits") {
        let key = format!("limits.{name}");
        let Some(value) = value.as_u64() else {
            root.problem(&key, "expected a whole number");
            continue;
        };
        if let Err(error) = Limits::default().set(&name, value) {
            root.problem("limits", error);
            continue;
        }
        // The default of `concurrency` follows the machine, so that any value may be less.
        let default = defaults.rows().find(|(row, _)| row.name == name).map_or(0, |(_, max)| max);
        if default != 0 && value > default {
            root.problem(
                &key,
                format_args!(
                    "{value} is over the default of {default}: a plugin may only ask for less; the \
                     operator can give more"
                ),
            );
            continue;
        }
        lowered.insert(name, value);
    }
    lowered
}
