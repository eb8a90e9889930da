use super::*;
use std::path::PathBuf;
use tokio_postgres::config::TargetSessionAttrs;

#[track_caller]
fn parse(url: &str) -> Address {
    Address::parse(url, Path::new("/etc")).unwrap()
}

#[test]
fn several_hosts_of_which_one_takes_writes() {
    let url = "postgres://gate:pa%3Ass@db-1:5433,db-2/hooks?target_session_attrs=read-write";
    let address = parse(url);
    let writes = TargetSessionAttrs::ReadWrite;
    assert_eq!(address.config.get_target_session_attrs(), writes);
    assert_eq!(address.config.get_password(), Some(&b"pa:ss"[..]));
    let shown = "postgres://gate:[redacted]@db-1:5433,db-2/hooks?target_session_attrs=read-write";
    assert_eq!(address.to_string(), shown);
    let other = address.with_password(b"from a file");
    assert_eq!(other.config.get_password(), Some(&b"from a file"[..]));
}

#[test]
fn tls_as_libpq_has_it() {
    let trust = |options: &str| {
        let address = parse(&format!("postgres://db/hooks{options}"));
        (address.config.get_ssl_mode(), address.tls.is_verified, address.tls.authority)
    };
    let file = || Some(PathBuf::from("/etc/our ca.pem"));
    assert_eq!(trust(""), (SslMode::Prefer, false, None));
    assert_eq!(trust("?sslmode=disable"), (SslMode::Disable, false, None));
    assert_eq!(trust("?sslmode=require"), (SslMode::Require, false, None));
    let named = "?sslmode=require&sslrootcert=our%20ca.pem";
    assert_eq!(trust(named), (SslMode::Require, true, file()));
    let whole = "?connect_timeout=1&sslrootcert=%2Fetc%2Four ca.pem&sslmode=verify-full";
    assert_eq!(trust(whole), (SslMode::Require, true, file()));
    assert_eq!(trust("?sslmode=verify-full"), (SslMode::Require, true, None));
}

#[test]
fn what_is_no_address_is_refused_without_the_password() {
    for (url, words) in [
        ("postgres://gate:secret@db/hooks?sslmode=verify-ca", "must be disable, prefer, require"),
        ("postgres://gate:secret@db/hooks?colour=red", "unknown option `colour`"),
        ("postgres://gate:secret@db:port/hooks", "port"),
        ("postgres://gate:secret@/hooks", "names no host"),
        ("postgres://gate:sec@ret@db/hooks", "written %40"),
    ] {
        let error = Address::parse(url, Path::new("")).unwrap_err().to_string();
        assert!(error.contains(words), "{url}: {error}");
        assert!(!error.contains("secret"), "{error}");
    }
}

#[test]
fn no_password_is_shown() {
    for url in [
        "postgres://gate:secret@db/hooks",
        "postgres://gate:sec:secret@db/hooks",
        "postgres://gate@db/hooks?password=secret&sslmode=disable",
    ] {
        let address = Address::parse(url, Path::new("")).unwrap();
        assert!(!address.to_string().contains("sec"), "{address}");
        assert!(!format!("{address:?}").contains("secret"), "{address:?}");
    }
}
