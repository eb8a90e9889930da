//! Which events an endpoint gets, and through which plugins.

use crate::endpoint::Name;
use livekit_webhook_wire::glob::Glob;

/// Most patterns of one kind in a subscription.
pub const PATTERNS_MAX: usize = 64;
/// Most plugins in a chain.
pub const PLUGINS_MAX: usize = 16;

/// An endpoint, the events it gets, the rooms they may be from, and the plugins they go through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    endpoint: Name,
    sources: Vec<String>,
    events: Vec<Glob>,
    rooms: Vec<Glob>,
    plugins: Vec<String>,
}

/// Which limit a subscription passes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a subscription has at most {max} {what}, this one has {count}")]
pub struct Error {
    what: &'static str,
    count: usize,
    max: usize,
}

// === impl Subscription ===

impl Subscription {
    /// Puts one together. No sources means every source, no event patterns every event, no room
    /// patterns every room.
    ///
    /// # Errors
    /// When there are more than [`PATTERNS_MAX`] patterns of a kind or [`PLUGINS_MAX`] plugins.
    pub fn new(
        endpoint: Name,
        sources: Vec<String>,
        events: Vec<Glob>,
        rooms: Vec<Glob>,
        plugins: Vec<String>,
    ) -> Result<Self, Error> {
        for (what, count, max) in [
            ("event patterns", events.len(), PATTERNS_MAX),
            ("room patterns", rooms.len(), PATTERNS_MAX),
            ("plugins", plugins.len(), PLUGINS_MAX),
        ] {
            if count > max {
                return Err(Error { what, count, max });
            }
        }
        Ok(Self { endpoint, sources, events, rooms, plugins })
    }

    /// Where its events go.
    pub fn endpoint(&self) -> &Name {
        &self.endpoint
    }

    /// Configured names of the sources it takes from; empty: all.
    pub fn sources(&self) -> &[String] {
        &self.sources
    }

    /// Patterns of event types; empty: all.
    pub fn events(&self) -> &[Glob] {
        &self.events
    }

    /// Patterns of room names; empty: all.
    pub fn rooms(&self) -> &[Glob] {
        &self.rooms
    }

    /// Configured plugin names, in the order they are called.
    pub fn plugins(&self) -> &[String] {
        &self.plugins
    }

    /// Whether an event of type `kind` from `room` of `source` belongs to it. An event without a
    /// room passes only where every room does: a subscription to `prod-*` did not ask for what
    /// belongs to no room.
    pub fn matches(&self, source: &str, kind: &str, room: Option<&str>) -> bool {
        let fits = |globs: &[Glob], name: &str| globs.iter().any(|glob| glob.matches(name));
        let source_fits = self.sources.is_empty() || self.sources.iter().any(|one| one == source);
        let kind_fits = self.events.is_empty() || fits(&self.events, kind);
        let room_fits = self.rooms.is_empty()
            || match room {
                Some(room) => fits(&self.rooms, room),
                None => self.rooms.iter().any(|glob| glob.as_str() == "*"),
            };
        source_fits && kind_fits && room_fits
    }
}

#[cfg(test)]
mod tests;
