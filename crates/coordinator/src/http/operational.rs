//! What those who run the coordinator, or look around in it, ask for.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::Response;
use graph::{EntityId, TxId};
use http::Uri;
use serde::Deserialize;
use web::page::{Limit, page};
use web::routes::{Segment, query, segment};

use super::answers;
use super::api::{Alerts, AuditPage, Consistency, InDoubtPage, Neighbourhood};
use super::routes::{NEIGHBOURS, Service, place};
use crate::ledger::AuditEntry;
use crate::neighbourhood::{Found, Part, Place, VISITED_MAX};
use crate::operations::InDoubt;
use crate::problem::{Problem, ProblemType};

pub(super) async fn metrics(State(service): State<Service>) -> Response {
    let status = service.coordinator.status().await;
    web::exposition::respond(service.coordinator.operations().exposition(status))
}

pub(super) async fn alerts(State(service): State<Service>) -> Json<Alerts> {
    let alerts = service.coordinator.operations().alerts();
    let firing = alerts.iter().filter(|alert| alert.firing).count() as u64;
    Json(Alerts { firing, alerts })
}

/// How far a search goes: between 1 and 8.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "u32")]
struct Depth(u32);

impl Default for Depth {
    fn default() -> Depth {
        Depth(1)
    }
}

impl TryFrom<u32> for Depth {
    type Error = &'static str;
    fn try_from(depth: u32) -> Result<Depth, Self::Error> {
        if (1..=8).contains(&depth) { Ok(Depth(depth)) } else { Err("a depth is between 1 and 8") }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NeighboursQuery {
    #[serde(default)]
    depth: Depth,
    #[serde(default)]
    limit: Limit,
    after: Option<Place>,
}

/// `id` is what stands behind `/entities/`, the end of the path included.
pub(super) async fn neighbours(service: &Service, id: Segment, uri: &Uri) -> Result<Json<Neighbourhood>, Box<Problem>> {
    let id = id.map(|Path(text)| Path(text.strip_suffix(NEIGHBOURS).unwrap_or(&text).to_owned()));
    let id = segment::<EntityId>("id", id)?;
    let NeighboursQuery { depth: Depth(depth), limit, after } = query(uri)?;
    let _place = place(service)?;
    let freshness = service.coordinator.operations().freshness();
    let part = Part { depth, limit: limit.get(), after, visited_max: VISITED_MAX };
    let found = service.coordinator.neighbourhood(&id, &part).await.map_err(answers::unavailable)?;
    let Some(Found { neighbours, next, truncated }) = found else {
        return Err(answers::not_in_the_graph(&id, freshness));
    };
    let consistency = Consistency::Eventual;
    Ok(Json(Neighbourhood { id, consistency, depth, neighbours, next, truncated, freshness }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct InDoubtQuery {
    after: Option<TxId>,
    #[serde(default)]
    limit: Limit,
}

pub(super) async fn in_doubt(State(service): State<Service>, uri: Uri) -> Result<Json<InDoubtPage>, Box<Problem>> {
    let InDoubtQuery { after, limit } = query(&uri)?;
    let mut in_doubt = service.coordinator.operations().in_doubt();
    in_doubt.retain(|doubt| after.is_none_or(|after| doubt.tx > after));
    let (in_doubt, next) = page(in_doubt, limit, |InDoubt { tx, .. }| *tx);
    Ok(Json(InDoubtPage { in_doubt, next }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AuditQuery {
    #[serde(default)]
    after: u64,
    #[serde(default)]
    limit: Limit,
}

pub(super) async fn audit(State(service): State<Service>, uri: Uri) -> Result<Json<AuditPage>, Box<Problem>> {
    audit_page(&service, None, query(&uri)?).await.map(Json)
}

pub(super) async fn audit_of(
    State(service): State<Service>,
    tx: Segment,
    uri: Uri,
) -> Result<Json<AuditPage>, Box<Problem>> {
    let tx = segment::<TxId>("tx", tx)?;
    let wanted: AuditQuery = query(&uri)?;
    let from_the_start = wanted.after == 0;
    let page = audit_page(&service, Some(tx), wanted).await?;
    if page.entries.is_empty() && from_the_start {
        let detail = format!("nothing was ever decided about {tx}");
        return Err(Problem::new(ProblemType::NoSuchTransaction, detail).about(tx).into());
    }
    Ok(Json(page))
}

async fn audit_page(service: &Service, tx: Option<TxId>, wanted: AuditQuery) -> Result<AuditPage, Box<Problem>> {
    let AuditQuery { after, limit } = wanted;
    let _place = place(service)?;
    let entries = service.coordinator.audit(tx, after, limit.with_one_more()).await;
    let entries = entries.map_err(|rejection| answers::rejected(&rejection))?;
    let (entries, next) = page(entries, limit, |AuditEntry { entry, .. }| *entry);
    Ok(AuditPage { entries, next })
}
