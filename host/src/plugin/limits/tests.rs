use super::*;

#[track_caller]
fn check(name: &str, value: u64, expect: Result<(), &str>) {
    let set = Limits::default().set(name, value).map_err(|error| error.to_string());
    match expect {
        Ok(()) => assert_eq!(set, Ok(())),
        Err(words) => assert!(set.clone().is_err_and(|error| error.contains(words)), "{set:?}"),
    }
}

#[test]
fn a_limit_is_set_between_one_and_its_cap() {
    check("cpu_pure_ms", 1, Ok(()));
    check("cpu_pure_ms", 1000, Ok(()));
    check("cpu_pure_ms", 0, Err("cpu_pure_ms = 0: must be 1 to 1000"));
    check("cpu_pure_ms", 1001, Err("must be 1 to 1000"));
    check("cpu", 1, Err("there are component_bytes, memory_bytes"));
}

#[test]
fn every_default_is_within_its_cap_and_every_name_is_its_own() {
    for (index, row) in ROWS.iter().enumerate() {
        assert!(row.default <= row.cap, "{row:?}");
        assert_eq!(ROWS.iter().position(|other| other.name == row.name), Some(index));
        assert_eq!(row.index, index);
        assert_eq!(Limits::default().get(*row), row.default);
    }
}
