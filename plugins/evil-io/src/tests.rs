use super::*;
use livekit_webhook_plugin::native;

fn in_room(room: &str) -> Event {
    Event::from_json(format!(r#"{{"event":"room_started","room":{{"name":"{room}"}}}}"#)).unwrap()
}

#[test]
fn an_event_of_another_room_does_no_harm() {
    let event = in_room("good");
    assert!(attack(&event).unwrap().is_empty());
    assert!(tries_what_no_filter_may(&event).unwrap());
    assert_eq!(act(&event), Ok(String::new()));
}

#[test]
fn it_sends_what_the_configuration_says() {
    native::set_secret("token");
    native::set_config(&serde_json::json!({ "method": "PUT", "url": "https://a.b/{token}" }));
    native::on_http(|request| {
        assert_eq!(request.url, "https://a.b/secret-token");
        Err(http::Error::Denied("no".to_owned()))
    });
    let told = attack(&in_room("evil:send")).unwrap();
    assert_eq!(told, [("told".to_owned(), "denied: denied: no".to_owned())]);
    assert_eq!(attack(&in_room("evil:flood")).unwrap()[0].1, r#"{"denied": 100}"#);
    assert_eq!(native::take_requests().len(), 101);
}
