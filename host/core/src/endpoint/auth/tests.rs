use super::*;
use crate::endpoint::PlainHttp;
use proptest::prelude::*;

fn secret(text: &str) -> Secret {
    Secret::new(text.as_bytes().to_vec()).unwrap()
}

fn credentials(id: &str, hush: &str, scope: Option<&str>, how: ClientAuth) -> TokenRequest {
    let url = EndpointUrl::parse("https://id.example.com/token", PlainHttp::Refused).unwrap();
    ClientCredentials::new(url, id, secret(hush), scope, how).unwrap().request()
}

/// RFC 7617, sections 2 and 2.1.
#[test]
fn basic_known_answers() {
    let value = |user, password| Auth::basic(user, secret(password)).unwrap().authorization();
    let expect = Some("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==".to_owned());
    assert_eq!(value("Aladdin", "open sesame"), expect);
    assert_eq!(value("test", "123£"), Some("Basic dGVzdDoxMjPCow==".to_owned()));
}

#[test]
fn bearer_is_sent_as_it_is() {
    let auth = Auth::bearer(secret("mF_9.B5f-4.1JqM")).unwrap();
    assert_eq!(auth.authorization(), Some("Bearer mF_9.B5f-4.1JqM".to_owned()));
    for token in ["a b", "a\r\nx: y", "ä", "a\n"] {
        assert_eq!(Auth::bearer(secret(token)), Err(Error::Token), "{token:?}");
    }
}

#[test]
fn basic_takes_what_can_be_told_apart_again() {
    for user in ["", "a:b", "a\n", &"x".repeat(1_025)] {
        assert_eq!(Auth::basic(user, secret("p")), Err(Error::User), "{user:?}");
    }
    assert_eq!(Auth::basic("u", secret("a\r\n")), Err(Error::Password));
    assert_eq!(Auth::basic("u", Secret::new(vec![0xff]).unwrap()), Err(Error::Password));
    assert!(Auth::basic("u", secret("a:b")).is_ok());
}

/// RFC 6749, section 4.4.2, with the client of section 2.3.1.
#[test]
fn the_token_request_is_the_one_of_the_rfc() {
    let asked = credentials("s6BhdRkqt3", "7Fjfp0ZBr1KtDRbnfVdmIw", None, ClientAuth::Basic);
    let expect = "Basic czZCaGRSa3F0Mzo3RmpmcDBaQnIxS3REUmJuZlZkbUl3";
    assert_eq!(asked.authorization.as_deref(), Some(expect));
    assert_eq!(asked.body, "grant_type=client_credentials");
    let asked = credentials("a b", "p&=+%", Some("read write:x"), ClientAuth::Body);
    assert_eq!(asked.authorization, None);
    let expect = "grant_type=client_credentials&scope=read+write%3Ax&client_id=a+b&client_secret=p%26%3D%2B%25";
    assert_eq!(asked.body, expect);
    // Encoded before they are joined, so that a colon in the id does not end it.
    let asked = credentials("a:b", "c", None, ClientAuth::Basic).authorization.unwrap();
    assert_eq!(asked, format!("Basic {}", STANDARD.encode("a%3Ab:c")));
}

#[test]
fn credentials_have_limits() {
    let url = || EndpointUrl::parse("https://id.example.com/", PlainHttp::Refused).unwrap();
    let made = |id: &str, hush: &str, scope: Option<&str>| {
        ClientCredentials::new(url(), id, secret(hush), scope, ClientAuth::Basic).err()
    };
    assert_eq!(made("id", "hush", Some("a b")), None);
    assert_eq!(made("", "hush", None), Some(Error::ClientId));
    assert_eq!(made("ä", "hush", None), Some(Error::ClientId));
    assert_eq!(made("id", "h\n", None), Some(Error::ClientSecret));
    for scope in ["", " a", "a  b", "a\n"] {
        assert_eq!(made("id", "hush", Some(scope)), Some(Error::Scope), "{scope:?}");
    }
}

#[test]
fn debug_shows_no_secret() {
    let url = EndpointUrl::parse("https://id.example.com/", PlainHttp::Refused).unwrap();
    let oauth = ClientCredentials::new(url, "id", secret("hush"), None, ClientAuth::Basic);
    let ways = [
        Auth::basic("u", secret("hush")).unwrap(),
        Auth::bearer(secret("hush")).unwrap(),
        Auth::OAuth2(oauth.unwrap()),
    ];
    assert!(!format!("{ways:?}").contains("hush"), "{ways:?}");
}

proptest! {
    /// Whatever is accepted makes one header value of printable ASCII.
    #[test]
    fn what_is_accepted_can_be_sent(user in "\\PC{0,20}", hush in "\\PC{1,20}") {
        let values = [
            Auth::basic(&user, secret(&hush)).ok(),
            Auth::bearer(secret(&hush)).ok(),
        ];
        for value in values.into_iter().flatten().filter_map(|auth| auth.authorization()) {
            prop_assert!(value.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{}", value);
        }
    }
}
