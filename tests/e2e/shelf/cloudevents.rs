//! One CloudEvent, whichever way it stands in a request.

use super::*;

/// What a receiver makes of a header by the HTTP binding, section 3.1.3.2.
fn decoded(value: &str) -> Result<String> {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        ensure!((b'!'..=b'~').contains(&byte) && byte != b'"', "{value}");
        rest = after;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let (digits, after) = rest.split_at_checked(2).context("cut off")?;
        let digits = std::str::from_utf8(digits)?;
        bytes.push(u8::from_str_radix(digits, 16)?);
        rest = after;
    }
    Ok(String::from_utf8(bytes)?)
}

#[tokio::test]
async fn both_modes_carry_the_same_cloudevent() -> Result<()> {
    let engine = Engine::new()?;
    let config = |mode| {
        json!({ "mode": mode, "source": "/a%20b", "extensions": { "tenant": "tenant" },
            "dataschema": "https://example.com/s.json" })
    };
    let structured = plugin(&engine, "cloudevents", &config("structured")).await?;
    let binary = plugin(&engine, "cloudevents", &config("binary")).await?;
    let mut bodies = failures();
    for kind in event_type::ALL {
        bodies.push(sample_of(kind)?);
    }
    let odd = "Größe \"7\" 100%25 😀\u{7f}\n\\";
    bodies.push(json!({ "event": "participant_joined", "id": odd, "createdAt": "1767225600",
        "room": { "name": odd }, "participant": { "identity": odd } }));
    for body in &bodies {
        let mut expect = made(&structured, body).await?.context("dropped")?;
        let outputs = binary.call(input(body)?).await?;
        let [Output::Drafts(drafts)] = outputs.as_slice() else { bail!("{outputs:?}") };
        let [draft] = drafts.as_slice() else { bail!("{drafts:?}") };
        ensure!(draft.body == body.to_string(), "other bytes");
        let mut got = Map::new();
        for (name, value) in &draft.attributes {
            let name = name.strip_prefix("ce-").with_context(|| name.to_owned())?;
            ensure!(got.insert(name.to_owned(), decoded(value)?.into()).is_none(), "{name} twice");
        }
        got.insert("data".to_owned(), serde_json::from_slice(&draft.body)?);
        // In headers it is the content type, which is the endpoint's.
        let data_type = expect.as_object_mut().and_then(|all| all.remove("datacontenttype"));
        ensure!(data_type == Some("application/json".into()));
        ensure!(Value::from(got.clone()) == expect, "{got:?} is not {expect}");
    }
    Ok(())
}
