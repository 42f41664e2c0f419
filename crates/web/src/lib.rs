//! What every program of this workspace that speaks HTTP needs, whatever it has to say.
//!
//! | module | what it is |
//! |---|---|
//! | [`server`] | accepts connections within limits, and ends without cutting a request short |
//! | [`routes`] | the layers around a program's routes, and what a path and a query say |
//! | [`body`] | a request's body, which may be too large, too slow or nonsense |
//! | [`page`] | lists that are answered in parts |
//! | [`token`] | who may talk to the server |
//! | [`problem`] | how every error reads (RFC 9457) |
//! | [`client`] | a client that never guesses what became of a request |
//! | [`exposition`] | Prometheus' text format |
//! | [`histogram`] | durations, counted |
//! | [`seconds`] | a span of time on the wire |
//! | [`program`] | what a program has around its server |
//!
//! Everything runs on the sockets, the tasks and the clock of an [`Env`](env::Env), so a simulation runs it unmodified.

pub mod body;
pub mod client;
pub mod exposition;
pub mod histogram;
pub mod page;
pub mod problem;
pub mod program;
pub mod routes;
pub mod seconds;
pub mod server;
pub mod token;
