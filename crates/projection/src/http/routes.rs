//! Which request is answered by what.

use std::time::Duration;

use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use axum::{Json, Router};
use env::{Env, Listener};
use graph::EntityId;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue, StatusCode, Uri};
use serde::Deserialize;
use web::body;
use web::page::{Limit, page};
use web::problem::{At, Refusal, Refused};
use web::routes::{Api, Segment, finish, query, segment};
use web::server::{Limits, Serving};

use super::{ParkedPage, Problem, ProblemType, StubsPage};
use crate::lanes::{Ended, Scope};
use crate::operations::Health;
use crate::service::{Barrier, Parked, Projector};
use crate::stubs::Stub;
use crate::view::ResourceView;

/// What handlers work with.
#[derive(Clone)]
struct Service {
    projector: Projector,
    limits: Limits,
}

/// A path, and what answers it.
struct Route {
    path: &'static str,
    answer: fn() -> MethodRouter<Service>,
}

/// Everything the API answers.
static ROUTES: &[Route] = &[
    Route { path: "/resources/{id}", answer: || get(resource) },
    Route { path: "/resources/{id}/referenced-by", answer: || get(referenced_by) },
    Route { path: "/applied/{id}/{sequence}", answer: || get(applied) },
    Route { path: "/stubs", answer: || get(stubs) },
    Route { path: "/parked", answer: || get(parked) },
    Route { path: "/rebuilds", answer: || post(rebuild) },
    Route { path: "/reconciliations", answer: || post(reconcile) },
    Route { path: "/healthz", answer: || get(health) },
    Route { path: "/status", answer: || get(status) },
    Route { path: "/metrics", answer: || get(metrics) },
    Route { path: "/openapi.json", answer: || get(openapi) },
];

/// Every path, as documents write it: a part in braces is one segment, in which a `/` stands as `%2F`.
pub fn paths() -> impl Iterator<Item = &'static str> {
    ROUTES.iter().map(|route| route.path)
}

/// Serves the API until `stop` resolves, and returns what it resolved to; see [`web::server::serve`].
pub async fn serve<T>(
    env: Env,
    listener: Box<dyn Listener>,
    projector: Projector,
    serving: impl Into<Serving>,
    stop: impl Future<Output = T>,
) -> T {
    let Serving { limits, token } = serving.into();
    let routes = ROUTES.iter().fold(Router::new(), |router, route| router.route(route.path, (route.answer)()));
    let api = Api { realm: "projector", paths: || paths().collect() };
    let router = finish::<ProblemType, _>(routes, api, env.clone(), token).with_state(Service { projector, limits });
    web::server::serve(env, listener, router, limits, stop).await
}

async fn resource(State(service): State<Service>, id: Segment) -> Result<Json<ResourceView>, Box<Problem>> {
    let id = segment::<EntityId>("id", id)?;
    Ok(Json(service.projector.resource(&id).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PageQuery {
    #[serde(default)]
    after: String,
    #[serde(default)]
    limit: Limit,
}

/// Readers may keep the page, and ask each time whether it is still the same.
async fn referenced_by(
    State(service): State<Service>,
    id: Segment,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Box<Problem>> {
    let id = segment::<EntityId>("id", id)?;
    let PageQuery { after, limit } = query(&uri)?;
    let page = service.projector.referrers(&id, &after, limit.get()).await?;
    // Weak: how fresh an answer is differs from one to the next.
    let tag = format!("W/\"{}\"", page.tag());
    let kept = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let unchanged = kept.flat_map(|value| value.split(',')).any(|kept| kept.trim() == tag || kept.trim() == "*");
    let mut response = if unchanged { StatusCode::NOT_MODIFIED.into_response() } else { Json(page).into_response() };
    let headers = response.headers_mut();
    headers.insert(ETAG, HeaderValue::from_str(&tag).expect("a tag is visible ASCII"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    Ok(response)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AppliedQuery {
    wait_ms: Option<u64>,
}

/// How long a reader waits that does not say for how long, in milliseconds.
const WAIT_MS: u64 = 5_000;

async fn applied(
    State(service): State<Service>,
    place: Result<Path<(String, String)>, axum::extract::rejection::PathRejection>,
    uri: Uri,
) -> Result<Json<Barrier>, Box<Problem>> {
    let Path((id, sequence)) = place.map_err(|rejection| {
        Refusal::new(Refused::MalformedRequest, rejection.body_text()).at(At::Path("id".to_owned()))
    })?;
    let id = segment::<EntityId>("id", Ok(Path(id)))?;
    let sequence = segment::<u64>("sequence", Ok(Path(sequence)))?;
    let AppliedQuery { wait_ms } = query(&uri)?;
    let wait = Duration::from_millis(wait_ms.unwrap_or(WAIT_MS));
    Ok(Json(service.projector.when_applied(&id, sequence, wait).await?))
}

async fn stubs(State(service): State<Service>, uri: Uri) -> Result<Json<StubsPage>, Box<Problem>> {
    let PageQuery { after, limit } = query(&uri)?;
    let stubs = service.projector.stubs(&after, limit.with_one_more()).await?;
    let (stubs, next) = page(stubs, limit, |Stub { resource, .. }| resource.to_string());
    Ok(Json(StubsPage { stubs, next }))
}

async fn parked(State(service): State<Service>, uri: Uri) -> Result<Json<ParkedPage>, Box<Problem>> {
    let PageQuery { after, limit } = query(&uri)?;
    let parked = service.projector.parked(&after, limit.with_one_more()).await?;
    let (parked, next) = page(parked, limit, |Parked { resource, .. }| resource.to_string());
    Ok(Json(ParkedPage { parked, next }))
}

async fn rebuild(State(service): State<Service>, request: Request) -> Result<Json<Ended>, Box<Problem>> {
    let scope: Scope = body::json(&service.limits, request).await?;
    Ok(Json(service.projector.rebuild(scope).await?))
}

async fn reconcile(State(service): State<Service>, request: Request) -> Result<Json<Ended>, Box<Problem>> {
    let scope: Scope = body::json(&service.limits, request).await?;
    Ok(Json(service.projector.reconcile(scope).await?))
}

async fn health(State(service): State<Service>) -> (StatusCode, Json<Health>) {
    let health = service.projector.health().await;
    let status = if health.status.halted { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    (status, Json(health))
}

async fn status(State(service): State<Service>) -> Json<Health> {
    Json(service.projector.health().await)
}

async fn metrics(State(service): State<Service>) -> Response {
    let status = service.projector.status().await;
    web::exposition::respond(service.projector.operations().exposition(status))
}

/// The API in the form of OpenAPI 3.1.
const OPENAPI: &str = include_str!("openapi.json");

async fn openapi() -> Response {
    ([(CONTENT_TYPE, HeaderValue::from_static("application/json"))], OPENAPI).into_response()
}
