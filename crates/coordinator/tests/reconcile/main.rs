//! Validation and reconciliation by a running coordinator: stores that somebody changed by
//! hand, live traffic, crashes, and a person who decides.

#[path = "../media/world.rs"]
#[allow(dead_code, reason = "each binary uses its own part of it")]
mod world;

mod cases;
mod columns;
mod crashes;
mod keys;
mod policies;
mod stores_by_hand;
mod traffic;
