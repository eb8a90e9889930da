//! An error with all its causes, in one line.

use std::error::Error;

/// The error and what caused it, outermost first.
pub fn of<'e>(error: &'e (dyn Error + 'static)) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    let mut next = Some(error);
    std::iter::from_fn(move || {
        let error = next?;
        next = error.source();
        Some(error)
    })
}

/// `cannot connect: the name is not known`. A cause that the text before it ends with is not said
/// twice: some libraries print their cause and give it as their source too.
pub fn line(error: &(dyn Error + 'static)) -> String {
    let mut line = String::new();
    for cause in of(error) {
        let cause = cause.to_string();
        if line.is_empty() {
            line = cause;
        } else if !line.ends_with(&cause) {
            line.push_str(": ");
            line.push_str(&cause);
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot read it")]
    struct Outer(#[source] io::Error);

    /// As a library that says its cause itself.
    #[derive(Debug, thiserror::Error)]
    #[error("connecting: {0}")]
    struct Chatty(#[source] Outer);

    #[test]
    fn every_cause_is_said_once() {
        let outer = || Outer(io::Error::other("the disk is gone"));
        assert_eq!(line(&outer()), "cannot read it: the disk is gone");
        assert_eq!(line(&Chatty(outer())), "connecting: cannot read it: the disk is gone");
        assert_eq!(of(&Chatty(outer())).count(), 3);
        assert_eq!(line(&io::Error::other("alone")), "alone");
    }
}
