//! What bad media and bad clocks do to a coordinator: it may refuse to start, it may stop, and
//! it never serves past damage or forgets what it acknowledged.

mod damage;
mod full;
mod older;
mod retention;
mod syncs;
mod world;
