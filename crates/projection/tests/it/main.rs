//! The lanes between real graphs and a log, in whatever order things happen.

mod behind;
mod damage;
mod generate;
mod lanes;
mod logs;
mod looks;
mod rebuild;
mod script;
mod stories;
mod storms;
mod world;
