//! Patterns of room names with the tenant in them: `{tenant}-*`.

use serde::Deserialize;

/// Stands for the tenant, at least one character, as few as fit.
const HOLE: &str = "{tenant}";
/// Longest pattern, in bytes.
const BYTES_MAX: usize = 256;
/// Most stars. Each multiplies the work on a name that does not fit.
const STARS_MAX: usize = 2;
/// Longest room name that is looked at, in bytes. LiveKit allows 256.
const NAME_BYTES_MAX: usize = 1024;

/// What must come, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Star,
    Hole,
}

/// A pattern.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Pattern(Vec<Piece>);

// === impl Pattern ===

impl Pattern {
    /// The tenant's part of `name`, when the whole name fits.
    pub fn part<'n>(&self, name: &'n str) -> Option<&'n str> {
        if name.len() > NAME_BYTES_MAX {
            return None;
        }
        let (start, length) = fit(&self.0, name)??;
        name.get(start..start + length)
    }
}

/// Where the hole is, as start and length in bytes, when `pieces` fit all of `rest`. The inner
/// option is empty where the hole is not among these pieces.
fn fit(pieces: &[Piece], rest: &str) -> Option<Option<(usize, usize)>> {
    let Some((first, others)) = pieces.split_first() else {
        return rest.is_empty().then_some(None);
    };
    let moved = |by: usize, found: Option<(usize, usize)>| found.map(|(at, n)| (at + by, n));
    match first {
        Piece::Text(text) => {
            let after = rest.strip_prefix(text.as_str())?;
            fit(others, after).map(|found| moved(text.len(), found))
        }
        Piece::Star | Piece::Hole => {
            let is_hole = *first == Piece::Hole;
            // The last wildcard takes what is left; to try every length here too would make the
            // work grow with the cube of the name.
            let last = match others {
                [] => Some(""),
                [Piece::Text(text)] => Some(text.as_str()),
                _ => None,
            };
            if let Some(text) = last {
                let length = rest.strip_suffix(text)?.len();
                return match (is_hole, length) {
                    (true, 0) => None,
                    (true, length) => Some(Some((0, length))),
                    (false, _) => Some(None),
                };
            }
            let ends = rest.char_indices().map(|(at, _)| at).chain([rest.len()]);
            ends.filter(|&end| !is_hole || end > 0).find_map(|end| {
                let found = fit(others, rest.get(end..)?)?;
                Some(if is_hole { Some((0, end)) } else { moved(end, found) })
            })
        }
    }
}

impl TryFrom<String> for Pattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let holes = text.matches(HOLE).count();
        let stars = text.matches('*').count();
        if holes != 1 || stars > STARS_MAX || text.len() > BYTES_MAX {
            return Err(format!(
                "{text:?}: write {HOLE} once, * at most {STARS_MAX} times, {BYTES_MAX} bytes in \
                 all, such as \"{HOLE}-*\""
            ));
        }
        let mut pieces = Vec::new();
        let mut rest = text.as_str();
        while let Some(c) = rest.chars().next() {
            if let Some(after) = rest.strip_prefix(HOLE) {
                pieces.push(Piece::Hole);
                rest = after;
            } else if let Some(after) = rest.strip_prefix('*') {
                pieces.push(Piece::Star);
                rest = after;
            } else {
                match pieces.last_mut() {
                    Some(Piece::Text(text)) => text.push(c),
                    _ => pieces.push(Piece::Text(c.to_string())),
                }
                rest = &rest[c.len_utf8()..];
            }
        }
        Ok(Self(pieces))
    }
}
