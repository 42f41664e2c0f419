//! A projector over real sockets and real files: an event store in this process that speaks the contract and obeys the
//! test, the HTTP API, and the program as a user starts it.

mod api;
mod log;
#[path = "../it/generate.rs"]
#[expect(dead_code, reason = "the storms need more of it")]
mod logs;
mod openapi;
#[path = "../../../web/tests/support/openapi.rs"]
mod openapi_document;
mod program;
mod service;
mod store;
mod stubs;
mod support;
