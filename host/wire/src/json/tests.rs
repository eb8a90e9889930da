//! The reader against the grammar's corners and against `serde_json`.

use super::*;

/// `None` when accepted, else the code and offset.
fn verdict(bytes: &[u8]) -> Option<(&'static str, usize)> {
    let read = document(bytes, |reader, _| reader.value().map(drop));
    read.err().map(|error| (error.code(), error.at()))
}

#[track_caller]
fn refused(text: impl AsRef<[u8]>, code: &'static str, at: usize) {
    assert_eq!(verdict(text.as_ref()), Some((code, at)));
}

#[track_caller]
fn accepted(text: impl AsRef<[u8]>) {
    assert_eq!(verdict(text.as_ref()), None);
}

#[test]
fn accepts_every_kind_of_value() {
    accepted("{}");
    accepted(" \t\r\n{ } \n");
    accepted(r#"{"a":[1,-0,0.5,1e3,1E-7,true,false,null,"x",{},[]],"b":{"a":1}}"#);
    accepted(r#"{"é":"\u00e9\ud83d\ude00\"\\\/\b\f\n\r\t"}"#);
}

#[test]
fn refuses_what_is_no_object() {
    refused("[]", "not_an_object", 0);
    refused(" \"room_started\"", "not_an_object", 1);
    refused("null", "not_an_object", 0);
    refused("hello", "syntax", 0);
    refused("", "truncated", 0);
}

#[test]
fn refuses_bad_grammar_where_it_is() {
    refused(r#"{"a":1,}"#, "syntax", 7);
    refused(r#"{"a" 1}"#, "syntax", 5);
    refused(r#"{"a":01}"#, "syntax", 6);
    refused(r#"{"a":1.}"#, "syntax", 7);
    refused(r#"{"a":1e}"#, "syntax", 7);
    refused(r#"{"a":-}"#, "syntax", 6);
    refused(r#"{"a":nul}"#, "syntax", 8);
    refused(r#"{"a":[1 2]}"#, "syntax", 8);
    refused(r#"{"a":"\x"}"#, "syntax", 7);
    refused(r#"{"a":"\u12g4"}"#, "syntax", 10);
    refused("{\"a\":\"\n\"}", "syntax", 6);
    refused("{'a':1}", "syntax", 1);
    refused(r#"{"a":1"#, "truncated", 6);
    refused(r#"{"a":"b"#, "truncated", 7);
    refused(r#"{"a":1}{"#, "trailing", 7);
}

#[test]
fn refuses_bad_text() {
    refused(r#"{"a":"\ud800"}"#, "lone_surrogate", 6);
    refused(r#"{"a":"\ud800A"}"#, "lone_surrogate", 6);
    refused(r#"{"a":"x\udc00\ud800"}"#, "lone_surrogate", 7);
    refused(b"{\"a\":\"abc\xff\"}", "not_utf8", 9);
    refused(b"{\xff}", "not_utf8", 1);
    refused("{é}", "syntax", 1);
}

#[test]
fn refuses_duplicates_at_any_depth_and_spelling() {
    refused(r#"{"a":1,"b":2,"a":3}"#, "duplicate_member", 13);
    refused(r#"{"x":[{"a":1,"\u0061":2}]}"#, "duplicate_member", 13);
    accepted(r#"{"a":{"a":{"a":1}},"b":{"a":1}}"#);
    let many = |last: &str| {
        let members: String = (0..40).map(|n| format!("\"m{n}\":0,")).collect();
        format!("{{{members}\"{last}\":0}}")
    };
    accepted(many("m40"));
    refused(many("m7"), "duplicate_member", many("").len() - 5);
}

#[test]
fn holds_its_limits() {
    let nested = |depth: usize| {
        let lists = depth - 1;
        format!("{{\"a\":{}{}}}", "[".repeat(lists), "]".repeat(lists))
    };
    accepted(nested(DEPTH_MAX));
    refused(nested(DEPTH_MAX + 1), "too_deep", 5 + DEPTH_MAX - 1);
    refused(nested(20_000), "too_deep", 5 + DEPTH_MAX - 1);
    let members = |count: usize| {
        let members: Vec<String> = (0..count).map(|n| format!("\"{n}\":0")).collect();
        format!("{{{}}}", members.join(","))
    };
    accepted(members(MEMBERS_MAX));
    assert_eq!(verdict(members(MEMBERS_MAX + 1).as_bytes()).unwrap().0, "too_many_members");
}

#[test]
fn refuses_numbers_no_float_can_hold() {
    accepted(r#"{"a":1.5e+300,"b":1e-999,"c":0e999}"#);
    refused(r#"{"a":1e309}"#, "number_range", 5);
    refused(format!("{{\"a\":{}}}", "9".repeat(400)), "number_range", 5);
}

#[test]
fn integers_are_told_from_other_numbers() {
    let kind = |text: &str| {
        let mut found = None;
        document(format!("{{\"a\":{text}}}").as_bytes(), |reader, _| {
            found = Some(match reader.value()? {
                Value::Integer(value) => Ok(value),
                other => Err(format!("{other:?}")),
            });
            Ok(())
        })
        .unwrap();
        found.unwrap()
    };
    assert_eq!(kind("-12"), Ok(-12));
    assert_eq!(kind("-0"), Ok(0));
    for digits in 1..=18 {
        let text = &"987654321098765432"[..digits];
        assert_eq!(kind(text), Ok(text.parse().unwrap()));
        assert_eq!(kind(&format!("-{text}")), Ok(-text.parse::<i64>().unwrap()));
    }
    assert_eq!(kind("-9223372036854775808"), Ok(i64::MIN));
    assert_eq!(kind("9223372036854775807"), Ok(i64::MAX));
    assert_eq!(kind("9223372036854775808"), Err("Number".to_owned()));
    assert_eq!(kind("1.0"), Err("Number".to_owned()));
    assert_eq!(kind("1e3"), Err("Number".to_owned()));
}

#[test]
fn finds_the_end_of_a_string_at_every_distance() {
    for length in 0..40 {
        for special in ["\"", "\\n\"", "é\""] {
            let text = format!("{}{special} \" é", "x".repeat(length));
            let (found, end) = text::scan(text.as_bytes(), 0).unwrap();
            assert_eq!(end, length + special.len());
            let expected: String = serde_json::from_str(&format!("\"{}", &text[..end])).unwrap();
            assert_eq!(found.text(), expected);
        }
    }
}

#[test]
fn finds_a_byte_at_every_distance() {
    for length in 0..40 {
        for at in 0..length {
            let mut bytes = vec![b'-'; length];
            assert_eq!(position(&bytes, b'.'), None);
            // A borrow from a lower byte must not show as a hit, a later hit not as the first.
            bytes[at..].fill(b'/');
            assert_eq!(position(&bytes, b'.'), None);
            bytes[at] = b'.';
            bytes[length - 1] = b'.';
            assert_eq!(position(&bytes, b'.'), Some(at));
        }
    }
}

#[test]
fn names_of_one_mark_are_told_apart() {
    assert_eq!(mark(b"axbxc"), mark(b"aybyc"));
    accepted(r#"{"axbxc":1,"aybyc":2}"#);
    refused(r#"{"axbxc":1,"aybyc":2,"axbxc":3}"#, "duplicate_member", 21);
    refused(r#"{"axbxc":1,"aybyc":2,"a\u0078bxc":3}"#, "duplicate_member", 21);
}
