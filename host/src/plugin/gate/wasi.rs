//! WASI's HTTP through the gate, for components that import `wasi:http/outgoing-handler`: the
//! `fetch` of JavaScript, the clients of Python.
//!
//! Such a component streams its request and its answer. Here both are whole: the body is read up to
//! the limit before anything is sent, and the answer is there before its first byte is shown, so
//! that secrets can be put in and taken out.

use super::http::{Error, Request};
use super::{Gate, Pass, header};
use crate::plugin::limits;
use crate::plugin::outside::FetchResponse;
use http_body_util::{BodyExt, Full, Limited};
use hyper::header::{CONTENT_LENGTH, HeaderName};
use hyper::http::{self, uri};
use std::future::Future;
use std::sync::Arc;
use wasmtime_wasi_http::{
    DEFAULT_FORBIDDEN_HEADERS, Error as WasiError, ForbiddenHeaderFilter, RequestOptions, WasiBody,
    WasiHttpHooks,
};

type Ending = Box<dyn Future<Output = Result<(), WasiError>> + Send>;
type Answer = Result<(http::Response<WasiBody>, Ending), WasiError>;

impl WasiHttpHooks for Gate {
    fn forbidden_header_filter(&mut self) -> ForbiddenHeaderFilter {
        // The engine checks `content-length` against the body; we send our own.
        Arc::new(|name: &HeaderName| {
            let is_length = name == CONTENT_LENGTH;
            DEFAULT_FORBIDDEN_HEADERS.contains(name)
                || (header::is_forbidden(name.as_str()) && !is_length)
        })
    }

    fn set_host_header(&mut self) -> bool {
        false
    }

    fn default_scheme(&mut self) -> Option<uri::Scheme> {
        Some(uri::Scheme::HTTPS)
    }

    fn send_request(
        &mut self,
        request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        _: Ending,
    ) -> Box<dyn Future<Output = Answer> + Send> {
        let pass = self.pass_to("http").cloned();
        Box::new(async move {
            let pass = pass.map_err(|_| WasiError::HttpRequestDenied)?;
            let request = whole(request, options, &pass).await?;
            let answer = pass.send(request).await.map_err(told)?;
            let ended: Ending = Box::new(async { Ok(()) });
            Ok((shown(answer)?, ended))
        })
    }
}

async fn whole(
    request: http::Request<WasiBody>,
    options: Option<RequestOptions>,
    pass: &Pass,
) -> Result<Request, WasiError> {
    let (head, body) = request.into_parts();
    let max = pass.door.limits.size(limits::HTTP_REQUEST_BYTES);
    let too_large = WasiError::HttpRequestBodySize(u64::try_from(max).ok());
    let body = Limited::new(body, max).collect().await.map_err(|_| too_large)?.to_bytes();
    let mut headers = Vec::with_capacity(head.headers.len());
    for (name, value) in head.headers.iter().filter(|(name, _)| *name != CONTENT_LENGTH) {
        let value = std::str::from_utf8(value.as_bytes());
        let value = value.map_err(|_| WasiError::HttpProtocolError)?.to_owned();
        headers.push((name.as_str().to_owned(), value));
    }
    Ok(Request {
        method: head.method.as_str().to_owned(),
        url: head.uri.to_string(),
        headers,
        body,
        timeout: options.and_then(|options| options.first_byte_timeout),
    })
}

fn shown(answer: FetchResponse) -> Result<http::Response<WasiBody>, WasiError> {
    let mut response = http::Response::builder().status(answer.status);
    for (name, value) in answer.headers {
        response = response.header(name, value);
    }
    let body = Full::new(answer.body).map_err(WasiError::from).boxed_unsync();
    response.body(body).map_err(|_| WasiError::HttpProtocolError)
}

/// In the words of `wasi:http`, which carry no text of ours: that is in the log.
fn told(error: Error) -> WasiError {
    match error {
        Error::Denied(_) => WasiError::HttpRequestDenied,
        Error::AddressRefused(_) => WasiError::DestinationIpProhibited,
        Error::Invalid(text) => WasiError::InternalError(Some(text)),
        Error::TimedOut(_) => WasiError::HttpResponseTimeout,
        Error::Unreachable(_) => WasiError::DestinationUnavailable,
        Error::RequestTooLarge(_) => WasiError::HttpRequestBodySize(None),
        Error::ResponseTooLarge(_) => WasiError::HttpResponseBodySize(None),
        Error::TooMany(_) => WasiError::ConnectionLimitReached,
    }
}
