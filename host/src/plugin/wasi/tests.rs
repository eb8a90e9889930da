use super::*;

#[track_caller]
fn check(import: &str, given: bool, too_new: bool) {
    assert_eq!((is_given(import), is_too_new(import)), (given, too_new), "{import}");
}

#[test]
fn wasi_0_2_of_any_patch_is_given_and_0_3_is_too_new() {
    check("wasi:cli/stdout@0.2.0", true, false);
    check("wasi:cli/stdout@0.2.12", true, false);
    check("wasi:cli/stdout@0.3.0", false, true);
    check("wasi:cli/stdout", false, false);
    check("wasi:nn/graph@0.2.0", false, false);
    check("livekit-webhook:plugin/log@0.1.0", false, false);
}
