//! What is tried.

use crate::bindings::wasi::{cli, clocks, filesystem, http, io, random, sockets};
use serde_json::{Value, json};
use std::cell::RefCell;

thread_local! {
    /// Kept on purpose, so that handles pile up.
    static KEPT: RefCell<Vec<io::poll::Pollable>> = const { RefCell::new(Vec::new()) };
}

pub fn attempt(what: &str) -> Value {
    match what {
        "environment" => json!({
            "environment": cli::environment::get_environment(),
            "arguments": cli::environment::get_arguments(),
            "folder": cli::environment::initial_cwd(),
            "stdin": format!("{:?}", cli::stdin::get_stdin().blocking_read(10)),
        }),
        "clocks" => {
            let wall = clocks::wall_clock::now();
            json!({
                "wall_ms": wall.seconds * 1000 + u64::from(wall.nanoseconds / 1_000_000),
                "monotonic": [clocks::monotonic_clock::now(), clocks::monotonic_clock::now()],
            })
        }
        "random" => json!({
            "bytes": random::random::get_random_bytes(16),
            "number": random::random::get_random_u64().to_string(),
            "seed": random::insecure_seed::insecure_seed().0.to_string(),
        }),
        "much-random" => json!(random::random::get_random_bytes(1 << 40).len()),
        "files" => json!(filesystem::preopens::get_directories().len()),
        "names" => {
            let network = sockets::instance_network::instance_network();
            let found = sockets::ip_name_lookup::resolve_addresses(&network, "example.com");
            json!(found.map(|_| "resolved").map_err(|code| code.name()))
        }
        "sockets" => {
            let family = sockets::network::IpAddressFamily::Ipv4;
            let made = sockets::tcp_create_socket::create_tcp_socket(family);
            json!(made.map(|_| "made").map_err(|code| code.name()))
        }
        "fields" => {
            drop(http::types::Fields::new());
            json!("made")
        }
        "print" => {
            let out = cli::stdout::get_stdout();
            let _ = out.blocking_write_and_flush(b"one\ntw");
            let _ = out.blocking_write_and_flush(b"o\n\x1b[2Jthree");
            let _ = cli::stderr::get_stderr().blocking_write_and_flush(b"oh no\n");
            json!("printed")
        }
        "print-flood" => {
            let out = cli::stdout::get_stdout();
            (0..10_000).for_each(|n| {
                let _ = out.blocking_write_and_flush(format!("line {n}\n").as_bytes());
            });
            json!("printed")
        }
        "zeroes" => json!(format!("{:?}", cli::stdout::get_stdout().write_zeroes(1 << 40))),
        "exit" => {
            let _ = cli::stderr::get_stderr().blocking_write_and_flush(b"nothing more to do\n");
            cli::exit::exit(Ok(()));
            json!("still here")
        }
        "sleep" => {
            clocks::monotonic_clock::subscribe_duration(3_600_000_000_000).block();
            json!("slept")
        }
        "handles" => {
            for _ in 0..100_000 {
                let pollable = clocks::monotonic_clock::subscribe_duration(1);
                KEPT.with_borrow_mut(|kept| kept.push(pollable));
            }
            json!("kept")
        }
        _ => Value::Null,
    }
}
