//! What a simulated client does with what is asked of the log and of the projection: real HTTP, through the clients of the
//! coordinator and of the projector.

use std::time::Duration;

use coordinator::client::{Client as Coordinator, ClientError as LogError};
use coordinator::events::{self, Appended as Outcomes, Placed};
use env::Env;
use graph::{EntityId, stream_of};
use projection::client::{Client, ClientError};
use projection::lanes::Scope;
use serde_json::json;
use web::client::CallError;

use super::event::Happening;
use super::hosts::STUBS_PERIOD;
use super::operation::{Append, Appended, Done, Followed, Projector, Said, Seen, View, Viewed, Whole};
use super::{PROJECTOR_PORT, PROJECTORS, event_id};
use crate::history::OpId;
use crate::sut::Outcome;
use crate::system::client::{RETRY_PAUSE, SETTLE_PAUSE};
use crate::system::environment::Simulated;
use crate::system::operation::Ret;
use crate::world::ClientHost;

/// For how long a client waits at a barrier.
const BARRIER: Duration = Duration::from_millis(800);

/// How many events a follower of the feed reads at once, and for how long it waits where there is none.
const FOLLOW_PAGE: u32 = 4;
const FOLLOW_WAIT: Duration = Duration::from_millis(200);

/// A client of one of the projectors.
fn connect(client: &ClientHost, at: Projector, timeout: Duration) -> Client {
    let env = Env::new(Simulated::new((**client).clone()));
    Client::new(env, format!("{}:{PROJECTOR_PORT}", name(at)), timeout)
}

fn name(at: Projector) -> &'static str {
    match at {
        Projector::First => PROJECTORS[0],
        Projector::Second => PROJECTORS[1],
    }
}

/// Appends events, and looks at what the projection makes of them if that is wanted.
pub async fn append(
    client: &ClientHost,
    coordinator: &Coordinator,
    timeout: Duration,
    id: OpId,
    append: Append,
) -> Outcome<Ret> {
    let order = order(id, &append);
    let placed = match write(client, coordinator, &order, append.retries).await {
        Ok(placed) => placed,
        Err(outcome) => return outcome,
    };
    if append.again
        && let Ok(second) = coordinator.append(&order).await
        && second != Outcomes::Repeated(placed.clone())
    {
        return Outcome::Ok(Ret::TwoAnswers { first: format!("{placed:?}"), then: format!("{second:?}") });
    }
    let Placed { stream, first, last, position } = placed;
    let seen = match append.look {
        true => Some(look(&connect(client, append.at, timeout), stream, Some(last)).await),
        false => None,
    };
    Outcome::Ok(Ret::Appended(Box::new(Appended { first, last, position, seen })))
}

fn order(id: OpId, append: &Append) -> events::Append {
    let event = |(nth, happening): (usize, &Happening)| {
        // Many have the same time, and some an earlier one than those before them.
        let timestamp = format!("2026-01-01T00:00:0{}Z", (id.0 * 7) % 3);
        happening.sent(event_id(id, nth), append.resource.as_ref(), timestamp)
    };
    let events = append.events.iter().enumerate().map(event).collect();
    events::Append { stream: stream_of(append.resource.as_ref()), expected: append.expected, events }
}

/// Sends events, and sends them again under the same ids while nobody says what became of them.
async fn write(
    client: &ClientHost,
    coordinator: &Coordinator,
    order: &events::Append,
    retries: u32,
) -> Result<Placed, Outcome<Ret>> {
    let mut unknown = None;
    for attempt in 0..=retries {
        if attempt > 0 {
            tokio::time::sleep(RETRY_PAUSE).await;
        }
        match send(client, coordinator, order).await {
            Ok(Outcomes::New(placed) | Outcomes::Repeated(placed)) => return Ok(placed),
            Ok(Outcomes::VersionConflict { actual }) => {
                // One that is still on its way may fit once the stream has grown.
                let may_fit_later = order.expected.is_some_and(|expected| expected > actual);
                return Err(match unknown.filter(|_| may_fit_later) {
                    Some(why) => Outcome::Info(why),
                    None => Outcome::Ok(Ret::Conflict { actual }),
                });
            }
            Ok(Outcomes::EventIdReused(id)) => return Err(Outcome::Fail(format!("event {id} is another one"))),
            Ok(Outcomes::Damaged(damaged)) => {
                return Err(unknown.map_or(Outcome::Fail(damaged.to_string()), Outcome::Info));
            }
            Err(error) if error.is_unknown() => unknown = Some(error.to_string()),
            Err(error) if attempt == retries && unknown.is_none() => return Err(Outcome::Fail(error.to_string())),
            Err(_) => {}
        }
    }
    Err(Outcome::Info(unknown.unwrap_or_else(|| "nothing was sent".to_owned())))
}

/// Sends events once, or twice at the same time if a fault says so. Of two answers that differ in more than who came first,
/// the one is wrong.
async fn send(client: &ClientHost, coordinator: &Coordinator, order: &events::Append) -> Result<Outcomes, LogError> {
    if !client.duplicating() {
        return coordinator.append(order).await;
    }
    let (first, second) = futures_util::future::join(coordinator.append(order), coordinator.append(order)).await;
    match (first, second) {
        (Ok(Outcomes::New(one) | Outcomes::Repeated(one)), Ok(Outcomes::New(other) | Outcomes::Repeated(other))) => {
            assert_eq!(one, other, "events were placed twice");
            Ok(Outcomes::New(one))
        }
        (Ok(placed @ (Outcomes::New(_) | Outcomes::Repeated(_))), _)
        | (_, Ok(placed @ (Outcomes::New(_) | Outcomes::Repeated(_)))) => Ok(placed),
        (Err(first), Err(second)) => Err(if second.is_unknown() { second } else { first }),
        // What was refused to the one may yet happen by the other.
        (Err(error), Ok(refused)) | (Ok(refused), Err(error)) => {
            if error.is_unknown() {
                Err(error)
            } else {
                Ok(refused)
            }
        }
        (Ok(refused), Ok(_)) => Ok(refused),
    }
}

/// Reads the feed from its beginning, and goes on from where it said that it was. A request without an answer is made again.
pub async fn follow(coordinator: &Coordinator, during: Duration) -> Outcome<Ret> {
    let end = tokio::time::Instant::now() + during;
    let mut followed = Followed { events: Vec::new(), through: 0 };
    while tokio::time::Instant::now() < end {
        let Ok(page) = coordinator.feed(followed.through, FOLLOW_PAGE, FOLLOW_WAIT).await else {
            tokio::time::sleep(SETTLE_PAUSE).await;
            continue;
        };
        let events = page.events.into_iter().map(|told| (told.position, told.event.id.as_str().to_owned()));
        followed.events.extend(events);
        followed.through = page.through;
    }
    Outcome::Ok(Ret::Followed(Box::new(followed)))
}

/// Looks at a resource, behind the barrier if an event is waited for.
pub async fn view(client: &ClientHost, timeout: Duration, View { resource, after, at }: View) -> Outcome<Ret> {
    let seen = look(&connect(client, at, timeout), resource, after).await;
    match (&seen.shown, &seen.view) {
        (None, None) => Outcome::Fail("nothing was shown".to_owned()),
        _ => Outcome::Ok(Ret::Seen(Box::new(seen))),
    }
}

async fn look(projector: &Client, resource: EntityId, wanted: Option<u64>) -> Seen {
    let mut shown = None;
    if let Some(sequence) = wanted
        && let Ok(barrier) = projector.when_applied(&resource, sequence, BARRIER).await
    {
        shown = barrier.sequence.filter(|_| barrier.applied);
    }
    let view = projector.resource(&resource).await.ok().map(|view| Viewed {
        indexed_up_to: view.freshness.indexed_up_to,
        page: serde_json::to_value(view).expect("a view has text keys"),
    });
    Seen { resource, wanted, shown, view }
}

/// Rebuilds a resource or all of them.
pub async fn rebuild(client: &ClientHost, timeout: Duration, Whole { resource, at }: Whole) -> Outcome<Ret> {
    let projector = connect(client, at, timeout);
    ended(projector.rebuild(&scope(resource.clone())).await, resource)
}

/// Compares a resource or all of them with the log.
pub async fn mend(client: &ClientHost, timeout: Duration, Whole { resource, at }: Whole) -> Outcome<Ret> {
    let projector = connect(client, at, timeout);
    ended(projector.reconcile(&scope(resource.clone())).await, resource)
}

fn scope(resource: Option<EntityId>) -> Scope {
    resource.map_or(Scope::All, Scope::One)
}

fn ended(result: Result<projection::lanes::Ended, ClientError>, resource: Option<EntityId>) -> Outcome<Ret> {
    match result {
        Ok(ended) => Outcome::Ok(Ret::Ended(Box::new(Done { resource, ended }))),
        Err(error @ ClientError::Call(CallError::Unknown { .. })) => Outcome::Info(error.to_string()),
        Err(error) => Outcome::Fail(error.to_string()),
    }
}

/// Asks a projector how it is.
pub async fn status(client: &ClientHost, timeout: Duration, at: Projector) -> Outcome<Ret> {
    match connect(client, at, timeout).status().await {
        Ok(health) => {
            let status = serde_json::to_value(health).expect("a page has text keys");
            Outcome::Ok(Ret::Said(Box::new(Said { projector: name(at).to_owned(), status })))
        }
        Err(error) => Outcome::Fail(error.to_string()),
    }
}

/// Waits until every projector has come to the end of the log, and has nothing left to do. Returns what each says of itself
/// then, a line each.
pub async fn settle(client: &ClientHost, coordinator: &Coordinator, projectors: usize) -> String {
    let mut pages = String::new();
    for at in [Projector::First, Projector::Second].into_iter().take(projectors) {
        let projector = connect(client, at, Duration::from_millis(1_000));
        while let Err(awaited) = is_at_rest(&projector, coordinator).await {
            client.awaits(format!("{}: {awaited}", name(at)));
            tokio::time::sleep(SETTLE_PAUSE).await;
        }
        // Until the stubs were counted anew.
        tokio::time::sleep(2 * STUBS_PERIOD).await;
        let health = loop {
            match projector.status().await {
                Ok(health) => break health,
                Err(_) => tokio::time::sleep(SETTLE_PAUSE).await,
            }
        };
        let status = json!({
            "low_water": health.status.low_water,
            "parked": health.status.parked,
            "stubs": health.stubs,
            "behind": health.lag.positions,
        });
        pages += &format!("{}\n", Said { projector: name(at).to_owned(), status });
    }
    pages
}

/// What keeps it from being at rest, if anything does.
async fn is_at_rest(projector: &Client, coordinator: &Coordinator) -> Result<(), String> {
    let status = projector.status().await.map_err(|error| format!("it does not say how it is: {error}"))?.status;
    if status.lanes > 0 || status.low_water != status.read || status.rebuilding {
        let rebuilding = if status.rebuilding { ", and it rebuilds" } else { "" };
        let (lanes, low_water, read) = (status.lanes, status.low_water, status.read);
        return Err(format!("{lanes} lanes are at work, {low_water} of {read} events shown{rebuilding}"));
    }
    match coordinator.feed(status.read, 1, Duration::ZERO).await {
        Ok(fed) if fed.events.is_empty() => Ok(()),
        Ok(_) => Err(format!("there are events after {}, which is how far it has read", status.read)),
        Err(error) => Err(format!("the log cannot be read: {error}")),
    }
}
