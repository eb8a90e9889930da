//! What LiveKit would make of an answer (livekit/protocol 1.52.1, `ResourceURLNotifier`,
//! hashicorp/go-retryablehttp).

/// Attempts LiveKit makes in all.
pub const ATTEMPTS: u32 = 5;

/// What follows an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Received, and LiveKit knows it.
    Delivered,
    /// LiveKit counts it as delivered, so the receiver has lost it for good.
    Lost,
    /// LiveKit sends it again.
    Retried,
    /// LiveKit's client follows the redirect with a GET that has no body.
    RedirectedWithoutBody,
    /// LiveKit's client sends the request again to the other address.
    Redirected,
}

impl Fate {
    /// By the status code alone, as LiveKit decides.
    pub fn of(status: u16) -> Self {
        match status {
            200..=299 => Self::Delivered,
            301..=303 => Self::RedirectedWithoutBody,
            307 | 308 => Self::Redirected,
            429 | 500 | 502..=599 => Self::Retried,
            _ => Self::Lost,
        }
    }

    /// In plain words.
    pub fn explain(self) -> &'static str {
        match self {
            Self::Delivered => "LiveKit counts this as delivered.",
            Self::Lost => {
                "LiveKit counts this as delivered and never sends it again: the event is lost."
            }
            Self::Retried => {
                "LiveKit sends this again, 5 attempts in 15 seconds in all; then the event is lost."
            }
            Self::RedirectedWithoutBody => {
                "LiveKit follows this redirect with a GET without a body: the event is lost. \
                 Use the final address."
            }
            Self::Redirected => {
                "LiveKit repeats the POST at the new address, without Authorization if the host \
                 differs. Use the final address."
            }
        }
    }
}

/// What follows when there was no answer at all.
pub const NO_ANSWER: &str = "Without an answer LiveKit tries again, 5 attempts in 15 seconds in all \
     (a certificate that is not trusted is not retried); then the event is lost.";
