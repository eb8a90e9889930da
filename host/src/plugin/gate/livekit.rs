//! A guest's questions to the LiveKit server of the event's source, as far as they are granted.

use super::Pass;
use super::count::DENIED;
use crate::plugin::learn::Use;
use crate::plugin::limits;
use crate::plugin::outside::{LiveKitError, Question};
use bytes::Bytes;

/// Why there is no answer. The texts are for the guest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Not granted, or nobody to ask.
    #[error("{0}")]
    Denied(String),
    /// No answer now.
    #[error("{0}")]
    Unavailable(String),
    /// What came.
    #[error("{0}")]
    TooLarge(String),
    /// No question, or one more than is allowed.
    #[error("{0}")]
    Other(String),
}

// === impl Error ===

impl Error {
    /// As in the metrics.
    fn word(&self) -> &'static str {
        match self {
            Self::Denied(_) => DENIED,
            Self::Unavailable(_) => "unavailable",
            Self::TooLarge(_) => "too_large",
            Self::Other(_) => "other",
        }
    }
}

// === impl Pass ===

impl Pass {
    /// Asks. `None` when what was asked for is not there.
    pub async fn ask(&self, question: Question) -> Result<Option<Bytes>, Error> {
        self.counted("livekit", Error::word, self.try_ask(question)).await
    }

    async fn try_ask(&self, question: Question) -> Result<Option<Bytes>, Error> {
        let function = question.function();
        if !self.door.permissions.livekit.contains(&function) {
            return Err(Error::Denied(format!("{} is not granted", function.as_str())));
        }
        self.count(&self.questions, limits::LIVEKIT_QUESTIONS).map_err(Error::Other)?;
        let max = self.door.limits.size(limits::LIVEKIT_NAME_BYTES);
        if names(&question).any(|name| name.len() > max) {
            return Err(Error::Other(format!("a name has at most {max} bytes")));
        }
        self.learn(Use::LiveKit(function));
        let Some(outside) = &self.door.outside else {
            return Err(Error::Denied("there is nothing outside".to_owned()));
        };
        let left = self.left();
        match tokio::time::timeout(left, outside.livekit.ask(&self.source, question)).await {
            Ok(answer) => self.within(answer?),
            Err(_) => {
                let text = format!("LiveKit did not answer within {} ms", left.as_millis());
                Err(Error::Unavailable(text))
            }
        }
    }

    fn within(&self, answer: Option<Bytes>) -> Result<Option<Bytes>, Error> {
        let max = self.door.limits.size(limits::LIVEKIT_ANSWER_BYTES);
        match answer {
            Some(answer) if answer.len() > max => Err(LiveKitError::TooLarge { max }.into()),
            answer => Ok(answer),
        }
    }
}

fn names(question: &Question) -> impl Iterator<Item = &str> {
    let (first, second) = match question {
        Question::Room(room) | Question::Participants(room) | Question::Egress(room) => {
            (room, None)
        }
        Question::Participant { room, identity } => (room, Some(identity)),
    };
    std::iter::once(first).chain(second).map(String::as_str)
}

impl From<LiveKitError> for Error {
    fn from(error: LiveKitError) -> Self {
        let text = error.to_string();
        match error {
            LiveKitError::NoServer(_) => Self::Denied(text),
            LiveKitError::Unavailable(_) => Self::Unavailable(text),
            LiveKitError::TooLarge { .. } => Self::TooLarge(text),
        }
    }
}
