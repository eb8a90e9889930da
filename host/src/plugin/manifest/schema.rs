//! The JSON Schema of a plugin's configuration: checked itself, then used to fill in what is left
//! out and to say what is wrong.
//!
//! A schema comes with a stranger's file, so it is bounded: `$ref` leads to `#/$defs/…` of the same
//! schema and nowhere else, never in a circle, patterns are matched in linear time, and what all
//! references together unfold to has a limit. Our one keyword is `"secret": true`.

use jsonschema::{PatternOptions, Validator};
use serde_json::{Map, Value};

/// Where a schema's own parts are.
const DEFS: &str = "#/$defs/";
/// Subschemas, each counted as often as references lead to it.
const SUBSCHEMAS_MAX: usize = 10_000;
/// Bytes of a compiled pattern.
const PATTERN_BYTES_MAX: usize = 1 << 20;
/// Problems of one configuration that are told.
const PROBLEMS_MAX: usize = 32;
/// Keywords that could lead out of the schema, or in a circle that is not seen here.
const FORBIDDEN: [&str; 6] =
    ["$dynamicRef", "$recursiveRef", "$id", "id", "$dynamicAnchor", "$recursiveAnchor"];
/// Keywords with schemas for the same value.
const SAME: [&str; 8] =
    ["allOf", "anyOf", "oneOf", "if", "then", "else", "not", "dependentSchemas"];
/// Keywords with schemas for items or members that have no name here.
const WITHIN: [&str; 8] = [
    "items",
    "prefixItems",
    "additionalItems",
    "contains",
    "additionalProperties",
    "patternProperties",
    "unevaluatedItems",
    "unevaluatedProperties",
];
/// Keywords whose value is data and not a schema.
const DATA: [&str; 4] = ["default", "const", "enum", "examples"];
/// Keywords whose members are schemas under names of the author's.
const NAMED: [&str; 5] =
    ["properties", "$defs", "patternProperties", "dependentSchemas", "definitions"];

/// A schema that can be used.
#[derive(Debug)]
pub struct Schema {
    document: Value,
    validator: Validator,
}

/// Steps of a path within a configuration: names, places in a list, or `*` for any of them.
pub type Path = Vec<String>;

// === impl Schema ===

impl Schema {
    /// Checks and compiles one.
    ///
    /// # Errors
    /// Every problem, with its place in the schema.
    pub fn new(document: &Value) -> Result<Self, Vec<String>> {
        let mut problems = Vec::new();
        if document.get("type").and_then(Value::as_str) != Some("object") {
            problems.push("config.type: must be \"object\"".to_owned());
        }
        walk(document, document, "config", &mut problems);
        if !problems.is_empty() {
            return Err(problems);
        }
        let mut left = SUBSCHEMAS_MAX;
        unfold(document, document, &mut Vec::new(), &mut left).map_err(|text| vec![text])?;
        let patterns = PatternOptions::regex().size_limit(PATTERN_BYTES_MAX);
        let validator = jsonschema::options()
            .with_pattern_options(patterns)
            .offline()
            .build(document)
            .map_err(|error| vec![format!("{}: {error}", path("config", &error))])?;
        let schema = Self { document: document.clone(), validator };
        match schema.false_default() {
            None => Ok(schema),
            Some(problem) => Err(vec![problem]),
        }
    }

    /// `config` with the defaults of what is left out.
    pub fn fill(&self, config: &mut Value) {
        self.fill_at(&self.document, config);
    }

    /// Everything that is wrong with `config`, each with its place. A secret is not quoted.
    pub fn problems(&self, config: &Value) -> Vec<String> {
        let secrets = self.secrets();
        let errors = self.validator.iter_errors(config).take(PROBLEMS_MAX);
        let text = |error: jsonschema::ValidationError<'_>| {
            let at = path("config", &error);
            let steps = error.instance_path().to_string();
            let hidden = secrets.iter().any(|secret| touches(secret, &steps));
            if hidden { format!("{at}: {}", error.masked()) } else { format!("{at}: {error}") }
        };
        errors.map(text).collect()
    }

    /// Where secrets may stand.
    pub fn secrets(&self) -> Vec<Path> {
        let mut found = Vec::new();
        self.secrets_at(&self.document, &mut Vec::new(), &mut found);
        found
    }

    /// A default that its own schema refuses would be found by operators only.
    fn false_default(&self) -> Option<String> {
        let mut config = Value::Object(Map::new());
        self.fill(&mut config);
        // What is required and has no default is for the operator to give.
        let mut errors = self.validator.iter_errors(&config);
        let wrong = errors.find(|error| {
            !matches!(error.kind(), jsonschema::error::ValidationErrorKind::Required { .. })
                && !error.instance_path().to_string().is_empty()
        });
        wrong.map(|error| format!("{}: its default is refused: {error}", path("config", &error)))
    }

    fn fill_at(&self, schema: &Value, value: &mut Value) {
        let schema = self.resolved(schema);
        match value {
            Value::Object(members) => {
                let Some(Value::Object(properties)) = schema.get("properties") else {
                    return;
                };
                for (name, property) in properties {
                    let property = self.resolved(property);
                    if !members.contains_key(name)
                        && let Some(default) = property.get("default")
                    {
                        members.insert(name.clone(), default.clone());
                    }
                    if let Some(member) = members.get_mut(name) {
                        self.fill_at(property, member);
                    }
                }
            }
            Value::Array(items) => {
                let Some(each) = schema.get("items").filter(|each| each.is_object()) else {
                    return;
                };
                for item in items {
                    self.fill_at(each, item);
                }
            }
            _ => {}
        }
    }

    fn secrets_at(&self, schema: &Value, steps: &mut Path, found: &mut Vec<Path>) {
        let schema = self.resolved(schema);
        if schema.get("secret") == Some(&Value::Bool(true)) {
            found.push(steps.clone());
            return;
        }
        if let Some(Value::Object(properties)) = schema.get("properties") {
            for (name, property) in properties {
                steps.push(name.clone());
                self.secrets_at(property, steps, found);
                steps.pop();
            }
        }
        for each in SAME.iter().flat_map(|keyword| several(schema, keyword)) {
            self.secrets_at(each, steps, found);
        }
        for keyword in WITHIN {
            // A list of schemas is one for each item of that place.
            let is_placed = schema.get(keyword).is_some_and(Value::is_array);
            for (place, each) in several(schema, keyword).into_iter().enumerate() {
                steps.push(if is_placed { place.to_string() } else { "*".to_owned() });
                self.secrets_at(each, steps, found);
                steps.pop();
            }
        }
    }

    /// The schema itself, or the one it refers to. No reference leads in a circle.
    fn resolved<'a>(&'a self, mut schema: &'a Value) -> &'a Value {
        while let Some(target) = referred(&self.document, schema) {
            schema = target;
        }
        schema
    }
}

/// The schemas of a keyword: one, a list of them, or some under names. Each once, so that all of them
/// are no more than the schema unfolds to.
fn several<'a>(schema: &'a Value, keyword: &str) -> Vec<&'a Value> {
    match schema.get(keyword) {
        Some(Value::Array(items)) => items.iter().collect(),
        Some(Value::Object(members)) if NAMED.contains(&keyword) => members.values().collect(),
        Some(one) => vec![one],
        None => Vec::new(),
    }
}

/// What a `$ref` leads to.
fn referred<'a>(document: &'a Value, schema: &Value) -> Option<&'a Value> {
    let name = schema.get("$ref")?.as_str()?.strip_prefix(DEFS)?;
    document.get("$defs")?.get(name)
}

/// Notes what is not allowed anywhere in a schema.
fn walk(document: &Value, schema: &Value, at: &str, problems: &mut Vec<String>) {
    match schema {
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                walk(document, item, &format!("{at}[{index}]"), problems);
            }
        }
        Value::Object(members) => {
            for (key, value) in members {
                let at = format!("{at}.{key}");
                if FORBIDDEN.contains(&key.as_str()) {
                    problems.push(format!("{at}: not supported; use $ref with {DEFS}NAME"));
                } else if key == "$ref" {
                    if referred(document, schema).is_none() {
                        problems.push(format!("{at}: {value} must be {DEFS}NAME of this schema"));
                    }
                } else if key == "secret" {
                    if !value.is_boolean() {
                        problems.push(format!("{at}: must be true or false"));
                    }
                } else if NAMED.contains(&key.as_str())
                    && let Value::Object(named) = value
                {
                    for (name, schema) in named {
                        walk(document, schema, &format!("{at}.{name}"), problems);
                    }
                } else if !DATA.contains(&key.as_str()) {
                    walk(document, value, &at, problems);
                }
            }
        }
        _ => {}
    }
}

/// Counts every subschema along every reference, and follows none twice on one way.
fn unfold<'a>(
    document: &'a Value,
    schema: &'a Value,
    way: &mut Vec<&'a str>,
    left: &mut usize,
) -> Result<(), String> {
    *left = left.checked_sub(1).ok_or_else(|| {
        format!("config: its references unfold to more than {SUBSCHEMAS_MAX} schemas")
    })?;
    match schema {
        Value::Array(items) => {
            for item in items {
                unfold(document, item, way, left)?;
            }
        }
        Value::Object(members) => {
            for (key, value) in members {
                if key == "$ref"
                    && let (Some(name), Some(target)) = (value.as_str(), referred(document, schema))
                {
                    if way.contains(&name) {
                        return Err(format!("config: {name} refers to itself"));
                    }
                    way.push(name);
                    unfold(document, target, way, left)?;
                    way.pop();
                } else if NAMED.contains(&key.as_str())
                    && let Value::Object(named) = value
                {
                    for schema in named.values() {
                        unfold(document, schema, way, left)?;
                    }
                } else if !DATA.contains(&key.as_str()) {
                    unfold(document, value, way, left)?;
                }
            }
        }
        _ => {}
    }
    Ok(())
}

/// `config.fields[0]`: where in the configuration the error is.
fn path(root: &str, error: &jsonschema::ValidationError<'_>) -> String {
    let mut text = root.to_owned();
    for step in error.instance_path().to_string().split('/').skip(1) {
        let step = step.replace("~1", "/").replace("~0", "~");
        if !step.is_empty() && step.bytes().all(|b| b.is_ascii_digit()) {
            text.push_str(&format!("[{step}]"));
        } else {
            text.push('.');
            text.push_str(&step);
        }
    }
    text
}

/// Whether the value at pointer `steps` is a secret, is within one, or has one in it.
fn touches(secret: &[String], steps: &str) -> bool {
    let steps = steps.split('/').skip(1);
    secret.iter().zip(steps).all(|(step, found)| step == "*" || step == found)
}

#[cfg(test)]
mod tests;
