use super::*;

#[track_caller]
fn check(before: &str, asked: &str, expect: &[&str]) {
    let fixed = |text| Fixed(toml::from_str(text).unwrap());
    assert_eq!(fixed(before).differences(&fixed(asked)), expect);
}

const BEFORE: &str = r#"
[ingest]
body_bytes_max = 100
[plugins]
watch = true
[[plugin]]
name = "redact"
[[plugin]]
name = "audit"
[[endpoint]]
name = "billing"
url = "https://a.com/"
signing = ["standard"]
[[subscription]]
endpoint = "billing"
"#;

#[test]
fn what_is_the_same_is_not_told() {
    check(BEFORE, BEFORE, &[]);
    // The settings of all plugins mean nothing where there is none.
    check(BEFORE, &BEFORE.replace("[plugins]\nwatch = true\n", ""), &[]);
}

#[test]
fn each_other_key_is_told_by_its_place() {
    let asked = BEFORE
        .replace("100", "200")
        .replace("watch = true", "watch = false")
        .replace("\"audit\"", "\"notify\"")
        .replace("https://a.com/", "https://b.com/")
        .replace("[\"standard\"]", "[\"livekit\"]");
    let asked = format!("{asked}plugins = [\"redact\"]\n[[subscription]]\nendpoint = \"b\"\n");
    let expect = [
        "endpoint.billing.signing",
        "endpoint.billing.url",
        "ingest.body_bytes_max",
        "plugin.audit (gone)",
        "plugin.notify (new)",
        "plugins.watch",
        "subscription.0.plugins (new)",
        "subscription.1 (new)",
    ];
    check(BEFORE, &asked, &expect);
}

#[test]
fn a_first_and_a_last_section_are_told_by_their_names_too() {
    let none = "[ingest]\nbody_bytes_max = 100\n";
    let one = format!("{none}[[plugin]]\nname = \"redact\"\n");
    check(none, &one, &["plugin.redact (new)"]);
    check(&one, none, &["plugin.redact (gone)"]);
}

#[test]
fn a_configuration_of_another_world_is_not_told_in_full() {
    let many = (0..100).map(|n| format!("key_{n:03} = 1\n")).collect::<String>();
    let told = Fixed(Table::new()).differences(&Fixed(toml::from_str(&many).unwrap()));
    assert_eq!((told.len(), told.last().map(String::as_str)), (KEYS_MAX + 1, Some("and 68 more")));
}
