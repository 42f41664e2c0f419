//! The tests of squall as a program, in one binary.

mod alarm;
mod cli;
mod consumers;
mod determinism;
mod docs;
mod golden;
mod hunt;
mod overhead;
mod production;
mod program;
mod report;
mod scenarios;
mod sweep;
