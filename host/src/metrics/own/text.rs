//! Plugins' own numbers as lines of the page.
//!
//! A counter `removed` is the family `plugin_counted_removed`, an observation `bytes` the family
//! `plugin_observed_bytes`, each with the label `plugin`; all plugins that use a name share its
//! family. Guests choose names and labels, and no choice of theirs may make two families of one name
//! or a label that is there twice, since a strict reader then refuses the whole page:
//!
//! - the kind is in the name, so one name is never of two types;
//! - a name that ends as OpenMetrics' own samples do (`_total`, `_sum`, …) gets a `_` at its end;
//! - a label of a name that is taken gets `exported_` before it, as Prometheus does.
//!
//! Written by hand, because the encoder has no type `summary`.

use super::{Kind, Own, Series, Value};
use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::sync::Arc;

/// Ends of samples' names, which no family's name may have. OpenMetrics 1.0, "Suffixes".
const SUFFIXES: [&str; 8] =
    ["_total", "_created", "_sum", "_count", "_bucket", "_info", "_gsum", "_gcount"];
/// Labels that are ours or have a meaning.
const LABELS: [&str; 3] = ["plugin", "le", "quantile"];
/// Before a label of such a name.
const EXPORTED: &str = "exported_";

/// The samples of one family: plugin, labels, value.
type Samples<'a> = Vec<(&'a str, Vec<(String, String)>, Value)>;

/// Writes all numbers of all plugins, family by family, below names that begin with `prefix`.
///
/// # Errors
/// When `out` fails.
pub fn write(
    out: &mut impl Write,
    prefix: &str,
    plugins: &BTreeMap<String, Arc<Own>>,
) -> fmt::Result {
    let mut families: BTreeMap<(Kind, String), Samples<'_>> = BTreeMap::new();
    for (plugin, own) in plugins {
        for (Series { kind, name, labels }, value) in own.snapshot() {
            let samples = families.entry((kind, family(name))).or_default();
            samples.push((plugin, labels, value));
        }
    }
    for ((kind, name), samples) in &families {
        let (word, is) = match kind {
            Kind::Counted => ("counted", "counter"),
            Kind::Observed => ("observed", "summary"),
        };
        let name = format!("{prefix}_plugin_{word}_{name}");
        writeln!(out, "# HELP {name} A number that plugins keep themselves.")?;
        writeln!(out, "# TYPE {name} {is}")?;
        for (plugin, labels, value) in samples {
            let labels = label_set(plugin, labels)?;
            match value {
                Value::Count(count) => writeln!(out, "{name}_total{labels} {count}")?,
                Value::Observed { count, sum } => {
                    writeln!(out, "{name}_sum{labels} {sum}")?;
                    writeln!(out, "{name}_count{labels} {count}")?;
                }
            }
        }
    }
    Ok(())
}

/// One more `_` for each name that ends so, whatever it has of them already: two names stay two.
fn family(mut name: String) -> String {
    let plain = name.trim_end_matches('_');
    if SUFFIXES.iter().any(|suffix| plain.ends_with(suffix)) {
        name.push('_');
    }
    name
}

fn label_set(plugin: &str, labels: &[(String, String)]) -> Result<String, fmt::Error> {
    let mut text = String::from("{plugin=\"");
    escape(&mut text, plugin);
    for (name, value) in labels {
        let plain = without(name, EXPORTED);
        let exported = if LABELS.contains(&plain) { EXPORTED } else { "" };
        write!(text, "\",{exported}{name}=\"")?;
        escape(&mut text, value);
    }
    text.push_str("\"}");
    Ok(text)
}

/// `text` without any of `prefix` before it.
fn without<'a>(mut text: &'a str, prefix: &str) -> &'a str {
    while let Some(rest) = text.strip_prefix(prefix) {
        text = rest;
    }
    text
}

/// OpenMetrics 1.0, "Escaping".
fn escape(out: &mut String, value: &str) {
    for c in value.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            c => out.push(c),
        }
    }
}
