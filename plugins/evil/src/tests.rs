use super::*;

#[test]
fn an_event_of_another_room_does_no_harm() {
    let event = Event::from_json(r#"{"event":"room_started","room":{"name":"good"}}"#).unwrap();
    assert_eq!(attack(&event).unwrap().len(), 1);
}

#[test]
fn a_configuration_is_refused_on_request() {
    assert!(at_load(Config { at_load: Some("refuse".to_owned()) }).is_err());
    assert!(at_load(Config::default()).is_ok());
}
