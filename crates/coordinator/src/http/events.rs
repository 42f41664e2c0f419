//! The event store over HTTP: appending to streams, reading them, following them all.
//!
//! A reader that waits has its own kind of place, of which there are
//! [`waiting_readers_max`](crate::service::Options::waiting_readers_max), and waits no longer than [`WAIT_MAX`]: it
//! takes none from those who have something to do.

use std::time::Duration;

use axum::Json;
use axum::extract::{Request, State};
use graph::{EntityId, stream_of};
use http::{StatusCode, Uri};
use serde::Deserialize;
use serde_json::value::RawValue;
use web::body;
use web::routes::{Segment, query, segment};

use super::answers;
use super::api::{FeedPage, NewEvents, Placement, Positioned};
use super::routes::{Service, place};
use crate::events::{
    Append, AppendError, AppendFailure, Appended, EventStore, Fed, OnDamage, PAGE, PAGE_MAX, Page, Placed, ReadError,
    StoredEvent, WAIT_MAX, is_system,
};
use crate::problem::{At, Problem, ProblemType};

/// How many events or streams are read at once: between 1 and [`PAGE_MAX`].
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "u32")]
struct Limit(u32);

impl Default for Limit {
    fn default() -> Limit {
        Limit(PAGE)
    }
}

impl TryFrom<u32> for Limit {
    type Error = String;
    fn try_from(limit: u32) -> Result<Limit, String> {
        if (1..=PAGE_MAX).contains(&limit) {
            Ok(Limit(limit))
        } else {
            Err(format!("a limit is between 1 and {PAGE_MAX}"))
        }
    }
}

/// For how long a reader waits: at most [`WAIT_MAX`].
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(try_from = "u64")]
struct Wait(Duration);

impl TryFrom<u64> for Wait {
    type Error = String;
    fn try_from(ms: u64) -> Result<Wait, String> {
        let wait = Duration::from_millis(ms);
        if wait <= WAIT_MAX {
            Ok(Wait(wait))
        } else {
            Err(format!("a reader waits {} ms at most", WAIT_MAX.as_millis()))
        }
    }
}

pub(super) async fn append(
    State(service): State<Service>,
    request: Request,
) -> Result<(StatusCode, Json<Placement>), Box<Problem>> {
    // Refused before the body is read, as a transaction is.
    drop(place(&service)?);
    let NewEvents { resource, expected_version, events } = body::json(&service.limits, request).await?;
    let append = Append { stream: stream_of(resource.as_ref()), expected: expected_version, events };
    match service.coordinator.append(append).await {
        Ok(Appended::New(placed)) => Ok((StatusCode::CREATED, Json(placement(placed)))),
        Ok(Appended::Repeated(placed)) => Ok((StatusCode::OK, Json(placement(placed)))),
        Ok(Appended::VersionConflict { actual }) => {
            let detail = format!("the stream has {actual} events: nothing was appended");
            let problem = Problem::new(ProblemType::VersionConflict, detail);
            Err(Box::new(Problem { version: Some(actual), ..problem }))
        }
        Ok(Appended::EventIdReused(id)) => {
            let detail = format!(
                "event {id} was appended with another content, elsewhere or not with these: nothing was appended"
            );
            let problem = Problem::new(ProblemType::EventIdReused, detail);
            Err(Box::new(Problem { event: Some(id), ..problem }))
        }
        Ok(Appended::Damaged(damaged)) => {
            let detail =
                format!("whether these events were appended before cannot be told, and nothing was: {damaged}");
            Err(Problem::new(ProblemType::EventDamaged, detail).into())
        }
        Err(AppendFailure::Malformed(error)) => Err(invalid(&error)),
        Err(AppendFailure::Rejected(rejection)) => Err(answers::rejected(&rejection)),
        Err(failure @ AppendFailure::Unknown) => {
            Err(Problem::new(ProblemType::OutcomeUnknown, failure.to_string()).into())
        }
    }
}

fn placement(Placed { stream, first, last, position }: Placed) -> Placement {
    Placement { resource: (!is_system(&stream)).then_some(stream), sequences: [first, last], position }
}

fn invalid(error: &AppendError) -> Box<Problem> {
    let pointer = match error {
        AppendError::Empty | AppendError::TooMany(_) => "/events".to_owned(),
        AppendError::Label(_) => "/resource".to_owned(),
        AppendError::Event { position, .. } | AppendError::Twice { position, .. } => format!("/events/{position}"),
    };
    Problem::new(ProblemType::MalformedRequest, error.to_string()).at(At::Pointer(pointer)).into()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FeedQuery {
    #[serde(default)]
    after: u64,
    #[serde(default)]
    limit: Limit,
    #[serde(default)]
    wait_ms: Wait,
    #[serde(default)]
    on_damage: OnDamage,
}

pub(super) async fn feed(
    State(service): State<Service>,
    uri: Uri,
) -> Result<Json<FeedPage<Box<RawValue>>>, Box<Problem>> {
    let FeedQuery { after, limit, wait_ms, on_damage } = query(&uri)?;
    let fed = service.coordinator.feed(after, limit.0, wait_ms.0, on_damage).await;
    let Fed { events, damaged, through, last } = fed.map_err(unread)?;
    let positioned = |event: StoredEvent| Positioned { position: event.position, event: event.envelope };
    let events = events.into_iter().map(positioned).collect();
    Ok(Json(FeedPage { store: service.coordinator.store().to_owned(), events, damaged, through, last }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StreamQuery {
    #[serde(default)]
    after: u64,
    #[serde(default)]
    limit: Limit,
}

pub(super) async fn stream(
    State(service): State<Service>,
    resource: Segment,
    uri: Uri,
) -> Result<Json<Page<Box<RawValue>>>, Box<Problem>> {
    let resource = segment::<EntityId>("resource", resource)?;
    let StreamQuery { after, limit } = query(&uri)?;
    let Page { items, more } = service.coordinator.stream(&resource, after, limit.0).await.map_err(unread)?;
    Ok(Json(Page { items: items.into_iter().map(|event| event.envelope).collect(), more }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StreamsQuery {
    after: Option<EntityId>,
    #[serde(default)]
    limit: Limit,
}

pub(super) async fn streams(State(service): State<Service>, uri: Uri) -> Result<Json<Page<EntityId>>, Box<Problem>> {
    let StreamsQuery { after, limit } = query(&uri)?;
    service.coordinator.streams(after.as_ref(), limit.0).await.map(Json).map_err(unread)
}

fn unread(error: ReadError) -> Box<Problem> {
    let kind = match error {
        ReadError::Damaged(_) => ProblemType::EventDamaged,
        ReadError::Overloaded => ProblemType::Overloaded,
        ReadError::Unavailable(_) => ProblemType::Unavailable,
    };
    Problem::new(kind, error.to_string()).into()
}
