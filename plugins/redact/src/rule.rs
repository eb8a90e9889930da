//! Which values to remove: a path of member names, in one of two spellings.
//!
//! `room.turnPassword` is a path of names from the top. A name that has a dot in it needs the other
//! spelling, which begins with a slash: `/participant/attributes/sip.phoneNumber`. In both `*`
//! stands for any one name or place in a list, and `**` for any number of them.

/// In the configuration: all the shipped rules.
pub const DEFAULT: &str = "default";
/// Most names in a path.
const NAMES_MAX: usize = 32;

/// Secrets that LiveKit's events are known to carry, and phone numbers.
const SHIPPED: [&str; 21] = [
    "**.turnPassword",
    "**.turn_password",
    "**.streamKey",
    "**.stream_key",
    "**.token",
    "**.accessToken",
    "**.access_token",
    "**.sessionToken",
    "**.session_token",
    "**.password",
    "**.passphrase",
    "**.secret",
    "**.apiSecret",
    "**.api_secret",
    "**.accessKey",
    "**.access_key",
    "**.accountKey",
    "**.account_key",
    "**.credentials",
    "/**/attributes/sip.phoneNumber",
    "/**/attributes/sip.trunkPhoneNumber",
];

/// One path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Name(String),
    Any,
    AnyNumber,
}

// === impl Rule ===

impl Rule {
    /// Parses either spelling.
    ///
    /// # Errors
    /// With the field as written, and what would be right.
    pub fn parse(field: &str) -> Result<Self, String> {
        let names: Vec<&str> = match field.strip_prefix('/') {
            Some(rest) => rest.split('/').collect(),
            None => field.split('.').collect(),
        };
        if names.iter().any(|name| name.is_empty()) {
            return Err(format!(
                "fields: {field:?} has an empty name; write `room.turnPassword`, \
                 or `/participant/attributes/sip.phoneNumber` where names have dots"
            ));
        }
        if names.len() > NAMES_MAX {
            return Err(format!(
                "fields: {field:?} has {} names, at most {NAMES_MAX}",
                names.len()
            ));
        }
        let part = |name: &str| match name {
            "*" => Part::Any,
            "**" => Part::AnyNumber,
            name => Part::Name(name.to_owned()),
        };
        Ok(Self(names.into_iter().map(part).collect()))
    }

    /// Whether the value at `path` is to be removed.
    pub fn matches<N: AsRef<str>>(&self, path: &[N]) -> bool {
        // Nearly every value differs from nearly every rule in its own name already.
        if let (Some(Part::Name(wanted)), Some(name)) = (self.0.last(), path.last())
            && wanted != name.as_ref()
        {
            return false;
        }
        fits(&self.0, path)
    }
}

/// The shipped rules.
pub fn shipped() -> Vec<Rule> {
    SHIPPED.iter().filter_map(|field| Rule::parse(field).ok()).collect()
}

/// As a glob over names: on a mismatch, only the last `**` is tried again, one name further.
fn fits<N: AsRef<str>>(parts: &[Part], path: &[N]) -> bool {
    let (mut part, mut name) = (0, 0);
    let mut again: Option<(usize, usize)> = None;
    while name < path.len() {
        match parts.get(part) {
            Some(Part::AnyNumber) => {
                again = Some((part, name));
                part += 1;
                continue;
            }
            Some(Part::Any) => {
                part += 1;
                name += 1;
                continue;
            }
            Some(Part::Name(wanted)) if wanted == path[name].as_ref() => {
                part += 1;
                name += 1;
                continue;
            }
            Some(Part::Name(_)) | None => {}
        }
        let Some((star, from)) = again else {
            return false;
        };
        again = Some((star, from + 1));
        part = star + 1;
        name = from + 1;
    }
    parts[part..].iter().all(|part| *part == Part::AnyNumber)
}
