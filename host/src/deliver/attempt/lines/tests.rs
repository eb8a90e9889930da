use super::*;
use hyper::header::HeaderName;

fn map(pairs: &[(&str, &str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in pairs {
        let name: HeaderName = name.parse().unwrap();
        map.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    map
}

#[test]
fn secrets_are_not_shown() {
    let mut headers = map(&[
        ("authorization", "Bearer hush"),
        ("proxy-authorization", "Basic hush"),
        ("cookie", "hush"),
        ("set-cookie", "a=hush"),
        ("webhook-signature", "v1,hush"),
        ("x-api-key", "hush"),
        ("x-shown", "as it is"),
    ]);
    let mut marked = HeaderValue::from_static("hush");
    marked.set_sensitive(true);
    headers.insert("x-tenant", marked);
    let text = lines(&headers);
    assert!(!text.contains("hush"), "{text}");
    assert_eq!(text.matches(": [redacted]\n").count(), 7, "{text}");
    assert!(text.contains("x-shown: as it is\n"), "{text}");
}

#[test]
fn what_is_no_text_is_escaped() {
    let text = lines(&map(&[("x-a", "\u{e4}\t\"")]));
    assert_eq!(text, "x-a: \\xc3\\xa4\\t\\\"\n");
}

#[test]
fn there_is_a_limit() {
    let long = "x".repeat(VALUE_BYTES_MAX + 1);
    let text = lines(&map(&[("x-long", &long)]));
    assert_eq!(text, format!("x-long: {}…\n", "x".repeat(VALUE_BYTES_MAX)));
    let names: Vec<String> = (0..100).map(|number| format!("x-{number}")).collect();
    let pairs: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), &*long)).collect();
    let text = lines(&map(&pairs));
    assert!(text.len() <= HEADER_LINES_BYTES_MAX, "{}", text.len());
    assert!(text.ends_with("(93 more)\n"), "{}", text.len());
}
