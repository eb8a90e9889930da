//! A store that hosts share.

use super::*;
use crate::store::url::Url;

const SOURCE: &str = "[[source]]\nname = \"prod\"\nkeys = [{ api_key = \"k\", secret = \"s\" }]\n";

fn parse(store: &str, environment: &Environment) -> Result<Config, Vec<Problem>> {
    Config::parse(&format!("[store]\n{store}\n{SOURCE}"), Path::new("/etc"), environment)
}

#[test]
fn its_password_is_in_no_dump() {
    let environment = Environment::of([("DB_PASSWORD", "hidden")]);
    for store in [
        "url = \"postgres://gate:hidden@db/hooks\"",
        "url = \"postgres://gate@db/hooks?password=hidden\"",
        "url = \"postgres://gate@db/hooks\"\npassword_env = \"DB_PASSWORD\"",
    ] {
        let config = parse(store, &environment).unwrap();
        assert!(matches!(config.store.url, Url::Postgres(_)));
        assert!(config.dump().contains("url = \"postgres://gate"), "{}", config.dump());
        assert!(config.dump().contains("connections_max = 16"));
        assert!(!config.dump().contains("hidden"), "{}", config.dump());
        assert!(!format!("{config:?}").contains("hidden"), "{config:?}");
    }
}

#[test]
fn mistakes_are_told_without_it() {
    let check = |store: &str, words: &str| {
        let problems = parse(store, &Environment::of([])).unwrap_err();
        let text: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert!(text.iter().any(|line| line.contains(words)), "{text:?}");
        assert!(!text.iter().any(|line| line.contains("hidden")), "{text:?}");
    };
    check("url = \"postgres://g:hidden@db/x?sslmode=maybe\"", "store.url: sslmode=maybe: must be");
    check("url = \"postgres://g:hidden@db/x?colour=red\"", "store.url: expected postgres://");
    check("url = \"postgres://db/x\"\nconnections_max = 1", "store.connections_max");
    check("url = \"postgres://db/x\"\npassword_env = \"NONE\"", "the variable NONE is not set");
    check("password_env = \"NONE\"", "store.password_env");
}
