use super::*;

fn with(key: Option<&str>, secret: Option<&str>, file: Option<&Path>) -> Credentials {
    Credentials {
        api_key: key.map(str::to_owned),
        api_secret: secret.map(str::to_owned),
        secret_file: file.map(Path::to_owned),
    }
}

#[tokio::test]
async fn a_pair_needs_both_halves() {
    assert!(with(None, None, None).resolve().await.unwrap().is_none());
    assert!(with(Some("k"), None, None).resolve().await.is_err());
    assert!(with(None, Some("s"), None).resolve().await.is_err());
    assert!(with(Some("k"), Some(""), None).resolve().await.is_err());
    let pair = with(Some("k"), Some("s"), None).resolve().await.unwrap().unwrap();
    assert_eq!(pair, KeyPair { api_key: "k".into(), secret: b"s".to_vec() });
    assert!(!format!("{pair:?}").contains("115"), "the secret's bytes are printed");
}

#[tokio::test]
async fn a_file_loses_one_line_end_and_wins_over_the_environment() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    for (written, read) in
        [("s", "s"), ("s\n", "s"), ("s\r\n", "s"), ("s\n\n", "s\n"), (" s ", " s ")]
    {
        std::fs::write(&file, written).unwrap();
        let pair = with(Some("k"), Some("other"), Some(&file)).resolve().await.unwrap().unwrap();
        assert_eq!(pair.secret, read.as_bytes(), "{written:?}");
    }
    std::fs::write(&file, vec![b'x'; SECRET_BYTES_MAX + 1]).unwrap();
    assert!(with(Some("k"), None, Some(&file)).resolve().await.is_err());
    assert!(with(Some("k"), None, Some(&folder.path().join("absent"))).resolve().await.is_err());
}
