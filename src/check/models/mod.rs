//! Sequential specifications of common objects, for [`linearizability`](super::linearizability).

pub mod kv;
pub mod register;
