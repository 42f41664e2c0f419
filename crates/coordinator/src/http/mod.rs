//! The HTTP API.
//!
//! | request | answer |
//! |---|---|
//! | `POST /transactions` | runs the [`Transaction`] in the body under the `Idempotency-Key` |
//! | `GET /transactions/{tx}` | what became of it: an [`Outcome`] |
//! | `GET /entities/{id}?consistency=strong\|eventual` | an [`Entity`]; a `/` in the id may stand as `%2F` |
//! | `POST /validations` | compares both stores: a [`Summary`](crate::reconcile::Summary) |
//! | `POST /reconciliations` | repairs by the policy of the [`Reconciliation`] in the body: a summary as well |
//! | `GET /cases?after=NUMBER` | what is left to a person: [`Cases`], a hundred at most |
//! | `POST /cases/{number}/resolution` | does what the person decided, a [`Resolution`](crate::reconcile::Resolution): the [`Case`](crate::reconcile::Case) |
//! | `GET /healthz` | a [`Health`]: 200 while it works, 503 when the process is about to end |
//! | `GET /status` | the same, always 200 |
//!
//! Whatever is not answered so is answered with a [`Problem`](crate::problem::Problem). The
//! only exception is a request that is not HTTP, which the HTTP library answers by itself.
//!
//! The server runs on the listener and the tasks of its [`Env`](env::Env), so a simulation
//! runs it unmodified.

mod answers;
mod api;
mod body;
mod routes;
mod server;
mod stores;

pub use api::{
    Cases, Consistency, Entity, EventualView, Health, IDEMPOTENCY_KEY, KEY_BYTES_MAX, KeyError, Outcome,
    Reconciliation, Transaction, outcome_path, parse_key,
};
pub use server::{Limits, serve};
