//! A bus beside the log: it tells a projector of events at once, but in whatever order, some of them twice or long after, and
//! some never.
//!
//! The log itself can do nothing of that: it is asked, and what it answers is in order and complete. Whoever wants to be fast
//! listens to a bus as well, and what a bus promises is little more than that it tries.

use std::sync::Arc;
use std::time::Duration;

use projection::event::Event;
use projection::log::{EventLog, HttpLog};
use projection::service::Projector;
use serde::Deserialize;

use crate::world::Host;

/// How bad a bus is.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Delivery {
    /// How many events in a hundred are told once more, some time later.
    pub duplicate_percent: u64,
    /// How many are told late, behind those that follow them.
    pub displace_percent: u64,
    /// How many are never told.
    pub drop_percent: u64,
}

/// How many events the bus remembers: what it displaces comes after so many others at most.
const MEMORY: usize = 24;

/// How many events it reads at once.
const PAGE: usize = 16;

/// Tells a projector of what is written from now on.
pub async fn ring(host: Host, log: HttpLog, projector: Projector, delivery: Delivery) {
    let Delivery { duplicate_percent, displace_percent, drop_percent } = delivery;
    let draw = |bound: u64| {
        let mut bytes = [0; 4];
        host.entropy(&mut bytes);
        u64::from(u32::from_le_bytes(bytes)) % bound.max(1)
    };
    let percent = |percent: u64| percent > 0 && draw(100) < percent;
    let mut after = 0;
    // Those that come later, some of them for the second time.
    let mut late: Vec<Arc<Event>> = Vec::new();
    loop {
        let Ok(fed) = log.feed(after, PAGE).await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        after = fed.through;
        let mut told = Vec::new();
        for (_, event) in fed.events {
            if percent(drop_percent) {
                continue;
            }
            if percent(displace_percent) {
                late.push(event);
                continue;
            }
            if percent(duplicate_percent) {
                late.push(event.clone());
            }
            told.push(event);
        }
        while late.len() > MEMORY || (!late.is_empty() && percent(40)) {
            let at = usize::try_from(draw(late.len() as u64)).expect("fewer than the bus remembers");
            told.push(late.swap_remove(at));
        }
        projector.hear(told);
    }
}
