//! What a plugin changed, found by comparing what LiveKit sent with what arrived.

use serde_json::Value;

/// The values that differ, and whether everything else is the same to the byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Paths from the top, in order.
    pub paths: Vec<String>,
    /// Whether replacing these values in the text that was sent gives the text that arrived.
    pub is_all: bool,
}

/// Compares two texts that are JSON. Members that are only in one of them make `is_all` false.
pub fn difference(sent: &str, arrived: &str) -> Difference {
    let parse = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_default();
    let mut found = Vec::new();
    walk(String::new(), &parse(sent), &parse(arrived), &mut found);
    let mut expected = sent.to_owned();
    for (_, before, after) in &found {
        expected = expected.replacen(before, after, 1);
    }
    let paths = found.into_iter().map(|(path, _, _)| path).collect();
    Difference { paths, is_all: expected == arrived }
}

/// Path, and the value before and after as JSON.
fn walk(path: String, before: &Value, after: &Value, found: &mut Vec<(String, String, String)>) {
    let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    match (before, after) {
        (Value::Object(before), Value::Object(after)) => {
            for (key, value) in before {
                walk(below(key), value, after.get(key).unwrap_or(&Value::Null), found);
            }
        }
        (Value::Array(before), Value::Array(after)) if before.len() == after.len() => {
            for (at, (before, after)) in before.iter().zip(after).enumerate() {
                walk(below(&at.to_string()), before, after, found);
            }
        }
        (before, after) if before == after => {}
        (before, after) => found.push((path, before.to_string(), after.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_removed_value_is_found_and_the_rest_is_compared_to_the_byte() {
        let sent = r#"{"a":{"b":"secret","n":1.0},"c":["x","y"]}"#;
        let check = |arrived: &str, paths: &[&str], is_all| {
            let paths = paths.iter().map(|path| (*path).to_owned()).collect();
            assert_eq!(difference(sent, arrived), Difference { paths, is_all }, "{arrived}");
        };
        check(sent, &[], true);
        check(r#"{"a":{"b":"[redacted]","n":1.0},"c":["x","y"]}"#, &["a.b"], true);
        check(r#"{"a":{"b":"secret","n":1.0},"c":["x","z"]}"#, &["c.1"], true);
        check(r#"{"a":{"b":"[redacted]","n":1.0}, "c":["x","y"]}"#, &["a.b"], false);
        check(r#"{"a":{"b":"secret","n":1.0},"c":["x","y"],"d":1}"#, &[], false);
    }
}
