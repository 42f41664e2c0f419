//! Which request is answered by what.

use std::collections::BTreeMap;

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use axum::{Json, Router};
use env::{Env, Listener, Place};
use graph::{CanonicalKey, EntityId, Kind, PatchError, TxId};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, StatusCode, Uri};
use serde::Deserialize;
use web::body;
use web::routes::{Api, Segment, finish, query, segment};
use web::server::{Limits, Serving};
use web::token::Token;

use super::api::{Consistency, Entity, Health, IDEMPOTENCY_KEY, Outcome, Transaction, parse_key};
use super::{answers, events, operational, stores};
use crate::commit::{Answer, Decision, IdempotencyKey, Settled};
use crate::problem::{At, Problem, ProblemType};
use crate::service::Coordinator;

/// What handlers work with.
#[derive(Clone)]
pub(super) struct Service {
    pub coordinator: Coordinator,
    pub limits: Limits,
}

/// A path, and what answers it.
struct Route {
    /// See [`paths`].
    path: &'static str,
    answer: fn() -> MethodRouter<Service>,
}

/// The end of a path that asks for what is around an entity. An entity whose id ends so is read
/// with that slash as `%2F`.
pub(super) const NEIGHBOURS: &str = "/neighbours";

/// Everything the API answers.
static ROUTES: &[Route] = &[
    Route { path: "/transactions", answer: || post(submit) },
    Route { path: "/transactions/{tx}", answer: || get(outcome) },
    Route { path: "/entities", answer: || get(find) },
    Route { path: "/entities/{id}", answer: || get(read) },
    Route { path: "/entities/{id}/neighbours", answer: || get(read) },
    Route { path: "/transactions/{tx}/audit", answer: || get(operational::audit_of) },
    Route { path: "/audit", answer: || get(operational::audit) },
    Route { path: "/events", answer: || get(events::feed).post(events::append) },
    Route { path: "/streams", answer: || get(events::streams) },
    Route { path: "/streams/{resource}/events", answer: || get(events::stream) },
    Route { path: "/in-doubt", answer: || get(operational::in_doubt) },
    Route { path: "/validations", answer: || post(stores::validate) },
    Route { path: "/reconciliations", answer: || post(stores::reconcile) },
    Route { path: "/cases", answer: || get(stores::cases) },
    Route { path: "/cases/{number}/resolution", answer: || post(stores::resolve) },
    Route { path: "/damaged-records", answer: || get(stores::damaged_records) },
    Route { path: "/damaged-records/{tx}/resolution", answer: || post(stores::settle_damaged) },
    Route { path: "/backups", answer: || post(stores::back_up) },
    Route { path: "/healthz", answer: || get(health) },
    Route { path: "/status", answer: || get(status) },
    Route { path: "/openapi.json", answer: || get(openapi) },
    Route { path: "/metrics", answer: || get(operational::metrics) },
    Route { path: "/alerts", answer: || get(operational::alerts) },
];

/// Serves the API until `stop` resolves, and returns what it resolved to; see [`web::server::serve`].
///
/// A transaction whose client is cut off at the end goes on, or is resolved by the next process. Readers who wait for
/// events are answered then.
pub async fn serve<T>(
    env: Env,
    listener: Box<dyn Listener>,
    coordinator: Coordinator,
    serving: impl Into<Serving>,
    stop: impl Future<Output = T>,
) -> T {
    let Serving { limits, token } = serving.into();
    let router = router(env.clone(), coordinator.clone(), limits, token);
    let stop = async {
        let end = stop.await;
        coordinator.end_waits();
        end
    };
    web::server::serve(env, listener, router, limits, stop).await
}

fn router(env: Env, coordinator: Coordinator, limits: Limits, token: Option<Token>) -> Router {
    let mount = |router: Router<Service>, route: &Route| {
        // An id is taken with its slashes as they are, too: what follows it is up to `read`.
        match route.path.split_once("{id}") {
            Some((before, "")) => router.route(&format!("{before}{{*id}}"), (route.answer)()),
            Some(_) => router,
            None => router.route(route.path, (route.answer)()),
        }
    };
    let routes = ROUTES.iter().fold(Router::new(), mount);
    let api = Api { realm: "coordinator", paths: || paths().collect() };
    finish::<ProblemType, _>(routes, api, env, token).with_state(Service { coordinator, limits })
}

async fn submit(State(service): State<Service>, request: Request) -> Result<Json<Outcome>, Box<Problem>> {
    // Refused before the body is read, if it has to be; its place is taken when there is
    // something to do, so that slow senders take none from others.
    drop(place(&service)?);
    let (parts, body) = request.into_parts();
    let key = idempotency_key(&parts.headers)?;
    body::require_json(&parts.headers)?;
    let json = body::read(&parts.headers, body, &service.limits).await?;
    let Transaction { operations: patch } = body::parse(&json)?;
    let answer = service.coordinator.submit(key, patch.clone()).await.map_err(|error| invalid(&error))?;
    answers::submitted(answer, &patch).map(Json)
}

/// Says which operation of a transaction can never be carried out.
fn invalid(error: &PatchError) -> Box<Problem> {
    let pointer = match error {
        PatchError::Empty | PatchError::TooManyOperations(_) => "/operations".to_owned(),
        PatchError::Operation { position, .. } => format!("/operations/{position}"),
    };
    Problem::new(ProblemType::MalformedRequest, error.to_string()).at(At::Pointer(pointer)).into()
}

/// Takes a place among the open requests.
pub(super) fn place(service: &Service) -> Result<Place, Box<Problem>> {
    service.coordinator.admit().map_err(|rejection| answers::rejected(&rejection))
}

async fn outcome(State(service): State<Service>, tx: Segment) -> Result<Json<Outcome>, Box<Problem>> {
    let tx = segment::<TxId>("tx", tx)?;
    let answer = service.coordinator.outcome(tx).await;
    let created = match &answer {
        Answer::Settled(Settled { decision: Decision::Committed, .. }) => service.coordinator.created(tx).await,
        _ => Ok(BTreeMap::new()),
    };
    answers::looked_up(answer, created.map_err(|rejection| answers::rejected(&rejection))?).map(Json)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReadQuery {
    #[serde(default)]
    consistency: Consistency,
}

async fn read(State(service): State<Service>, id: Segment, uri: Uri) -> Result<Response, Box<Problem>> {
    // An id may contain slashes as they are, so no pattern tells these two apart.
    if uri.path().strip_prefix("/entities/").is_some_and(|path| path.ends_with(NEIGHBOURS)) {
        return operational::neighbours(&service, id, &uri).await.map(IntoResponse::into_response);
    }
    let id = segment::<EntityId>("id", id)?;
    let ReadQuery { consistency } = query(&uri)?;
    match consistency {
        Consistency::Strong => answers::strong(&id, service.coordinator.read(id.clone()).await),
        Consistency::Eventual => {
            let _place = place(&service)?;
            let freshness = service.coordinator.operations().freshness();
            let view = service.coordinator.read_eventual(&id).await;
            answers::eventual(id, view, freshness)
        }
    }
    .map(|entity| Json(entity).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FindQuery {
    kind: Kind,
    key: CanonicalKey,
    #[serde(default)]
    consistency: Consistency,
}

async fn find(State(service): State<Service>, uri: Uri) -> Result<Json<Entity>, Box<Problem>> {
    let FindQuery { kind, key, consistency } = query(&uri)?;
    match consistency {
        Consistency::Strong => answers::found(&kind, &key, service.coordinator.find(kind.clone(), key.clone()).await),
        Consistency::Eventual => {
            let _place = place(&service)?;
            let freshness = service.coordinator.operations().freshness();
            let found = service.coordinator.find_eventual(&kind, &key).await;
            answers::found_eventual(&kind, &key, found, freshness)
        }
    }
    .map(Json)
}

async fn health(State(service): State<Service>) -> (StatusCode, Json<Health>) {
    let health = ask_health(&service.coordinator).await;
    let status = if health.status.halted { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    (status, Json(health))
}

async fn status(State(service): State<Service>) -> Json<Health> {
    Json(ask_health(&service.coordinator).await)
}

async fn ask_health(coordinator: &Coordinator) -> Health {
    Health {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        status: coordinator.status().await,
        damaged_records: coordinator.damaged_count(),
    }
}

/// Every path, as documents write it: a part in braces is one segment, in which a `/` stands as
/// `%2F`.
pub fn paths() -> impl Iterator<Item = &'static str> {
    ROUTES.iter().map(|route| route.path)
}

/// The API in the form of OpenAPI 3.1.
const OPENAPI: &str = include_str!("openapi.json");

async fn openapi() -> Response {
    ([(CONTENT_TYPE, HeaderValue::from_static("application/json"))], OPENAPI).into_response()
}

fn idempotency_key(headers: &HeaderMap) -> Result<IdempotencyKey, Box<Problem>> {
    let problem = |detail: String| {
        let at = At::Header(IDEMPOTENCY_KEY.to_owned());
        Box::new(Problem::new(ProblemType::IdempotencyKeyInvalid, detail).at(at))
    };
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    match (values.next(), values.next()) {
        (Some(key), None) => parse_key(key.as_bytes()).map_err(|error| problem(error.to_string())),
        (None, _) => Err(problem(
            "every transaction needs an Idempotency-Key of its own: a retry under the same key is the same transaction"
                .to_owned(),
        )),
        (Some(_), Some(_)) => Err(problem("there is more than one Idempotency-Key: send one".to_owned())),
    }
}
