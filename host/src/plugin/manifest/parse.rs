//! From tables to a [`Manifest`], with every problem at once.

mod fixture;
mod permissions;

use super::reader::{Problems, Table};
use super::schema::Schema;
use super::{Error, Export, Language, Manifest, SCHEMA};
use crate::plugin::Interface;
use crate::plugin::limits::Limits;
use crate::plugin::permission::Permissions;
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
    let language = root.word("language", &Language::ALL);
    let exports = exports(&mut root);
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
        language,
        exports,
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

/// Semantic Versioning 2.0.0.
fn is_semver(text: &str) -> bool {
    let number = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|b| b.is_ascii_digit())
            && (part == "0" || !part.starts_with('0'))
    };
    let word = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    let (text, build) = text.split_once('+').map_or((text, None), |(a, b)| (a, Some(b)));
    let (core, pre) = text.split_once('-').map_or((text, None), |(a, b)| (a, Some(b)));
    let is_digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    text.len() <= LINE_BYTES_MAX
        && core.split('.').count() == 3
        && core.split('.').all(number)
        && pre.is_none_or(|pre| {
            pre.split('.').all(|part| word(part) && (!is_digits(part) || number(part)))
        })
        && build.is_none_or(|build| build.split('.').all(word))
}

fn exports(root: &mut Table<'_>) -> Vec<Export> {
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
