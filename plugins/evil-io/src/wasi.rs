//! The same door by WASI: what the `fetch` of JavaScript and the clients of Python come to.

use wasi::http::outgoing_handler;
use wasi::http::types::{Fields, IncomingResponse, OutgoingRequest, Scheme};

wit_bindgen::generate!({
    inline: "
        package livekit-webhook:evil-io;

        world fetches {
            import wasi:io/poll@0.2.0;
            import wasi:io/error@0.2.0;
            import wasi:io/streams@0.2.0;
            import wasi:http/types@0.2.0;
            import wasi:http/outgoing-handler@0.2.0;
        }

        package wasi:io@0.2.0 {
            interface poll {
                resource pollable { block: func(); }
            }
            interface error {
                resource error;
            }
            interface streams {
                use error.{error};
                variant stream-error { last-operation-failed(error), closed }
                resource input-stream {
                    blocking-read: func(len: u64) -> result<list<u8>, stream-error>;
                }
            }
        }

        package wasi:http@0.2.0 {
            interface types {
                use wasi:io/poll@0.2.0.{pollable};
                use wasi:io/streams@0.2.0.{input-stream};
                variant scheme { HTTP, HTTPS, other(string) }
                record DNS-error-payload { rcode: option<string>, info-code: option<u16> }
                record TLS-alert-received-payload {
                    alert-id: option<u8>,
                    alert-message: option<string>,
                }
                record field-size-payload {
                    field-name: option<string>,
                    field-size: option<u32>,
                }
                variant error-code {
                    DNS-timeout,
                    DNS-error(DNS-error-payload),
                    destination-not-found,
                    destination-unavailable,
                    destination-IP-prohibited,
                    destination-IP-unroutable,
                    connection-refused,
                    connection-terminated,
                    connection-timeout,
                    connection-read-timeout,
                    connection-write-timeout,
                    connection-limit-reached,
                    TLS-protocol-error,
                    TLS-certificate-error,
                    TLS-alert-received(TLS-alert-received-payload),
                    HTTP-request-denied,
                    HTTP-request-length-required,
                    HTTP-request-body-size(option<u64>),
                    HTTP-request-method-invalid,
                    HTTP-request-URI-invalid,
                    HTTP-request-URI-too-long,
                    HTTP-request-header-section-size(option<u32>),
                    HTTP-request-header-size(option<field-size-payload>),
                    HTTP-request-trailer-section-size(option<u32>),
                    HTTP-request-trailer-size(field-size-payload),
                    HTTP-response-incomplete,
                    HTTP-response-header-section-size(option<u32>),
                    HTTP-response-header-size(field-size-payload),
                    HTTP-response-body-size(option<u64>),
                    HTTP-response-trailer-section-size(option<u32>),
                    HTTP-response-trailer-size(field-size-payload),
                    HTTP-response-transfer-coding(option<string>),
                    HTTP-response-content-coding(option<string>),
                    HTTP-response-timeout,
                    HTTP-upgrade-failed,
                    HTTP-protocol-error,
                    loop-detected,
                    configuration-error,
                    internal-error(option<string>),
                }
                resource fields { constructor(); }
                resource outgoing-request {
                    constructor(headers: fields);
                    set-path-with-query: func(path-with-query: option<string>) -> result;
                    set-scheme: func(scheme: option<scheme>) -> result;
                    set-authority: func(authority: option<string>) -> result;
                }
                resource request-options;
                resource incoming-body { %stream: func() -> result<input-stream>; }
                resource incoming-response {
                    status: func() -> u16;
                    consume: func() -> result<incoming-body>;
                }
                resource future-incoming-response {
                    subscribe: func() -> pollable;
                    get: func() -> option<result<result<incoming-response, error-code>>>;
                }
            }
            interface outgoing-handler {
                use types.{
                    outgoing-request, request-options, future-incoming-response, error-code,
                };
                handle: func(request: outgoing-request, options: option<request-options>)
                    -> result<future-incoming-response, error-code>;
            }
        }
    ",
    world: "livekit-webhook:evil-io/fetches",
    generate_all,
});

/// A GET, and what came of it.
pub fn fetch(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("https", url));
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let scheme = if scheme == "http" { Scheme::Http } else { Scheme::Https };
    let request = OutgoingRequest::new(Fields::new());
    let set = request
        .set_scheme(Some(&scheme))
        .and_then(|()| request.set_authority(Some(authority)))
        .and_then(|()| request.set_path_with_query(Some(path)));
    if set.is_err() {
        return "no request".to_owned();
    }
    let answer = match outgoing_handler::handle(request, None) {
        Ok(answer) => answer,
        Err(code) => return format!("{code:?}"),
    };
    answer.subscribe().block();
    match answer.get() {
        Some(Ok(Ok(answer))) => read(&answer),
        Some(Ok(Err(code))) => format!("{code:?}"),
        _ => "no answer".to_owned(),
    }
}

fn read(answer: &IncomingResponse) -> String {
    let mut bytes = Vec::new();
    if let Ok(body) = answer.consume()
        && let Ok(stream) = body.stream()
    {
        while let Ok(piece) = stream.blocking_read(64 * 1024) {
            bytes.extend(piece);
        }
    }
    format!("{} {}", answer.status(), String::from_utf8_lossy(&bytes))
}
