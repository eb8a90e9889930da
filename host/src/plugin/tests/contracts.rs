//! Components of every released contract load and run as on the day they were built.

use super::*;
use crate::plugin::Interface;

/// Versions, oldest first, and the component of each.
const RELEASED: [(&str, &[u8]); 1] = [("0.1.0", include_bytes!("contracts/0.1.0/plugin.wasm"))];

#[tokio::test]
async fn a_component_of_every_released_contract_keeps_working() {
    for (version, wasm) in RELEASED {
        let limits = generous().with(limits::CPU_IO_MS, limits::CPU_IO_MS.cap).unwrap();
        let wasm = Bytes::from_static(wasm);
        let plugin = Plugin::load(&ENGINE, version, wasm, options("", limits)).await.unwrap();
        assert_eq!(plugin.interfaces(), Interface::ALL, "{version}");
        assert!(plugin.has_lifecycle(), "{version}");
        let input = Input {
            source: "prod".to_owned(),
            created_at_ms: 7,
            ..with_body("room_started", r#"{"event":"room_started"}"#)
        };
        let draft = Draft {
            kind: None,
            body: input.body.clone(),
            attributes: vec![("room".to_owned(), "demo-room".to_owned())],
        };
        let expect = vec![
            Output::Accept(true),
            Output::Drafts(vec![draft]),
            Output::Destinations(vec!["prod".to_owned()]),
            Output::Attributes(vec![("at".to_owned(), "7".to_owned())]),
            Output::Done(Bytes::from_static(b"room_started")),
        ];
        assert_eq!(plugin.call(input).await, Ok(expect), "{version}");
        let no = plugin.call(with_body("no", "{}")).await;
        assert_eq!(no, Ok(vec![Output::Accept(false)]), "{version}");
        assert_eq!(plugin.own().snapshot().len(), 1, "{version}");
    }
}
