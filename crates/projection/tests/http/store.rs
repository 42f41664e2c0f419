//! An event store in this process, over real HTTP, with a mood that the test sets.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use env::{Env, Production};
use projection::event::Event;
use projection::log::Page;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};
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
    /// Which store it is.
    id: Mutex<String>,
    events: Mutex<Vec<Arc<Event>>>,
    /// The positions whose events are damaged.
    damaged: Mutex<BTreeSet<usize>>,
    /// What is sent in the place of an event, by its position.
    raw: Mutex<BTreeMap<usize, String>>,
    /// How many events a page has at most, whatever was asked for.
    page_max: Mutex<usize>,
    written: watch::Sender<usize>,
    mood: Mutex<Mood>,
}

impl EventStore {
    pub async fn start() -> EventStore {
        let env = Env::new(Production);
        let state = Arc::new(Shared {
            id: Mutex::new("first".to_owned()),
            events: Mutex::default(),
            damaged: Mutex::default(),
            raw: Mutex::default(),
            page_max: Mutex::new(usize::MAX),
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

    /// In its place is another store, with these events.
    pub fn replace(&self, id: &str, events: impl IntoIterator<Item = Arc<Event>>) {
        let mut all = self.state.events.lock().expect("no test panics with it");
        *all = events.into_iter().collect();
        *self.state.id.lock().expect("no test panics with it") = id.to_owned();
        self.state.damaged.lock().expect("no test panics with it").clear();
        self.state.written.send_replace(all.len());
    }

    /// The event at this position is damaged.
    pub fn damage(&self, position: usize) {
        self.state.damaged.lock().expect("no test panics with it").insert(position);
    }

    /// It is as it was written.
    pub fn repair(&self) {
        self.state.damaged.lock().expect("no test panics with it").clear();
    }

    /// This text is sent in the place of the event at this position.
    pub fn send_raw(&self, position: usize, json: &str) {
        self.state.raw.lock().expect("no test panics with it").insert(position, json.to_owned());
    }

    /// Pages are no longer than that, as if they were cut in bytes.
    pub fn cut_pages(&self, max: usize) {
        *self.state.page_max.lock().expect("no test panics with it") = max;
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

/// A position, its event, and what is sent of it; nothing if that is damaged.
type Place = (usize, Arc<Event>, Option<Box<RawValue>>);

impl Shared {
    fn places(&self) -> Vec<Place> {
        let events = self.events.lock().expect("no test panics with it");
        let damaged = self.damaged.lock().expect("no test panics with it");
        let raw = self.raw.lock().expect("no test panics with it");
        let sent = |(position, event): (usize, &Arc<Event>)| {
            let text =
                raw.get(&position).cloned().unwrap_or_else(|| serde_json::to_string(&**event).expect("plain data"));
            let sound = (!damaged.contains(&position)).then(|| RawValue::from_string(text).expect("JSON"));
            (position, event.clone(), sound)
        };
        (1..).zip(events.iter()).map(sent).collect()
    }

    fn mood(&self) -> Mood {
        *self.mood.lock().expect("no test panics with it")
    }
}

fn down() -> Response {
    let problem = json!({ "type": "about:blank", "title": "Down", "status": 503, "detail": "for a while" });
    (StatusCode::SERVICE_UNAVAILABLE, Json(problem)).into_response()
}

/// What is sent as it is kept: however deeply it is nested.
#[derive(Serialize)]
struct FeedPage {
    store: String,
    events: Vec<Positioned>,
    damaged: Vec<Value>,
    through: usize,
    last: usize,
}

#[derive(Serialize)]
struct Positioned {
    position: usize,
    event: Box<RawValue>,
}

#[derive(Deserialize)]
struct FeedQuery {
    after: u64,
    limit: usize,
    wait_ms: u64,
    on_damage: String,
}

async fn feed(State(state): State<Arc<Shared>>, Query(asked): Query<FeedQuery>) -> Response {
    let FeedQuery { after, limit, wait_ms, on_damage } = asked;
    assert_eq!(on_damage, "tell", "a projector keeps account of each stream");
    let behind = usize::try_from(after).expect("a small number");
    let mut written = state.written.subscribe();
    // Short or not, the answer is the same.
    let _ = tokio::time::timeout(Duration::from_millis(wait_ms), written.wait_for(|end| *end > behind)).await;
    let (mut page, mut damaged) = (Vec::new(), Vec::new());
    let places = state.places();
    let limit = limit.min(*state.page_max.lock().expect("no test panics with it"));
    for (position, event, sound) in places.iter().skip(behind).take(limit) {
        let place = &event.position;
        match sound {
            Some(event) => page.push(Positioned { position: *position, event: event.clone() }),
            None => damaged.push(json!({
                "position": position, "claims": { "stream": place.resource, "sequence": place.sequence }, "why": "a bit",
            })),
        }
    }
    let through = behind.min(places.len()) + page.len() + damaged.len();
    let through = if state.mood() == Mood::Confused { 0 } else { through };
    let id = state.id.lock().expect("no test panics with it").clone();
    let answer = FeedPage { store: id, events: page, damaged, through, last: places.len() };
    if state.mood() == Mood::Down { down() } else { Json(answer).into_response() }
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
    let mut places = state.places();
    places.retain(|(_, event, _)| event.position.resource.as_str() == id && event.position.sequence > after);
    places.sort_by_key(|(_, event, _)| event.position.sequence);
    places.dedup_by_key(|(_, event, _)| event.position.sequence);
    // What is behind a hole is not there yet.
    let whole = places.iter().zip(after + 1..).take_while(|((_, event, _), next)| event.position.sequence == *next);
    let whole = whole.count();
    places.truncate(whole);
    let sound = places.iter().take_while(|(_, _, sound)| sound.is_some()).count();
    let more = places.len() > asked.limit.min(sound);
    if sound == 0 && more {
        let problem = json!({
            "type": "urn:squall:problem:event-damaged", "title": "Damaged", "status": 500, "detail": "a bit fell over",
        });
        return (StatusCode::INTERNAL_SERVER_ERROR, Json(problem)).into_response();
    }
    let mut items: Vec<Box<RawValue>> = places.into_iter().map_while(|(_, _, sound)| sound).take(asked.limit).collect();
    if state.mood() == Mood::Confused {
        items.reverse();
    }
    Json(Page { items, more }).into_response()
}
