use super::*;

#[track_caller]
fn check(text: &str, expect: Result<(&str, u32), Error>) {
    let found = parse(text).map(|armed| (armed.name, armed.left.into_inner()));
    assert_eq!(found, expect, "{text}");
}

#[test]
fn a_point_has_a_name_and_a_count() {
    check("append.commit.after", Ok(("append.commit.after", 1)));
    check("plan.begin.before:7", Ok(("plan.begin.before", 7)));
    check("plan", Err(Error::Name("plan".to_owned())));
    check("", Err(Error::Name(String::new())));
    check("plan.begin.before:", Err(Error::Count(String::new())));
    check("plan.begin.before:0", Err(Error::Count("0".to_owned())));
    check("plan.begin.before:x", Err(Error::Count("x".to_owned())));
}

#[test]
fn an_unarmed_process_passes_every_point() {
    POINTS.into_iter().for_each(point);
}
