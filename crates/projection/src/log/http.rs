//! The log of an event store that speaks HTTP.
//!
//! | request | answer |
//! |---|---|
//! | `GET /events?after=POSITION&limit=N&wait_ms=M&on_damage=tell` | events behind a global position, and where one is damaged; the server waits until there are some |
//! | `GET /streams?after=ID&limit=N` | resources that have events, sorted |
//! | `GET /streams/{id}/events?after=SEQUENCE&limit=N` | the events of one of them |
//!
//! Every request has a connection of its own, so a connection that has gone dead costs one request. A store that does
//! not answer is left alone for a while that doubles with each failure in a row: the feed waits for the end of it, and
//! whoever asks for anything else is told at once, since a request that waits takes a place from others. One that answers
//! that an event is damaged is well: others are not made to wait for it.
//!
//! The events of a page are read one by one: one that cannot be understood says nothing about the others.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ::http::Request;
use env::{BoxFuture, Env};
use graph::EntityId;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use tokio::time::Instant;
use web::client::{Answer, CallError, Client, quoted, read_json};
use web::problem::Document;

use super::{EventLog, Fed, LogError, LogId, Page, Unread};
use crate::event::{Event, Position};

/// How many items a store gives at once at most.
pub const PAGE_MAX: usize = 1_024;

/// How patient a reader of a log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpLogOptions {
    /// How long the store is asked to wait for an event; at most 30 s. It is also how much older than the last answer
    /// the moment may be of which is known that all was read.
    pub wait: Duration,
    /// How long a request may take beyond that.
    pub timeout: Duration,
    /// The pause after the first failure in a row; it doubles with each further one.
    pub backoff: Duration,
    /// The longest such pause.
    pub backoff_max: Duration,
}

impl Default for HttpLogOptions {
    fn default() -> HttpLogOptions {
        HttpLogOptions {
            wait: Duration::from_secs(2),
            timeout: Duration::from_secs(10),
            backoff: Duration::from_millis(100),
            backoff_max: Duration::from_secs(5),
        }
    }
}

/// The log of the event store at a URL.
pub struct HttpLog {
    client: Client,
    options: HttpLogOptions,
    rest: Mutex<Rest>,
}

impl HttpLog {
    /// The log of the store at `host:port`. The seed of its pauses comes from the environment.
    ///
    /// `authorize` gives the client the store's token, if it needs one.
    pub fn new<E>(
        env: Env,
        address: impl Into<String>,
        options: HttpLogOptions,
        authorize: impl FnOnce(Client) -> Result<Client, E>,
    ) -> Result<HttpLog, E> {
        let mut seed = [0; 8];
        env.entropy(&mut seed);
        let client = authorize(Client::new(env, address, options.wait + options.timeout))?;
        let rest = Rest { draws: u64::from_le_bytes(seed), failures: 0, until: None };
        Ok(HttpLog { client, options, rest: Mutex::new(rest) })
    }

    /// Asks, unless the store is left alone for now; whoever is patient waits for the end of that.
    async fn ask<T: DeserializeOwned>(&self, path: String, patience: Patience) -> Result<T, LogError> {
        let until = self.rest().until;
        if let Some(until) = until.filter(|until| *until > Instant::now()) {
            if patience == Patience::None {
                return Err(LogError::Unreached("it was not reached a moment ago".to_owned()));
            }
            tokio::time::sleep_until(until).await;
        }
        let answer = match self.client.call::<Complaint>(Request::get(path), Vec::new()).await {
            Ok(Answer::Ok { body, .. }) => read_json(&body).map_err(failed),
            Ok(Answer::Problem(complaint)) => Err((*complaint).into()),
            Err(error) => Err(failed(error)),
        };
        let mut rest = self.rest();
        match &answer {
            Ok(_) | Err(LogError::Damaged(_)) => (rest.failures, rest.until) = (0, None),
            Err(LogError::Unreached(_)) => rest.begin(&self.options),
        }
        answer
    }

    fn rest(&self) -> MutexGuard<'_, Rest> {
        self.rest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn failed(error: CallError) -> LogError {
    LogError::Unreached(error.to_string())
}

fn nonsense(what: impl std::fmt::Display) -> LogError {
    LogError::Unreached(format!("its answer contradicts itself: {what}"))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Patience {
    None,
    Waits,
}

/// For how long the store is left alone.
struct Rest {
    /// The state of the stream of pauses.
    draws: u64,
    /// How often in a row something failed.
    failures: u32,
    until: Option<Instant>,
}

impl Rest {
    fn begin(&mut self, options: &HttpLogOptions) {
        let now = Instant::now();
        // Of several that failed together the first counts.
        if self.until.is_some_and(|until| until > now) {
            return;
        }
        let full = options.backoff.saturating_mul(1 << self.failures.min(16)).min(options.backoff_max);
        self.failures = self.failures.saturating_add(1);
        // Between half of it and all of it, so that those who failed together do not come back together.
        let share = u32::try_from(self.draw() >> 33).unwrap_or(0);
        let spread = (full / 2).mul_f64(f64::from(share) / f64::from(u32::MAX >> 1));
        self.until = Some(now + full - spread);
    }

    /// The next number of SplitMix64 (Steele, Lea and Flood, 2014).
    fn draw(&mut self) -> u64 {
        self.draws = self.draws.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.draws;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// The type of the problem that a store has with one event.
const EVENT_DAMAGED: &str = "urn:squall:problem:event-damaged";

/// A problem of the store's, as far as it matters here.
#[derive(Clone, Debug, Deserialize)]
struct Complaint {
    #[serde(rename = "type", default)]
    kind: String,
    title: String,
    status: u16,
    detail: String,
}

impl Document for Complaint {
    fn status(&self) -> u16 {
        self.status
    }
}

impl From<Complaint> for LogError {
    fn from(Complaint { kind, title, detail, .. }: Complaint) -> LogError {
        if kind == EVENT_DAMAGED {
            return LogError::Damaged(detail);
        }
        LogError::Unreached(format!("{title}: {detail}"))
    }
}

#[derive(Deserialize)]
struct FeedAnswer {
    store: LogId,
    events: Vec<Positioned>,
    #[serde(default)]
    damaged: Vec<Damaged>,
    through: u64,
    last: u64,
}

#[derive(Deserialize)]
struct Positioned {
    position: u64,
    event: Box<RawValue>,
}

#[derive(Deserialize)]
struct Damaged {
    position: u64,
    claims: Option<Claim>,
    why: String,
}

#[derive(Deserialize)]
struct Claim {
    stream: EntityId,
    sequence: u64,
}

impl Positioned {
    /// Adds the event to a page.
    fn read(self, fed: &mut Fed) {
        let Positioned { position, event } = self;
        match Event::decode(event.get()) {
            Ok(event) => fed.events.push((position, Arc::new(event))),
            Err(error) => fed.unread.push(Unread { position, place: None, why: error.to_string() }),
        }
    }
}

impl From<Damaged> for Unread {
    fn from(Damaged { position, claims, why }: Damaged) -> Unread {
        let place = claims.map(|Claim { stream, sequence }| Position { resource: stream, sequence });
        Unread { position, place, why }
    }
}

impl EventLog for HttpLog {
    fn stream<'a>(
        &'a self,
        resource: &'a EntityId,
        after: u64,
        limit: usize,
    ) -> BoxFuture<'a, Result<Page<Arc<Event>>, LogError>> {
        Box::pin(async move {
            let limit = limit.min(PAGE_MAX);
            let path = format!("/streams/{}/events?after={after}&limit={limit}", quoted(resource.as_str()));
            let page: Page<Box<RawValue>> = self.ask(path, Patience::None).await?;
            let mut items = Vec::with_capacity(page.items.len());
            for (sequence, event) in (after + 1..).zip(&page.items) {
                let place = Position { resource: resource.clone(), sequence };
                // What stands there stands there, whether it says so in a form that can be understood or not.
                let event = Event::decode(event.get()).unwrap_or_else(|error| Event::illegible(place.clone(), &error));
                if event.position != place {
                    return Err(nonsense(format!("{} where {place} was asked for", event.position)));
                }
                items.push(Arc::new(event));
            }
            Ok(Page { items, more: page.more })
        })
    }

    fn feed(&self, after: u64, limit: usize) -> BoxFuture<'_, Result<Fed, LogError>> {
        Box::pin(async move {
            let (limit, wait) = (limit.min(PAGE_MAX), self.options.wait.as_millis());
            let path = format!("/events?after={after}&limit={limit}&wait_ms={wait}&on_damage=tell");
            let FeedAnswer { store, events, damaged, through, last } = self.ask(path, Patience::Waits).await?;
            let mut read = after;
            for Positioned { position, .. } in &events {
                if *position <= read {
                    return Err(nonsense(format!("an event at the position {position}, behind {read}")));
                }
                read = *position;
            }
            let read = damaged.iter().map(|damaged| damaged.position).max().unwrap_or(0).max(read);
            // One that ends before what was asked for is another log, and that is no contradiction.
            if through > last || through < after.min(last) || (read > after && through < read) {
                return Err(nonsense(format!(
                    "all was read through {through}, up to {read}, and the end is at {last}"
                )));
            }
            let unread = damaged.into_iter().map(Unread::from).collect();
            let mut fed = Fed { log: store, events: Vec::new(), unread, through, last };
            events.into_iter().for_each(|event| event.read(&mut fed));
            fed.unread.sort();
            Ok(fed)
        })
    }

    fn resources<'a>(
        &'a self,
        after: Option<&'a EntityId>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Page<EntityId>, LogError>> {
        Box::pin(async move {
            let limit = limit.min(PAGE_MAX);
            let after_id = after.map(|after| format!("&after={}", quoted(after.as_str()))).unwrap_or_default();
            let path = format!("/streams?limit={limit}{after_id}");
            let page: Page<EntityId> = self.ask(path, Patience::None).await?;
            let mut last = after;
            for resource in &page.items {
                if last.is_some_and(|last| resource <= last) {
                    return Err(nonsense(format!("the list of streams is not sorted at {resource}")));
                }
                last = Some(resource);
            }
            Ok(page)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn pauses_double_up_to_the_longest_and_are_spread() {
        let options = HttpLogOptions::default();
        let mut pauses = Vec::new();
        for seed in 0..20 {
            let mut rest = Rest { draws: seed, failures: 0, until: None };
            for full in [100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000].map(Duration::from_millis) {
                rest.begin(&options);
                let until = rest.until.expect("it has begun");
                let pause = until - Instant::now();
                assert!(pause >= full / 2 && pause <= full, "{pause:?} of {full:?}");
                // Another one that failed at the same time makes it no longer.
                rest.begin(&options);
                assert_eq!(rest.until, Some(until));
                pauses.push(pause);
                tokio::time::advance(pause).await;
            }
        }
        pauses.sort();
        pauses.dedup();
        assert!(pauses.len() > 100, "they are spread: {pauses:?}");
    }
}
