//! Secrets and where they come from. The one place that reads the environment.

use super::reader::Section;
use crate::vault::{KEY_BYTES, KEYS_MAX, SealingKey, Vault};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::collections::HashMap;
use std::fmt;
use std::path::Path;

/// Largest file with a secret, in bytes.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// A secret. `Debug` does not print it.
#[derive(Clone, PartialEq, Eq)]
pub struct Bytes(Vec<u8>);

/// Where variables come from.
#[derive(Clone, Debug, Default)]
pub struct Environment(Option<HashMap<String, String>>);

// === impl Bytes ===

impl Bytes {
    /// The bytes, for the one who signs or verifies.
    pub fn reveal(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

// === impl Environment ===

impl Environment {
    /// The process's own.
    pub fn process() -> Self {
        Self(None)
    }

    /// These and no others, for tests.
    pub fn of<const N: usize>(variables: [(&str, &str); N]) -> Self {
        let owned = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Self(Some(HashMap::from(owned)))
    }

    #[expect(clippy::disallowed_methods, reason = "this is the file the ban points to")]
    fn get(&self, name: &str) -> Option<String> {
        match &self.0 {
            Some(variables) => variables.get(name).cloned(),
            None => std::env::var(name).ok(),
        }
    }
}

/// Takes `secret_file`, `secret_env` or `secret` from `section`; exactly one must be there. A
/// file's last line end is not part of its secret: editors put it there.
pub fn take(section: &mut Section, folder: &Path, environment: &Environment) -> Option<Bytes> {
    let file = section.string("secret_file");
    let variable = section.string("secret_env");
    let inline = section.string("secret");
    let (key, found) = match (file, variable, inline) {
        (Some(file), None, None) => ("secret_file", read(&folder.join(file))),
        (None, Some(name), None) => {
            let missing = || format!("the variable {name} is not set");
            ("secret_env", environment.get(&name).map(String::into_bytes).ok_or_else(missing))
        }
        (None, None, Some(text)) => ("secret", Ok(text.into_bytes())),
        (None, None, None) => {
            let text = "is missing: give secret_file, secret_env or, for trying things out, secret";
            section.problem("secret_file", text);
            return None;
        }
        _ => {
            section.problem("secret_file", "give only one of secret_file, secret_env and secret");
            return None;
        }
    };
    match found {
        Ok(bytes) if bytes.is_empty() => section.problem(key, "the secret is empty"),
        Ok(bytes) => return Some(Bytes(bytes)),
        Err(text) => section.problem(key, text),
    }
    None
}

/// Takes `password_file` or `password_env` from `section`, or nothing when neither is there.
pub fn password(section: &mut Section, folder: &Path, environment: &Environment) -> Option<Bytes> {
    let file = section.string("password_file");
    let variable = section.string("password_env");
    let (key, found) = match (file, variable) {
        (None, None) => return None,
        (Some(file), None) => ("password_file", read(&folder.join(file))),
        (None, Some(name)) => {
            let missing = || format!("the variable {name} is not set");
            ("password_env", environment.get(&name).map(String::into_bytes).ok_or_else(missing))
        }
        (Some(_), Some(_)) => {
            section.problem("password_file", "give only one of password_file and password_env");
            return None;
        }
    };
    match found {
        Ok(bytes) if bytes.is_empty() => section.problem(key, "the password is empty"),
        Ok(bytes) => return Some(Bytes(bytes)),
        Err(text) => section.problem(key, text),
    }
    None
}

/// `[secrets] keys`: the first seals, all open.
pub fn vault(mut section: Section, folder: &Path, environment: &Environment) -> Vault {
    let mut keys: Vec<SealingKey> = Vec::new();
    let sections = section.sections("keys");
    if sections.len() > KEYS_MAX {
        section.problem("keys", format_args!("at most {KEYS_MAX} are allowed"));
    }
    for mut one in sections {
        let id = one.required_string("id", "k1");
        let bytes = take(&mut one, folder, environment);
        if let (Some(id), Some(bytes)) = (id, bytes) {
            let text = bytes.reveal().trim_ascii();
            // What is not base64 has a wrong length, too.
            let bytes = STANDARD.decode(text).unwrap_or_default();
            match SealingKey::new(&id, &bytes) {
                Ok(_) if keys.iter().any(|key| key.id() == id) => {
                    one.problem("id", format_args!("{id:?} stands twice"));
                }
                Ok(key) => keys.push(key),
                Err(error) if bytes.len() == KEY_BYTES => one.problem("id", error),
                Err(error) => one.problem("secret", error),
            }
        }
        one.finish();
    }
    section.finish();
    Vault::new(keys)
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let unreadable = |error: std::io::Error| format!("cannot read {}: {error}", path.display());
    let secret = super::read_bounded(path, FILE_BYTES_MAX).map_err(unreadable)?;
    let mut secret =
        secret.ok_or_else(|| format!("{} is over {FILE_BYTES_MAX} bytes", path.display()))?;
    if secret.last() == Some(&b'\n') {
        secret.pop();
        if secret.last() == Some(&b'\r') {
            secret.pop();
        }
    }
    Ok(secret)
}
