//! The HTTP API.
//!
//! | request | answer |
//! |---|---|
//! | `GET /resources/{id}` | a [`ResourceView`](crate::view::ResourceView), links to stubs flagged |
//! | `GET /resources/{id}/referenced-by?after&limit` | what links to it: [`Referrers`](crate::view::Referrers), with an `ETag` |
//! | `GET /applied/{resource}/{sequence}?wait_ms` | waits until the graph shows an event: a [`Barrier`](crate::service::Barrier) |
//! | `GET /stubs?after&limit` | what was never created, and why: a [`StubsPage`] |
//! | `GET /parked?after&limit` | what cannot be applied: a [`ParkedPage`] |
//! | `POST /rebuilds` | writes the graph anew, as the [`Scope`](crate::lanes::Scope) in the body says: an [`Ended`](crate::lanes::Ended) |
//! | `POST /reconciliations` | puts right what differs from the log, in that scope: an [`Ended`](crate::lanes::Ended) |
//! | `GET /healthz` | a [`Health`](crate::operations::Health): 200 while it works, 503 when the process is about to end |
//! | `GET /status` | the same, always 200 |
//! | `GET /metrics` | what it has done, in Prometheus' text format |
//! | `GET /openapi.json` | all of this for programs |
//!
//! A `/` in an id stands as `%2F`. A server that was given a [`Token`](web::token::Token) answers only those who know
//! it, but for `/healthz`. Whatever is not answered so is answered with a [`Problem`].

mod problem;
mod routes;

use serde::{Deserialize, Serialize};

use crate::service::Parked;
use crate::stubs::Stub;

pub use problem::{Problem, ProblemType};
pub use routes::{paths, serve};

/// A part of the stubs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StubsPage {
    /// Each of them, by its id.
    pub stubs: Vec<Stub>,
    /// What to ask for as `after` to get those that follow; null at the end.
    pub next: Option<String>,
}

/// A part of what stands still.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParkedPage {
    /// Each of them, by its id.
    pub parked: Vec<Parked>,
    /// What to ask for as `after` to get those that follow; null at the end.
    pub next: Option<String>,
}
