//! `[[fixture]]`: examples that must hold.

use super::super::expect::Expect;
use super::super::reader::Table;
use super::super::schema::Schema;
use super::super::{Fixture, MockedHttp};
use super::LINE_BYTES_MAX;
use serde_json::Value;
use std::collections::{BTreeMap, HashSet};
use std::path::{Component, Path};

/// Fixtures of one manifest.
const FIXTURES_MAX: usize = 100;
/// Bytes of a file that a fixture names.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// Reads all of them.
pub fn read(root: &mut Table<'_>, schema: Option<&Schema>, folder: Option<&Path>) -> Vec<Fixture> {
    let tables = root.tables("fixture");
    if tables.len() > FIXTURES_MAX {
        root.problem("fixture", format_args!("{} of them, at most {FIXTURES_MAX}", tables.len()));
    }
    let mut names = HashSet::new();
    let mut fixtures = Vec::new();
    for table in tables.into_iter().take(FIXTURES_MAX) {
        fixtures.extend(fixture(table, schema, folder, &mut names));
    }
    fixtures
}

fn fixture(
    mut table: Table<'_>,
    schema: Option<&Schema>,
    folder: Option<&Path>,
    names: &mut HashSet<String>,
) -> Option<Fixture> {
    let name = table.required("name", "a room starts");
    if let Some(name) = &name {
        if name.len() > LINE_BYTES_MAX || name.chars().any(char::is_control) {
            table.problem(
                "name",
                format_args!("must be one line of at most {LINE_BYTES_MAX} bytes"),
            );
        }
        if !names.insert(name.clone()) {
            table.problem("name", format_args!("{name:?} is there already"));
        }
    }
    let event = event(&mut table, folder);
    let attributes = table.texts("attributes").into_iter().collect();
    let config = table.value("config");
    if let (Some(schema), Some(config)) = (schema, &config) {
        let mut config = config.clone();
        schema.fill(&mut config);
        schema.problems(&config).iter().for_each(|text| table.problem("", text));
    }
    let mut http = Vec::new();
    for exchange in table.tables("http") {
        http.extend(mocked(exchange));
    }
    let state = table.texts("state").into_iter().collect();
    let livekit: BTreeMap<_, _> = table.members("livekit").into_iter().collect();
    let functions = ["get-room", "list-participants", "get-participant", "list-egress"];
    for name in livekit.keys().filter(|name| !functions.contains(&name.as_str())) {
        table.problem(
            &format!("livekit.{name}"),
            format_args!("no such function; there are {}", functions.join(", ")),
        );
    }
    let expect = match (table.value("expect"), folder) {
        (Some(Value::String(path)), Some(folder)) => match file(folder, &path) {
            Ok(expect) => Some(expect),
            Err(text) => {
                table.problem("expect", format_args!("{path}: {text}"));
                return None;
            }
        },
        (expect, _) => expect,
    };
    match expect.as_ref().map(Expect::parse) {
        None => table.problem("expect", "is missing, for example expect = { accept = true }"),
        Some(Err(texts)) => texts.iter().for_each(|text| table.problem("expect", text)),
        Some(Ok(_)) => {}
    }
    let fuel_max = table.number("fuel_max", u64::MAX);
    table.finish();
    Some(Fixture {
        name: name?,
        event: event?,
        attributes,
        config,
        http,
        state,
        livekit,
        expect: expect?,
        fuel_max,
    })
}

/// An object as it is, or the path of a file with one.
fn event(table: &mut Table<'_>, folder: Option<&Path>) -> Option<Value> {
    let event = match (table.value("event"), folder) {
        (None, _) => {
            table
                .problem("event", "is missing, for example event = \"fixtures/room_started.json\"");
            return None;
        }
        (Some(Value::String(path)), Some(folder)) => match file(folder, &path) {
            Ok(event) => event,
            Err(text) => {
                table.problem("event", format_args!("{path}: {text}"));
                return None;
            }
        },
        (Some(event), _) => event,
    };
    if !event.get("event").is_some_and(Value::is_string) {
        table.problem("event", "must be a webhook body: an object with `event`, its type");
        return None;
    }
    Some(event)
}

fn file(folder: &Path, path: &str) -> Result<Value, String> {
    let relative = Path::new(path);
    if !relative.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir)) {
        return Err("must be within the plugin's folder".to_owned());
    }
    let file = folder.join(relative);
    let bytes = std::fs::metadata(&file).map_err(|error| error.to_string())?.len();
    if bytes > FILE_BYTES_MAX {
        return Err(format!("{bytes} bytes, at most {FILE_BYTES_MAX}"));
    }
    let bytes = std::fs::read(&file).map_err(|error| error.to_string())?;
    serde_json::from_slice(&bytes).map_err(|error| format!("is no JSON: {error}"))
}

fn mocked(mut table: Table<'_>) -> Option<MockedHttp> {
    let example = "POST https://api.example.com/v1";
    let request = table.required("request", example);
    let is_right = |text: &str| {
        text.split_once(' ').is_some_and(|(method, url)| {
            !method.is_empty()
                && method.bytes().all(|b| b.is_ascii_uppercase())
                && (url.starts_with("https://") || url.starts_with("http://"))
        })
    };
    if request.as_deref().is_some_and(|text| !is_right(text)) {
        table.problem("request", format_args!("must be a method and a URL, such as {example:?}"));
    }
    let headers = table.texts("headers");
    let headers = headers.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value));
    let headers = headers.collect();
    let body = table.value("body");
    let status = table.number("status", 599);
    match status {
        None => table.problem("status", "is missing, for example status = 200"),
        Some(1..100) => table.problem("status", "must be 100 to 599, or 0 for no answer"),
        Some(_) => {}
    }
    let answer = table.value("answer").unwrap_or_default();
    table.finish();
    Some(MockedHttp {
        request: request?,
        body,
        headers,
        status: u16::try_from(status?).ok()?,
        answer,
    })
}
