//! An event store in this process, over real HTTP, with a mood that the test sets.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use env::{Env, Production};
use projection::event::Event;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::watch;
use web::server::Limits;

/// How the store treats those who ask it for something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// It works.
    Willing,
    /// It refuses, and says so.
    Down,
    /// It says what contradicts itself.
    Confused,
}

/// The events by their positions, from 1; one may be there several times, and streams may be in any order.
#[derive(Clone)]
pub struct EventStore {
    pub address: String,
    state: Arc<Shared>,
}

struct Shared {
    events: Mutex<Vec<Arc<Event>>>,
    written: watch::Sender<usize>,
    mood: Mutex<Mood>,
}

impl EventStore {
    pub async fn start() -> EventStore {
        let env = Env::new(Production);
        let state = Arc::new(Shared {
            events: Mutex::default(),
            written: watch::Sender::new(0),
            mood: Mutex::new(Mood::Willing),
        });
        let router = Router::new()
            .route("/events", get(feed))
            .route("/streams", get(streams))
            .route("/streams/{id}/events", get(stream))
            .with_state(state.clone());
        let listener = env.listen("127.0.0.1:0").await.expect("loopback");
        let address = listener.local_address();
        let forever = std::future::pending::<()>();
        env.spawn(web::server::serve(env.clone(), listener, router, Limits::default(), forever));
        EventStore { address, state }
    }

    pub fn append(&self, events: impl IntoIterator<Item = Arc<Event>>) {
        let mut all = self.state.events.lock().expect("no test panics with it");
        all.extend(events);
        self.state.written.send_replace(all.len());
    }

    /// Puts an event in the place of the one of its resource and sequence, wherever that stands.
    pub fn amend(&self, event: Arc<Event>) {
        let mut all = self.state.events.lock().expect("no test panics with it");
        all.iter_mut().filter(|before| before.position == event.position).for_each(|before| *before = event.clone());
    }

    /// How many positions there are.
    pub fn end(&self) -> u64 {
        *self.state.written.borrow() as u64
    }

    /// Each event once, stream by stream.
    pub fn log(&self) -> Vec<Event> {
        let all = self.state.events.lock().expect("no test panics with it");
        let distinct: BTreeSet<_> =
            all.iter().map(|event| (event.position.resource.clone(), event.position.sequence, event.clone())).collect();
        distinct.into_iter().map(|(_, _, event)| (*event).clone()).collect()
    }

    pub fn set(&self, mood: Mood) {
        *self.state.mood.lock().expect("no test panics with it") = mood;
    }
}

impl Shared {
    fn mood(&self) -> Mood {
        *self.mood.lock().expect("no test panics with it")
    }
}

fn down() -> Response {
    let problem = json!({ "type": "about:blank", "title": "Down", "status": 503, "detail": "for a while" });
    (StatusCode::SERVICE_UNAVAILABLE, Json(problem)).into_response()
}

#[derive(Deserialize)]
struct FeedQuery {
    after: u64,
    limit: usize,
    wait_ms: u64,
}

async fn feed(State(state): State<Arc<Shared>>, Query(asked): Query<FeedQuery>) -> Response {
    let FeedQuery { after, limit, wait_ms } = asked;
    let behind = usize::try_from(after).expect("a small number");
    let mut written = state.written.subscribe();
    // Short or not, the answer is the same.
    let _ = tokio::time::timeout(Duration::from_millis(wait_ms), written.wait_for(|end| *end > behind)).await;
    let page: Vec<_> = {
        let events = state.events.lock().expect("no test panics with it");
        let positions = events.iter().enumerate().skip(behind).take(limit);
        positions.map(|(at, event)| json!({ "position": at + 1, "event": &**event })).collect()
    };
    let through = behind + page.len();
    match state.mood() {
        Mood::Willing => Json(json!({ "events": page, "through": through })).into_response(),
        Mood::Down => down(),
        Mood::Confused => Json(json!({ "events": page, "through": 0 })).into_response(),
    }
}

#[derive(Deserialize)]
struct PageQuery<T> {
    after: Option<T>,
    limit: usize,
}

async fn streams(State(state): State<Arc<Shared>>, Query(asked): Query<PageQuery<String>>) -> Response {
    if state.mood() == Mood::Down {
        return down();
    }
    let events = state.events.lock().expect("no test panics with it");
    let all: BTreeSet<String> = events.iter().map(|event| event.position.resource.to_string()).collect();
    let mut items: Vec<String> =
        all.into_iter().filter(|id| asked.after.as_ref().is_none_or(|after| id > after)).collect();
    let more = items.len() > asked.limit;
    items.truncate(asked.limit);
    if state.mood() == Mood::Confused {
        items.reverse();
    }
    Json(json!({ "items": items, "more": more })).into_response()
}

async fn stream(
    State(state): State<Arc<Shared>>,
    Path(id): Path<String>,
    Query(asked): Query<PageQuery<u64>>,
) -> Response {
    if state.mood() == Mood::Down {
        return down();
    }
    let after = asked.after.unwrap_or(0);
    let mut items: Vec<Arc<Event>> = {
        let events = state.events.lock().expect("no test panics with it");
        let of_it = |event: &&Arc<Event>| event.position.resource.as_str() == id && event.position.sequence > after;
        events.iter().filter(of_it).cloned().collect()
    };
    items.sort_by_key(|event| event.position.sequence);
    items.dedup_by_key(|event| event.position.sequence);
    // What is behind a hole is not there yet.
    let whole = items.iter().zip(after + 1..).take_while(|(event, next)| event.position.sequence == *next).count();
    items.truncate(whole);
    let more = items.len() > asked.limit;
    items.truncate(asked.limit);
    if state.mood() == Mood::Confused {
        items.reverse();
    }
    Json(json!({ "items": items, "more": more })).into_response()
}
