use super::*;
use crate::signature::Signing;
use proptest::prelude::*;

/// The vectors of the scheme's reference implementations: the libraries' for `v1`, the server's for
/// `v1a`.
const SHARED: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const SHARED_SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
const PRIVATE: &str =
    "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==";
const PUBLIC: &str = "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=";
const PRIVATE_SIGNATURE: &str =
    "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg==";
const AT: i64 = 1_614_265_330;

fn at(offset_s: i64) -> Timestamp {
    Timestamp::from_millis((AT + offset_s) * 1_000)
}

fn secret(text: &str) -> StandardSecret {
    StandardSecret::parse(text).unwrap()
}

fn window(seed: u8, begins: Option<i64>, expires: Option<i64>) -> StandardSecret {
    StandardSecret::generate([seed; 32]).within(begins.map(at), expires.map(at)).unwrap()
}

/// The signatures that `secrets` make `offset_s` after the vectors' time.
fn signatures(secrets: Vec<StandardSecret>, offset_s: i64) -> Result<Vec<String>, Error> {
    let signed = Signed {
        webhook_id: "msg_p5jXN8AQM9LWM0D4loKWxJek",
        now: at(offset_s),
        body: br#"{"test": 2432232314}"#,
    };
    let headers = Signing::standard(secrets)?.headers(&signed)?;
    assert_eq!(headers[1].value, (AT + offset_s).to_string());
    Ok(headers[2].value.split(' ').map(str::to_owned).collect())
}

#[test]
fn known_answers_of_both_schemes_in_one_header() {
    let both = vec![secret(PRIVATE), secret(SHARED)];
    assert_eq!(signatures(both, 0).unwrap(), [PRIVATE_SIGNATURE, SHARED_SIGNATURE]);
}

#[test]
fn secrets_have_one_form_each() {
    let whsec = |bytes: usize| format!("whsec_{}", STANDARD.encode(vec![1; bytes]));
    for bytes in [24, 32, 64] {
        assert_eq!(secret(&whsec(bytes)).reveal(), whsec(bytes));
        assert_eq!(secret(whsec(bytes).trim_end_matches('=')).reveal(), whsec(bytes));
    }
    let seed = format!("whsk_{}", STANDARD.encode(&BASE64.decode(&PRIVATE[5..]).unwrap()[..32]));
    for text in [PRIVATE, &seed, PRIVATE.trim_end_matches('=')] {
        assert_eq!(secret(text).reveal(), PRIVATE);
        assert_eq!(secret(text).public_key().as_deref(), Some(PUBLIC));
    }
    assert_eq!(secret(SHARED).public_key(), None);
    let mut torn = BASE64.decode(&PRIVATE[5..]).unwrap();
    torn[63] ^= 1;
    let torn = format!("whsk_{}", STANDARD.encode(torn));
    let bad =
        ["", "whsec_", &whsec(23), &whsec(65), &SHARED[6..], "whsec_???", "WHSEC_AAAA", "whsk_"];
    for text in bad.into_iter().chain([torn.as_str(), "whsk_AAAA"]) {
        assert_eq!(StandardSecret::parse(text), Err(Error::StandardSecret), "{text}");
    }
    assert_eq!(StandardSecret::parse(PUBLIC), Err(Error::PublicKey));
    assert_eq!(secret(&StandardSecret::generate_ed25519([7; 32]).reveal()).reveal().len(), 93);
}

#[test]
fn live_secrets_sign_and_others_do_not() {
    let secrets = || vec![window(1, Some(10), None), window(2, None, Some(20))];
    for (offset_s, count) in [(0, 1), (9, 1), (10, 2), (19, 2), (20, 1), (1_000_000, 1)] {
        assert_eq!(signatures(secrets(), offset_s).unwrap().len(), count, "{offset_s}");
    }
    let old = signatures(vec![StandardSecret::generate([2; 32])], 15).unwrap();
    assert_eq!(signatures(secrets(), 15).unwrap()[1..], old, "newest first");
    assert_eq!(signatures(vec![window(1, Some(10), None)], 9), Err(Error::NotBegun));
}

#[test]
fn there_is_always_one_that_signs() {
    let made = |secrets: Vec<StandardSecret>| StandardSecrets::new(secrets).err();
    assert_eq!(made(vec![]), Some(Error::Secrets(0)));
    assert_eq!(made(vec![window(0, None, None); 5]), Some(Error::Secrets(5)));
    assert_eq!(made(vec![window(0, None, None); 4]), None);
    assert_eq!(made(vec![window(1, None, Some(5))]), Some(Error::Gap));
    assert_eq!(made(vec![window(1, Some(5), None), window(2, None, Some(5))]), None);
    assert_eq!(made(vec![window(1, Some(6), None), window(2, None, Some(5))]), Some(Error::Gap));
    let never = StandardSecret::generate([0; 32]).within(Some(at(5)), Some(at(5)));
    assert_eq!(never, Err(Error::Window));
}

#[test]
fn debug_shows_no_key() {
    let shown = format!("{:?}", [secret(PRIVATE), secret(SHARED)]);
    assert_eq!(shown, "[[redacted], [redacted]]");
}

proptest! {
    /// What a receiver does with the public key: ids, times and bodies do not matter.
    #[test]
    fn what_is_signed_verifies_and_nothing_else(
        seed in any::<[u8; 32]>(), id in "[a-zA-Z0-9_]{1,40}", body in any::<Vec<u8>>(),
    ) {
        let signing = Signing::standard(vec![StandardSecret::generate_ed25519(seed)]).unwrap();
        let signed = Signed { webhook_id: &id, now: at(0), body: &body };
        let headers = signing.headers(&signed).unwrap();
        let text = headers[2].value.strip_prefix("v1a,").unwrap();
        let signature = STANDARD.decode(text).unwrap();
        let signature = ed25519_dalek::Signature::from_slice(&signature).unwrap();
        let key = SigningKey::from_bytes(&seed).verifying_key();
        let mut content = [format!("{id}.{AT}.").as_bytes(), &body].concat();
        prop_assert!(key.verify_strict(&content, &signature).is_ok());
        content[0] ^= 1;
        prop_assert!(key.verify_strict(&content, &signature).is_err());
    }

    #[test]
    fn no_text_breaks_the_parser(text in "(whsec_|whsk_|whpk_)?\\PC{0,100}") {
        let _ = StandardSecret::parse(&text);
    }
}
