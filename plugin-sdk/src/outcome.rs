//! What a plugin's function may return. Each trait has the plain answer, its containers, and a
//! `Result` of any of them.

use crate::{Draft, Event, Failure};

/// What a `#[filter]` may return: `bool`, or a `Result` of it.
pub trait IntoVerdict {
    /// The answer.
    ///
    /// # Errors
    /// The plugin's own.
    fn into_verdict(self) -> Result<bool, Failure>;
}

/// What a `#[transform]` may return: [`Event`], [`Draft`], an `Option` or `Vec` of either, or a
/// `Result` of any.
pub trait IntoDrafts {
    /// The answer.
    ///
    /// # Errors
    /// The plugin's own.
    fn into_drafts(self) -> Result<Vec<Draft>, Failure>;
}

/// What a `#[route]` may return: a name, an `Option` or `Vec` of names, or a `Result` of any.
pub trait IntoDestinations {
    /// The answer.
    ///
    /// # Errors
    /// The plugin's own.
    fn into_destinations(self) -> Result<Vec<String>, Failure>;
}

/// What an `#[enrich]` may return: an `Option`, `Vec` or array of pairs, or a `Result` of any.
pub trait IntoAttributes {
    /// The answer.
    ///
    /// # Errors
    /// The plugin's own.
    fn into_attributes(self) -> Result<Vec<(String, String)>, Failure>;
}

/// What an `#[action]` may return: `()`, bytes, text, JSON, or a `Result` of any.
pub trait IntoDone {
    /// The answer.
    ///
    /// # Errors
    /// The plugin's own.
    fn into_done(self) -> Result<Vec<u8>, Failure>;
}

impl IntoVerdict for bool {
    fn into_verdict(self) -> Result<bool, Failure> {
        Ok(self)
    }
}

impl<T: IntoVerdict, E: Into<Failure>> IntoVerdict for Result<T, E> {
    fn into_verdict(self) -> Result<bool, Failure> {
        self.map_err(Into::into)?.into_verdict()
    }
}

impl IntoDrafts for Event {
    fn into_drafts(self) -> Result<Vec<Draft>, Failure> {
        Ok(vec![self.into()])
    }
}

impl IntoDrafts for Draft {
    fn into_drafts(self) -> Result<Vec<Draft>, Failure> {
        Ok(vec![self])
    }
}

impl<T: Into<Draft>> IntoDrafts for Option<T> {
    fn into_drafts(self) -> Result<Vec<Draft>, Failure> {
        Ok(self.into_iter().map(Into::into).collect())
    }
}

impl<T: Into<Draft>> IntoDrafts for Vec<T> {
    fn into_drafts(self) -> Result<Vec<Draft>, Failure> {
        Ok(self.into_iter().map(Into::into).collect())
    }
}

impl<T: IntoDrafts, E: Into<Failure>> IntoDrafts for Result<T, E> {
    fn into_drafts(self) -> Result<Vec<Draft>, Failure> {
        self.map_err(Into::into)?.into_drafts()
    }
}

impl IntoDestinations for &str {
    fn into_destinations(self) -> Result<Vec<String>, Failure> {
        Ok(vec![self.to_owned()])
    }
}

impl IntoDestinations for String {
    fn into_destinations(self) -> Result<Vec<String>, Failure> {
        Ok(vec![self])
    }
}

impl<T: Into<String>> IntoDestinations for Option<T> {
    fn into_destinations(self) -> Result<Vec<String>, Failure> {
        Ok(self.into_iter().map(Into::into).collect())
    }
}

impl<T: Into<String>> IntoDestinations for Vec<T> {
    fn into_destinations(self) -> Result<Vec<String>, Failure> {
        Ok(self.into_iter().map(Into::into).collect())
    }
}

impl<T: IntoDestinations, E: Into<Failure>> IntoDestinations for Result<T, E> {
    fn into_destinations(self) -> Result<Vec<String>, Failure> {
        self.map_err(Into::into)?.into_destinations()
    }
}

fn pairs<K: Into<String>, V: Into<String>>(
    pairs: impl IntoIterator<Item = (K, V)>,
) -> Vec<(String, String)> {
    pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect()
}

impl<K: Into<String>, V: Into<String>> IntoAttributes for Option<(K, V)> {
    fn into_attributes(self) -> Result<Vec<(String, String)>, Failure> {
        Ok(pairs(self))
    }
}

impl<K: Into<String>, V: Into<String>> IntoAttributes for Vec<(K, V)> {
    fn into_attributes(self) -> Result<Vec<(String, String)>, Failure> {
        Ok(pairs(self))
    }
}

impl<K: Into<String>, V: Into<String>, const N: usize> IntoAttributes for [(K, V); N] {
    fn into_attributes(self) -> Result<Vec<(String, String)>, Failure> {
        Ok(pairs(self))
    }
}

impl<T: IntoAttributes, E: Into<Failure>> IntoAttributes for Result<T, E> {
    fn into_attributes(self) -> Result<Vec<(String, String)>, Failure> {
        self.map_err(Into::into)?.into_attributes()
    }
}

impl IntoDone for () {
    fn into_done(self) -> Result<Vec<u8>, Failure> {
        Ok(Vec::new())
    }
}

impl IntoDone for Vec<u8> {
    fn into_done(self) -> Result<Vec<u8>, Failure> {
        Ok(self)
    }
}

impl IntoDone for String {
    fn into_done(self) -> Result<Vec<u8>, Failure> {
        Ok(self.into_bytes())
    }
}

impl IntoDone for serde_json::Value {
    fn into_done(self) -> Result<Vec<u8>, Failure> {
        Ok(self.to_string().into_bytes())
    }
}

impl<T: IntoDone, E: Into<Failure>> IntoDone for Result<T, E> {
    fn into_done(self) -> Result<Vec<u8>, Failure> {
        self.map_err(Into::into)?.into_done()
    }
}

#[cfg(test)]
mod tests;
