use super::*;

fn answered(status: u16) -> Outcome {
    Outcome::Answered { status, retry_after_ms: Some(7) }
}

#[test]
fn every_status_has_its_class() {
    for status in 0..=999 {
        let expect = |client_errors| match status {
            200..=299 => Class::Delivered,
            410 => Class::Gone,
            408 | 425 | 429 => Class::Retry,
            400..=499 if client_errors == ClientErrors::Final => Class::Refused,
            _ => Class::Retry,
        };
        for client_errors in [ClientErrors::Retry, ClientErrors::Final] {
            let class = answered(status).class(client_errors);
            assert_eq!(class, expect(client_errors), "{status} {client_errors:?}");
        }
    }
}

#[test]
fn only_a_refused_address_is_final_without_an_answer() {
    for error in ErrorClass::ALL {
        let class = Outcome::Failed(error).class(ClientErrors::Final);
        let expect =
            if error == ErrorClass::AddressRefused { Class::AddressRefused } else { Class::Retry };
        assert_eq!(class, expect, "{error:?}");
    }
}

#[test]
fn hints_count_on_some_statuses_only() {
    for status in 0..=999 {
        let counts = matches!(status, 408 | 413 | 425 | 429 | 500..=599);
        assert_eq!(answered(status).hint_ms(), counts.then_some(7), "{status}");
    }
    assert_eq!(Outcome::Failed(ErrorClass::Timeout).hint_ms(), None);
}

#[test]
fn words_go_both_ways() {
    for class in ErrorClass::ALL {
        assert_eq!(ErrorClass::parse(class.as_str()), Some(class));
    }
    assert_eq!(ErrorClass::parse("Dns"), None);
}
