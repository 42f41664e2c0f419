//! The HTTP API.
//!
//! | request | answer |
//! |---|---|
//! | `POST /transactions` | runs the [`Transaction`] in the body under the `Idempotency-Key` |
//! | `GET /transactions/{tx}` | what became of it: an [`Outcome`] |
//! | `GET /entities/{id}?consistency=strong\|eventual` | an [`Entity`]; a `/` in the id may stand as `%2F` |
//! | `GET /entities/{id}/neighbours?depth&limit&after` | what is around it: a [`Neighbourhood`] |
//! | `GET /transactions/{tx}/audit?after&limit` | what was decided about it: an [`AuditPage`] |
//! | `GET /audit?after&limit` | the same about all transactions |
//! | `POST /events` | appends the [`NewEvents`] in the body to a stream: their [`Placement`], 201 for new ones and 200 for those that were there |
//! | `GET /events?after&limit&wait_ms` | the events of all streams in order of position, waiting for some: a [`FeedPage`] |
//! | `GET /streams?after&limit` | the names of the streams: a [`Page`](crate::events::Page) |
//! | `GET /streams/{resource}/events?after&limit` | the events of a stream: a page as well |
//! | `GET /in-doubt?after&limit` | what has no outcome yet: an [`InDoubtPage`] |
//! | `POST /validations` | compares both stores: a [`Summary`](crate::reconcile::Summary) |
//! | `POST /reconciliations` | repairs by the policy of the [`Reconciliation`] in the body: a summary as well |
//! | `GET /cases?after&limit` | what is left to a person: a [`CasesPage`] |
//! | `POST /cases/{number}/resolution` | does what the person decided, a [`Resolution`](crate::reconcile::Resolution): the [`Case`](crate::reconcile::Case) |
//! | `GET /damaged-records` | records of the log that are left to a person: [`DamagedRecords`] |
//! | `POST /damaged-records/{tx}/resolution` | closes one, a [`Settlement`](crate::damage::Settlement): the [`DamagedRecord`](crate::damage::DamagedRecord) |
//! | `POST /backups` | writes both stores to the folder of the [`BackupOrder`]: its [`Manifest`](crate::backup::Manifest) |
//! | `GET /healthz` | a [`Health`]: 200 while it works, 503 when the process is about to end |
//! | `GET /status` | the same, always 200 |
//! | `GET /metrics` | what it has done, in Prometheus' text format |
//! | `GET /alerts` | what somebody has to look at: [`Alerts`] |
//!
//! | `GET /openapi.json` | all of this for programs |
//!
//! A server that was given a [`Token`] answers only those who know it, but for `/healthz`.
//!
//! Whatever is not answered so is answered with a [`Problem`](crate::problem::Problem). The
//! only exception is a request that is not HTTP, which the HTTP library answers by itself.
//!
//! The server runs on the listener and the tasks of its [`Env`](env::Env), so a simulation
//! runs it unmodified.

mod answers;
mod api;
mod events;
mod operational;
mod routes;
mod stores;

pub use api::{
    Alerts, AuditPage, BackupOrder, CasesPage, Consistency, DamagedRecords, Entity, EventualView, FeedPage, Health,
    IDEMPOTENCY_KEY, InDoubtPage, KEY_BYTES_MAX, KeyError, Neighbourhood, NewEvents, Outcome, Placement, Positioned,
    Reconciliation, Transaction, outcome_path, parse_key,
};
pub use routes::{paths, serve};
pub use web::server::{Limits, Serving};
pub use web::token::{Token, TokenError};
