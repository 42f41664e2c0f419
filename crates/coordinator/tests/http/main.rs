//! The HTTP API over real sockets: a real coordinator on an embedded graph that obeys the
//! test, and a client that speaks to servers which misbehave.

mod api;
mod browse;
mod client;
mod events;
mod identity;
mod openapi;
#[path = "../../../web/tests/support/openapi.rs"]
mod openapi_document;
mod operations;
mod shutdown;
mod support;
mod token;
mod trouble;
