//! An answer.

use bytes::Bytes;
use http::{Response, StatusCode, header};
use serde_json::Value;

use super::cause;
use super::recorded::Exchange;

/// What a request is answered with.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Answer {
    status: u16,
    body: Value,
}

impl Answer {
    pub fn new(status: u16, body: Value) -> Self {
        Self { status, body }
    }

    pub fn ok(body: Value) -> Self {
        Self::new(200, body)
    }

    /// An error of a REST handler.
    pub fn refused(status: u16, message: &str) -> Self {
        let text = format!("org.apache.flink.runtime.rest.handler.RestHandlerException: {message}");
        Self::new(status, cause::errors(&text))
    }

    /// An exception that nobody expected.
    pub fn server_error(text: &str) -> Self {
        Self::new(500, cause::server_error(text))
    }
}

impl From<Exchange> for Answer {
    fn from(exchange: Exchange) -> Self {
        Self::new(exchange.status, exchange.body)
    }
}

impl From<Answer> for Response<Bytes> {
    fn from(answer: Answer) -> Self {
        let mut response = Self::new(answer.body.to_string().into());
        *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let json = header::HeaderValue::from_static("application/json; charset=UTF-8");
        response.headers_mut().insert(header::CONTENT_TYPE, json);
        response
    }
}
