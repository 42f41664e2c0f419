//! The lanes between real graphs and a log, in whatever order things happen.

mod generate;
mod lanes;
mod rebuild;
mod stories;
mod storms;
mod world;
