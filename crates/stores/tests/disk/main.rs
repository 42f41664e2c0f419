//! What a disk that fails does to a store: it may refuse, it may stop, and it never serves
//! what is not true or loses what it acknowledged.

mod damage;
mod full;
mod syncs;
mod world;
