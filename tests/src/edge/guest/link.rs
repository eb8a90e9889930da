//! What the filter imports, each call handed to the [`World`].

use std::rc::Rc;

use livekit_webhook_filter::answer::Answer;
use livekit_webhook_filter::headers::Pairs;
use livekit_webhook_filter::proxy::{Level, Map, Metric, Proxy as _, SharedData as _};
use wasmtime::{Caller, Extern, Linker, Memory};

use crate::edge::world::World;

/// Statuses of the ABI.
const OK: u32 = 0;
const NOT_FOUND: u32 = 1;
const CAS_MISMATCH: u32 = 8;

/// Imports get two numbers for a text.
type Text = (u32, u32);
type Call<'a> = Caller<'a, Rc<World>>;

fn memory(call: &mut Call<'_>) -> wasmtime::Result<Memory> {
    match call.get_export("memory") {
        Some(Extern::Memory(memory)) => Ok(memory),
        _ => Err(wasmtime::Error::msg("no memory")),
    }
}

fn bytes(call: &mut Call<'_>, (at, length): Text) -> wasmtime::Result<Vec<u8>> {
    let memory = memory(call)?;
    let mut bytes = vec![0; length as usize];
    memory.read(call, at as usize, &mut bytes)?;
    Ok(bytes)
}

fn text(call: &mut Call<'_>, of: Text) -> wasmtime::Result<String> {
    Ok(String::from_utf8_lossy(&bytes(call, of)?).into_owned())
}

fn write(call: &mut Call<'_>, at: u32, number: u32) -> wasmtime::Result<()> {
    let memory = memory(call)?;
    Ok(memory.write(call, at as usize, &number.to_le_bytes())?)
}

/// Leaves `value` in the guest's memory, where and how long at the two places of `out`.
fn give(call: &mut Call<'_>, value: Option<Vec<u8>>, out: Text) -> wasmtime::Result<u32> {
    let Some(value) = value else {
        return Ok(NOT_FOUND);
    };
    let Some(Extern::Func(allocate)) = call.get_export("proxy_on_memory_allocate") else {
        return Err(wasmtime::Error::msg("no allocator"));
    };
    let length = u32::try_from(value.len())?;
    let at = allocate.typed::<u32, u32>(&call)?.call(&mut *call, length)?;
    memory(call)?.write(&mut *call, at as usize, &value)?;
    write(call, out.0, at)?;
    write(call, out.1, length)?;
    Ok(OK)
}

fn map(number: u32) -> wasmtime::Result<Map> {
    match number {
        0 => Ok(Map::RequestHeaders),
        1 => Ok(Map::RequestTrailers),
        2 => Ok(Map::ResponseHeaders),
        other => Err(wasmtime::Error::msg(format!("header map {other}"))),
    }
}

fn status(worked: bool) -> u32 {
    if worked { OK } else { NOT_FOUND }
}

/// Every import of the filter, and none besides: a new one fails here first.
pub(super) fn link(linker: &mut Linker<Rc<World>>) -> wasmtime::Result<()> {
    link_plugin(linker)?;
    link_stream(linker)?;
    link_shared(linker)?;
    let wasi = "wasi_snapshot_preview1";
    linker.func_wrap(wasi, "environ_sizes_get", |mut call: Call<'_>, count: u32, size: u32| {
        let variables = call.data().variables();
        let texts: usize = variables.iter().map(|text| text.len() + 1).sum();
        write(&mut call, count, u32::try_from(variables.len())?)?;
        write(&mut call, size, u32::try_from(texts)?)?;
        wasmtime::Result::Ok(OK)
    })?;
    linker.func_wrap(wasi, "environ_get", |mut call: Call<'_>, pointers: u32, texts: u32| {
        let memory = memory(&mut call)?;
        let mut at = texts;
        for (index, variable) in (0_u32..).zip(call.data().variables()) {
            write(&mut call, pointers + index * 4, at)?;
            memory.write(&mut call, at as usize, variable.as_bytes())?;
            at += u32::try_from(variable.len())? + 1;
        }
        wasmtime::Result::Ok(OK)
    })?;
    Ok(())
}

fn link_plugin(linker: &mut Linker<Rc<World>>) -> wasmtime::Result<()> {
    let env = "env";
    linker.func_wrap(env, "proxy_log", |mut call: Call<'_>, level: u32, at: u32, size: u32| {
        let line = text(&mut call, (at, size))?;
        let level = match level {
            2 => Level::Info,
            3 => Level::Warn,
            _ => Level::Error,
        };
        call.data().log(level, &line);
        wasmtime::Result::Ok(OK)
    })?;
    linker.func_wrap(
        env,
        "proxy_get_current_time_nanoseconds",
        |mut call: Call<'_>, out: u32| {
            let time_ns = call.data().now_ms().unwrap_or_default() * 1_000_000;
            memory(&mut call)?.write(&mut call, out as usize, &time_ns.to_le_bytes())?;
            wasmtime::Result::Ok(OK)
        },
    )?;
    linker.func_wrap(
        env,
        "proxy_set_tick_period_milliseconds",
        |call: Call<'_>, period_ms: u32| status(call.data().tick_every(period_ms)),
    )?;
    linker.func_wrap(env, "proxy_set_effective_context", |call: Call<'_>, id: u32| {
        status(call.data().speak_for(id))
    })?;
    linker.func_wrap(env, "proxy_increment_metric", |call: Call<'_>, id: u32, by: i64| {
        call.data().record(id, by.unsigned_abs());
        OK
    })?;
    linker.func_wrap(env, "proxy_record_metric", |call: Call<'_>, id: u32, value: u64| {
        call.data().record(id, value);
        OK
    })?;
    linker.func_wrap(
        env,
        "proxy_define_metric",
        |mut call: Call<'_>, kind: u32, at: u32, size: u32, out: u32| {
            let name = text(&mut call, (at, size))?;
            let metric = [Metric::Counter, Metric::Gauge, Metric::Histogram];
            let metric = metric.into_iter().find(|metric| *metric as u32 == kind);
            let id = metric.and_then(|metric| call.data().define(metric, &name));
            write(&mut call, out, id.unwrap_or_default())?;
            wasmtime::Result::Ok(status(id.is_some()))
        },
    )?;
    Ok(())
}

fn link_stream(linker: &mut Linker<Rc<World>>) -> wasmtime::Result<()> {
    let env = "env";
    linker.func_wrap(
        env,
        "proxy_get_buffer_bytes",
        |mut call: Call<'_>, kind: u32, start: u32, max: u32, at: u32, size: u32| {
            let value = match (kind, start) {
                (0, 0) => call.data().body(max as usize),
                (7, 0) => Some(call.data().configuration()),
                _ => None,
            };
            give(&mut call, value, (at, size))
        },
    )?;
    linker.func_wrap(
        env,
        "proxy_get_header_map_pairs",
        |mut call: Call<'_>, kind: u32, at: u32, size: u32| {
            let value = call.data().pairs(map(kind)?);
            give(&mut call, value, (at, size))
        },
    )?;
    linker.func_wrap(
        env,
        "proxy_get_header_map_value",
        |mut call: Call<'_>, kind: u32, name: u32, name_size: u32, at: u32, size: u32| {
            let name = text(&mut call, (name, name_size))?;
            let value = call.data().value(map(kind)?, &name);
            give(&mut call, value, (at, size))
        },
    )?;
    linker.func_wrap(
        env,
        "proxy_remove_header_map_value",
        |mut call: Call<'_>, kind: u32, at: u32, size: u32| {
            let name = bytes(&mut call, (at, size))?;
            wasmtime::Result::Ok(status(call.data().remove(map(kind)?, &name)))
        },
    )?;
    linker.func_wrap(
        env,
        "proxy_replace_header_map_value",
        |mut call: Call<'_>, _kind: u32, name: u32, name_size: u32, at: u32, size: u32| {
            let name = text(&mut call, (name, name_size))?;
            let value = bytes(&mut call, (at, size))?;
            wasmtime::Result::Ok(status(call.data().set(&name, &value)))
        },
    )?;
    linker.func_wrap(env, "proxy_continue_stream", |call: Call<'_>, _stream: u32| {
        status(call.data().resume())
    })?;
    linker.func_wrap(
        env,
        "proxy_send_local_response",
        |mut call: Call<'_>,
         status_code: u32,
         details: u32,
         details_size: u32,
         body: u32,
         body_size: u32,
         list: u32,
         list_size: u32,
         _grpc: i32| {
            let list = bytes(&mut call, (list, list_size))?;
            let owned = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let lines = Pairs::of(&list).into_iter().flatten();
            let answer = Answer {
                status: status_code,
                details: text(&mut call, (details, details_size))?,
                headers: lines.map(|(name, value)| (owned(name).into(), owned(value))).collect(),
                body: text(&mut call, (body, body_size))?,
            };
            wasmtime::Result::Ok(status(call.data().send(&answer)))
        },
    )?;
    Ok(())
}

fn link_shared(linker: &mut Linker<Rc<World>>) -> wasmtime::Result<()> {
    let env = "env";
    linker.func_wrap(
        env,
        "proxy_get_property",
        |mut call: Call<'_>, path: u32, path_size: u32, at: u32, size: u32| {
            let path = text(&mut call, (path, path_size))?;
            let details = (path == "response\0code_details").then(|| call.data().answer_details());
            give(&mut call, details.flatten(), (at, size))
        },
    )?;
    linker.func_wrap(
        env,
        "proxy_set_property",
        |mut call: Call<'_>, path: u32, path_size: u32, at: u32, size: u32| {
            let path = text(&mut call, (path, path_size))?;
            let value = text(&mut call, (at, size))?;
            let name = path.strip_prefix("livekit_webhook.").unwrap_or_default();
            wasmtime::Result::Ok(status(call.data().note(name, &value)))
        },
    )?;
    linker.func_wrap(
        env,
        "proxy_get_shared_data",
        |mut call: Call<'_>, key: u32, key_size: u32, at: u32, size: u32, cas: u32| {
            let key = text(&mut call, (key, key_size))?;
            let (value, number) = call.data().shared(&key).unzip();
            write(&mut call, cas, number.unwrap_or_default())?;
            give(&mut call, value, (at, size))
        },
    )?;
    linker.func_wrap(
        env,
        "proxy_set_shared_data",
        |mut call: Call<'_>, key: u32, key_size: u32, at: u32, size: u32, cas: u32| {
            let key = text(&mut call, (key, key_size))?;
            let value = bytes(&mut call, (at, size))?;
            let worked = call.data().share(&key, &value, cas);
            wasmtime::Result::Ok(if worked { OK } else { CAS_MISMATCH })
        },
    )?;
    linker.func_wrap(
        env,
        "proxy_call_foreign_function",
        |mut call: Call<'_>, name: u32, name_size: u32, _at: u32, _size: u32, out: u32, n: u32| {
            let name = text(&mut call, (name, name_size))?;
            let worked = name == "clear_route_cache" && call.data().rematch_route();
            give(&mut call, worked.then(Vec::new), (out, n))
        },
    )?;
    Ok(())
}
