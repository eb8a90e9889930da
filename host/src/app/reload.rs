//! What of a configuration a host that runs does not take, by key.

use crate::config::Config;
use std::collections::BTreeSet;
use toml::{Table, Value};

/// Keys that are told of one reload.
const KEYS_MAX: usize = 32;

/// Everything that a reload does not take, with secrets redacted.
pub struct Fixed(Table);

// === impl Fixed ===

impl Fixed {
    /// Of `config`: all but its sources and what it says of each plugin.
    pub fn of(config: &Config) -> Self {
        let text = config.dump();
        // What is printed can be typed; if it could not, a change would still be seen.
        let mut table = toml::from_str(&text)
            .unwrap_or_else(|_| Table::from_iter([("configuration".to_owned(), text.into())]));
        table.remove("source");
        if let Some(Value::Array(plugins)) = table.get_mut("plugin") {
            for plugin in plugins.iter_mut().filter_map(Value::as_table_mut) {
                plugin.retain(|key, _| key == "name");
            }
        }
        Self(table)
    }

    /// Keys of what is another in `asked`, such as `endpoint.billing.url` and `plugin.audit (new)`.
    pub fn differences(&self, asked: &Self) -> Vec<String> {
        let mut keys = Vec::new();
        // The settings of all plugins are printed where there are any.
        let is_told =
            |key: &str| key != "plugins" || (self.0.contains_key(key) && asked.0.contains_key(key));
        for key in names(&self.0, &asked.0).into_iter().filter(|key| is_told(key)) {
            compare(key, self.0.get(key), asked.0.get(key), &mut keys);
        }
        let more = keys.len().saturating_sub(KEYS_MAX);
        keys.truncate(KEYS_MAX);
        if more > 0 {
            keys.push(format!("and {more} more"));
        }
        keys
    }
}

fn names<'a>(a: &'a Table, b: &'a Table) -> BTreeSet<&'a String> {
    a.keys().chain(b.keys()).collect()
}

fn compare(key: &str, before: Option<&Value>, asked: Option<&Value>, keys: &mut Vec<String>) {
    match (before, asked) {
        (Some(Value::Table(before)), Some(Value::Table(asked))) => {
            for name in names(before, asked) {
                compare(&format!("{key}.{name}"), before.get(name), asked.get(name), keys);
            }
        }
        (Some(Value::Array(_)) | None, Some(Value::Array(_)) | None)
            if is_sections(before) || is_sections(asked) =>
        {
            let (before, asked) = (sections(before), sections(asked));
            let both: BTreeSet<_> = before.keys().chain(asked.keys()).collect();
            for name in both {
                let (before, asked) = (before.get(name), asked.get(name));
                compare(&format!("{key}.{name}"), before, asked, keys);
            }
        }
        (before, asked) if before == asked => {}
        (None, _) => keys.push(format!("{key} (new)")),
        (_, None) => keys.push(format!("{key} (gone)")),
        _ => keys.push(key.to_owned()),
    }
}

/// Whether it is written as `[[…]]`.
fn is_sections(value: Option<&Value>) -> bool {
    value.and_then(Value::as_array).is_some_and(|all| all.iter().any(Value::is_table))
}

/// Each by its name, else by its place, counted from 0.
fn sections(value: Option<&Value>) -> Table {
    let all = value.and_then(Value::as_array).into_iter().flatten().enumerate();
    let named = |(index, section): (usize, &Value)| {
        let name = section.get("name").and_then(Value::as_str);
        (name.map_or_else(|| index.to_string(), str::to_owned), section.clone())
    };
    all.map(named).collect()
}

#[cfg(test)]
mod tests;
