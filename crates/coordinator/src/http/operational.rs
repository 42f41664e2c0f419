//! What those who run the coordinator ask for.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::HeaderValue;
use http::header::CONTENT_TYPE;

use super::api::Alerts;
use super::routes::Service;

/// The media type of Prometheus' text format.
const EXPOSITION: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

pub(super) async fn metrics(State(service): State<Service>) -> Response {
    let status = service.coordinator.status().await;
    ([(CONTENT_TYPE, EXPOSITION)], service.coordinator.operations().exposition(status)).into_response()
}

pub(super) async fn alerts(State(service): State<Service>) -> Json<Alerts> {
    let alerts = service.coordinator.operations().alerts();
    let firing = alerts.iter().filter(|alert| alert.firing).count() as u64;
    Json(Alerts { firing, alerts })
}
