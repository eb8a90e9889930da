//! How we tell an endpoint who asks: what goes into `Authorization`.

use super::EndpointUrl;
use crate::signature::Secret;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Longest user name, client id or scope, in bytes.
pub const NAMED_BYTES_MAX: usize = 1_024;

/// One way to authenticate. Made by the functions that check it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Auth {
    /// RFC 7617. [`Auth::basic`].
    Basic {
        /// Without a colon.
        user: String,
        /// Any text.
        password: Secret,
    },
    /// RFC 6750, a token that does not change. [`Auth::bearer`].
    Bearer(Secret),
    /// RFC 6749, section 4.4: a token that we fetch.
    OAuth2(ClientCredentials),
}

/// Where a token comes from. RFC 6749, section 4.4.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ClientCredentials {
    token_url: EndpointUrl,
    client_id: String,
    client_secret: Secret,
    scope: Option<String>,
    client_auth: ClientAuth,
}

/// How the token endpoint is told who asks. RFC 6749, section 2.3.1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ClientAuth {
    /// In `Authorization`: what every server must understand.
    #[default]
    Basic,
    /// In the form: for servers that do not.
    Body,
}

/// What is posted to the token endpoint, as `application/x-www-form-urlencoded`.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenRequest {
    /// Value of `Authorization`.
    pub authorization: Option<String>,
    /// The form.
    pub body: String,
}

/// What is wrong with a way to authenticate. Never holds a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Would end early, or could not be sent.
    #[error("a user name has 1 to {NAMED_BYTES_MAX} bytes, no colon and no control characters")]
    User,
    /// Not a text.
    #[error("a password is UTF-8 without control characters")]
    Password,
    /// Not a token.
    #[error("a token has printable ASCII characters and no spaces")]
    Token,
    /// Not an id.
    #[error("a client id has 1 to {NAMED_BYTES_MAX} printable ASCII characters")]
    ClientId,
    /// Not a text.
    #[error("a client secret has printable ASCII characters only")]
    ClientSecret,
    /// Not a scope.
    #[error("a scope is a list of words of printable ASCII, separated by single spaces")]
    Scope,
}

// === impl Auth ===

impl Auth {
    /// User name and password.
    ///
    /// # Errors
    /// [`Error::User`], [`Error::Password`].
    pub fn basic(user: &str, password: Secret) -> Result<Self, Error> {
        let long = user.is_empty() || user.len() > NAMED_BYTES_MAX;
        if long || user.contains(':') || user.contains(char::is_control) {
            return Err(Error::User);
        }
        let text = std::str::from_utf8(password.reveal()).map_err(|_| Error::Password)?;
        if text.contains(char::is_control) {
            return Err(Error::Password);
        }
        Ok(Self::Basic { user: user.to_owned(), password })
    }

    /// A token as it is.
    ///
    /// # Errors
    /// [`Error::Token`].
    pub fn bearer(token: Secret) -> Result<Self, Error> {
        if token.reveal().iter().all(u8::is_ascii_graphic) {
            Ok(Self::Bearer(token))
        } else {
            Err(Error::Token)
        }
    }

    /// The value of `Authorization`, where it is known without asking anybody.
    pub fn authorization(&self) -> Option<String> {
        match self {
            Self::Basic { user, password } => Some(basic(user.as_bytes(), password.reveal())),
            Self::Bearer(token) => {
                Some(format!("Bearer {}", String::from_utf8_lossy(token.reveal())))
            }
            Self::OAuth2(_) => None,
        }
    }
}

// === impl ClientCredentials ===

impl ClientCredentials {
    /// Checks them together.
    ///
    /// # Errors
    /// [`Error::ClientId`], [`Error::ClientSecret`], [`Error::Scope`].
    pub fn new(
        token_url: EndpointUrl,
        client_id: &str,
        client_secret: Secret,
        scope: Option<&str>,
        client_auth: ClientAuth,
    ) -> Result<Self, Error> {
        let fits = |bytes: &[u8]| bytes.iter().all(|byte| matches!(byte, b' '..=b'~'));
        let named = |text: &str| (1..=NAMED_BYTES_MAX).contains(&text.len());
        if !named(client_id) || !fits(client_id.as_bytes()) {
            return Err(Error::ClientId);
        }
        if !fits(client_secret.reveal()) {
            return Err(Error::ClientSecret);
        }
        let word = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_graphic());
        if scope.is_some_and(|scope| !named(scope) || !scope.split(' ').all(word)) {
            return Err(Error::Scope);
        }
        let (client_id, scope) = (client_id.to_owned(), scope.map(str::to_owned));
        Ok(Self { token_url, client_id, client_secret, scope, client_auth })
    }

    /// Who gives tokens out.
    pub fn token_url(&self) -> &EndpointUrl {
        &self.token_url
    }

    /// Who we are there.
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// What for.
    pub fn scope(&self) -> Option<&str> {
        self.scope.as_deref()
    }

    /// How we tell who we are.
    pub fn client_auth(&self) -> ClientAuth {
        self.client_auth
    }

    /// What to post.
    pub fn request(&self) -> TokenRequest {
        let id = form_encoded(self.client_id.as_bytes());
        let secret = form_encoded(self.client_secret.reveal());
        let mut body = "grant_type=client_credentials".to_owned();
        if let Some(scope) = &self.scope {
            body.push_str(&format!("&scope={}", form_encoded(scope.as_bytes())));
        }
        let authorization = match self.client_auth {
            ClientAuth::Basic => Some(basic(id.as_bytes(), secret.as_bytes())),
            ClientAuth::Body => {
                body.push_str(&format!("&client_id={id}&client_secret={secret}"));
                None
            }
        };
        TokenRequest { authorization, body }
    }
}

fn basic(user: &[u8], password: &[u8]) -> String {
    format!("Basic {}", STANDARD.encode([user, b":", password].concat()))
}

/// `application/x-www-form-urlencoded`. RFC 6749, appendix B.
fn form_encoded(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for &byte in bytes {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'*' => {
                text.push(char::from(byte));
            }
            b' ' => text.push('+'),
            other => text.push_str(&format!("%{other:02X}")),
        }
    }
    text
}

#[cfg(test)]
mod tests;
