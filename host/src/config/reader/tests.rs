use super::*;

fn problems(text: &str, read: impl FnOnce(&mut Section)) -> Vec<String> {
    let problems = Problems::default();
    let mut root = Section::root(text.parse().unwrap(), &problems);
    read(&mut root);
    root.finish();
    problems.into_vec().iter().map(ToString::to_string).collect()
}

#[test]
fn all_problems_are_told_at_once() {
    let found = problems("a = 1\nlisen = \"x\"\nport = 70000\nnames = [1, \"b\"]", |root| {
        assert_eq!(root.string("a"), None);
        assert_eq!(root.string("listen"), None);
        assert_eq!(root.integer("port", 80, 1..=65535), 80);
        assert_eq!(root.strings("names"), Some(vec!["b".to_owned()]));
    });
    assert_eq!(
        found,
        [
            "a: expected a string, found a whole number",
            "port = 70000: must be 1 to 65535",
            "names[0]: expected a string, found a whole number",
            "lisen: is not known, did you mean `listen`?",
        ]
    );
}

#[test]
fn sections_carry_their_path() {
    let found = problems("[[endpoint]]\nname = \"\"\n[[endpoint]]\nurl = true", |root| {
        for mut endpoint in root.sections("endpoint") {
            endpoint.required_string("name", "billing");
            endpoint.string("url");
            endpoint.finish();
        }
    });
    assert_eq!(
        found,
        [
            "endpoint[0].name: is empty, for example name = \"billing\"",
            "endpoint[1].name: is missing, for example name = \"billing\"",
            "endpoint[1].url: expected a string, found true or false",
        ]
    );
}
