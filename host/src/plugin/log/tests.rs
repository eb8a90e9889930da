use super::*;

#[track_caller]
fn check(text: &str, bytes_max: usize, expect: &str) {
    assert_eq!(escape(text, bytes_max), expect);
}

#[test]
fn what_could_forge_a_line_is_escaped_and_the_rest_is_kept() {
    check("room é ok", 100, "room é ok");
    check("a\nlevel=ERROR b", 100, "a\\nlevel=ERROR b");
    check("\u{1b}[2J", 100, "\\u{1b}[2J");
    check("a\u{202e}b\u{2028}", 100, "a\\u{202e}b\\u{2028}");
}

#[test]
fn a_cut_never_splits_a_character_or_an_escape() {
    check("aé", 2, "a");
    check("a\u{1b}", 4, "a");
    check("abc", 2, "ab");
}

#[test]
fn lines_and_bytes_past_the_limit_are_counted() {
    let lines = |limits: &Limits| {
        Lines::new(&"p".into(), "e", limits, &Arc::new(Minute::new(limits, Arc::default())))
    };
    let limits = Limits::default().with(LOG_LINES, 2).unwrap().with(LOG_LINE_BYTES, 8).unwrap();
    let mut few = lines(&limits);
    for _ in 0..5 {
        few.push(2, "x", &[]);
    }
    assert_eq!(few.dropped(), 3);
    let limits = Limits::default().with(LOG_BYTES, 5).unwrap();
    let mut short = lines(&limits);
    short.push(2, "1234", &[]);
    short.push(2, "12", &[]);
    assert_eq!(short.dropped(), 1);
}

#[test]
fn the_last_words_are_kept_even_when_the_line_is_dropped() {
    let limits = Limits::default().with(LOG_LINES, 1).unwrap();
    let mut lines =
        Lines::new(&"p".into(), "e", &limits, &Arc::new(Minute::new(&limits, Arc::default())));
    lines.push(2, "x", &[]);
    lines.push(FATAL, "panicked\nhere", &[]);
    assert_eq!(lines.last_words(), Some("panicked\\nhere"));
}

#[test]
fn a_minute_is_shared_by_all_calls_and_then_over() {
    let limits = Limits::default().with(LOG_MINUTE_BYTES, 10).unwrap();
    let minute = Minute::new(&limits, Arc::default());
    assert!(minute.take(6));
    assert!(!minute.take(5));
    assert!(minute.take(4));
    minute.written.lock().unwrap().0 = Instant::now().checked_sub(MINUTE).unwrap();
    assert!(minute.take(10));
}

#[test]
fn what_is_dropped_is_counted_of_the_plugin_over_all_its_calls() {
    let limits = Limits::default().with(LOG_LINES, 1).unwrap();
    let own = Arc::new(Own::default());
    let minute = Arc::new(Minute::new(&limits, own.clone()));
    for _ in 0..2 {
        let mut lines = Lines::new(&"p".into(), "e", &limits, &minute);
        (0..3).for_each(|_| lines.push(2, "x", &[]));
    }
    assert_eq!(own.log_lines_dropped.get(), 4);
}
