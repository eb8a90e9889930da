use super::*;

#[test]
fn what_is_taken_is_bounded_and_comes_back() {
    let budget = Budget::new(100);
    assert!(budget.take(60));
    assert!(!budget.take(41));
    assert!(budget.take(40));
    budget.give_back(60);
    assert_eq!(budget.taken(), 40);
    assert!(!budget.take(u64::MAX));
}

#[test]
fn the_smaller_of_machine_and_group_counts() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("f");
    std::fs::write(&file, "MemFree: 1 kB\nMemTotal:       2048 kB\n").unwrap();
    assert_eq!(machine_bytes(&file), Some(2 << 20));
    std::fs::write(&file, "1048576\n").unwrap();
    assert_eq!(group_bytes(&file), Some(1 << 20));
    std::fs::write(&file, "max\n").unwrap();
    assert_eq!(group_bytes(&file), None);
    assert!(Budget::of_this_machine().max() >= MEMORY_BYTES_MIN);
}
