//! Bolt: the protocol of Neo4j, Neptune and ArcadeDB, versions 4.0 to 4.4.
//!
//! [`client::BoltGraph`] is the [`GraphStore`](crate::GraphStore) that production uses.
//! [`server::BoltServer`] speaks the same bytes from the other end: it answers named
//! statements from any [`PropertyGraph`](crate::PropertyGraph), for simulations and tests.
//!
//! `bolt-client` and `bolt-proto` have had no release for years. They are named in
//! `connection.rs`, `value.rs` and `server/` and nowhere else, so that they can be replaced.

pub mod client;
pub mod server;

mod codes;
mod connection;
mod options;
mod pool;
mod schema;
mod tls;
mod value;

pub use schema::PROBE_VALUE;
