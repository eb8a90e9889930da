use super::*;

#[test]
fn urls_are_read_and_print_no_password() {
    for (text, shown) in [
        ("sqlite:a/b.db", "sqlite:/etc/a/b.db"),
        ("postgres://u:hush@h:5433/db", "postgres://u:[redacted]@h:5433/db"),
        ("postgresql://u:hush@h/db", "postgresql://u:[redacted]@h/db"),
    ] {
        let url = Url::parse(text, Path::new("/etc")).unwrap();
        assert_eq!(url.to_string(), shown);
        assert!(!format!("{url:?}").contains("hush"), "{url:?}");
    }
    for text in ["", "sqlite:", "a.db", "mysql://h/db", "postgres://u:hush@h/db?sslmode=what"] {
        let refused = Url::parse(text, Path::new("")).unwrap_err().to_string();
        assert!(!refused.contains("hush"), "{refused}");
    }
}
