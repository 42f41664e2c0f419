//! Whether both stores have the same, and what is done where they do not.
//!
//! A pass is answered when it is over, which takes as long as reading both stores takes. It goes
//! on, and is reported in the log, if the client leaves.

use axum::Json;
use axum::extract::{Request, State};
use graph::TxId;
use http::Uri;
use serde::Deserialize;
use web::body;
use web::page::{Limit, page};
use web::routes::{Segment, query, segment};

use super::api::{BackupOrder, CasesPage, DamagedRecords, Reconciliation};
use super::routes::Service;
use crate::backup::{BackupError, Manifest};
use crate::damage::{DamagedRecord, SettleError, Settlement};
use crate::problem::{Problem, ProblemType};
use crate::reconcile::{Case, Resolution, ResolveError, Summary};

pub(super) async fn validate(State(service): State<Service>) -> Json<Summary> {
    Json(service.coordinator.validate().await)
}

pub(super) async fn reconcile(State(service): State<Service>, request: Request) -> Result<Json<Summary>, Box<Problem>> {
    let Reconciliation { policy } = body::json(&service.limits, request).await?;
    Ok(Json(service.coordinator.reconcile(policy).await))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CasesQuery {
    #[serde(default)]
    after: u64,
    #[serde(default)]
    limit: Limit,
}

pub(super) async fn cases(State(service): State<Service>, uri: Uri) -> Result<Json<CasesPage>, Box<Problem>> {
    let CasesQuery { after, limit } = query(&uri)?;
    let cases = service.coordinator.open_cases(after, limit.with_one_more()).await;
    let cases = cases.map_err(|error| Box::new(Problem::new(ProblemType::Unavailable, error.to_string())))?;
    let (cases, next) = page(cases, limit, |Case { number, .. }| *number);
    Ok(Json(CasesPage { cases, next }))
}

pub(super) async fn resolve(
    State(service): State<Service>,
    number: Segment,
    request: Request,
) -> Result<Json<Case>, Box<Problem>> {
    let number = segment::<u64>("number", number)?;
    let resolution: Resolution = body::json(&service.limits, request).await?;
    service.coordinator.resolve(number, resolution).await.map(Json).map_err(|error| {
        let kind = match &error {
            ResolveError::NoSuchCase(_) => ProblemType::NoSuchCase,
            ResolveError::Resolved(_) | ResolveError::Undecided { .. } => ProblemType::CaseNotResolvable,
            // The repair may have been made, and asking again finds out.
            ResolveError::NotNow(_) | ResolveError::Ledger(_) => ProblemType::OutcomeUnknown,
        };
        Box::new(Problem::new(kind, error.to_string()))
    })
}

pub(super) async fn damaged_records(State(service): State<Service>) -> Result<Json<DamagedRecords>, Box<Problem>> {
    let records = service.coordinator.damaged_records().await;
    let records = records.map_err(|error| Box::new(Problem::new(ProblemType::Unavailable, error.to_string())))?;
    Ok(Json(DamagedRecords { records }))
}

pub(super) async fn settle_damaged(
    State(service): State<Service>,
    tx: Segment,
    request: Request,
) -> Result<Json<DamagedRecord>, Box<Problem>> {
    let tx = segment::<TxId>("tx", tx)?;
    let settlement: Settlement = body::json(&service.limits, request).await?;
    service.coordinator.settle_damaged(tx, settlement).await.map(Json).map_err(|error| {
        let kind = match &error {
            SettleError::NoSuchRecord(_) => ProblemType::NoSuchTransaction,
            SettleError::StoresDiffer { .. } | SettleError::OutcomeMissing(_) | SettleError::OutcomeKnown { .. } => {
                ProblemType::CaseNotResolvable
            }
            SettleError::NotCompared(_) | SettleError::Ledger(_) => ProblemType::OutcomeUnknown,
        };
        Box::new(Problem::new(kind, error.to_string()).about(tx))
    })
}

pub(super) async fn back_up(State(service): State<Service>, request: Request) -> Result<Json<Manifest>, Box<Problem>> {
    let BackupOrder { to } = body::json(&service.limits, request).await?;
    service.coordinator.backup(&to).await.map(Json).map_err(|error| {
        let kind = match &error {
            BackupError::Target { .. } => ProblemType::MalformedRequest,
            BackupError::Busy(_) | BackupError::Write { .. } | BackupError::Read { .. } => ProblemType::Unavailable,
        };
        Box::new(Problem::new(kind, error.to_string()))
    })
}
