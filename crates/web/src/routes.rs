//! The layers around a program's routes, and what a path and a query say.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, UNIX_EPOCH};

use axum::Router;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Query, Request, State};
use axum::middleware::{self, Next};
use axum::response::Response;
use env::Env;
use graph::Millis;
use http::header::DATE;
use http::{HeaderValue, Method, Uri};
use serde::de::DeserializeOwned;

use crate::problem::{At, Problem, ProblemType, Refusal, Refused};
use crate::token::{self, Door, Token};

/// An API, as those who come to a wrong path or have no token hear of it.
#[derive(Clone, Copy, Debug)]
pub struct Api {
    /// What a token is for, as the challenge says it: the program's name.
    pub realm: &'static str,
    /// Every path, as documents write it.
    pub paths: fn() -> Vec<&'static str>,
}

/// Puts around the routes what every API has: a problem document for what no route answers, the token, the date of
/// the response, and a line in the log.
pub fn finish<K, S>(router: Router<S>, api: Api, env: Env, token: Option<Token>) -> Router<S>
where
    K: ProblemType + Send + 'static,
    S: Clone + Send + Sync + 'static,
{
    let no_such_route = async move |uri: Uri| -> Problem<K> {
        let detail = format!("{} is not one of {}", uri.path(), (api.paths)().join(", "));
        Refusal::new(Refused::NoSuchRoute, detail).into()
    };
    router
        .fallback(no_such_route)
        .method_not_allowed_fallback(method_not_allowed::<K>)
        .layer(middleware::from_fn_with_state(Door { token, realm: api.realm }, token::require::<K>))
        .layer(middleware::from_fn_with_state(env, date_and_log))
}

async fn method_not_allowed<K: ProblemType>(method: Method, uri: Uri) -> Problem<K> {
    let detail = format!("{} does not know {method}: see the Allow header for what it knows", uri.path());
    Refusal::new(Refused::MethodNotAllowed, detail).into()
}

/// A segment of the path, if it can be decoded.
pub type Segment = Result<Path<String>, PathRejection>;

/// Reads a segment of the path, of the name that the route gives it.
pub fn segment<T: FromStr<Err: fmt::Display>>(name: &str, segment: Segment) -> Result<T, Refusal> {
    let malformed = |detail: String| Refusal::new(Refused::MalformedRequest, detail).at(At::Path(name.to_owned()));
    let Path(text) = segment.map_err(|rejection| malformed(rejection.body_text()))?;
    text.parse().map_err(|error: T::Err| malformed(error.to_string()))
}

/// Reads the query; each of its parameters has to be known.
pub fn query<T: DeserializeOwned>(uri: &Uri) -> Result<T, Refusal> {
    let query = Query::try_from_uri(uri).map_err(|rejection| {
        let at = At::Query(uri.query().unwrap_or_default().to_owned());
        Refusal::new(Refused::MalformedRequest, rejection.body_text()).at(at)
    });
    query.map(|Query(query)| query)
}

/// The last moment that an HTTP date can name, in milliseconds since the Unix epoch.
const LAST_DATE: Millis = Millis(253_402_300_799_999);

/// Dates the response and logs the exchange.
///
/// The HTTP library would date it by the system's clock, of which it keeps a copy for each
/// thread; the environment's clock is the one that a simulation sets.
async fn date_and_log(State(env): State<Env>, request: Request, next: Next) -> Response {
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let mut response = next.run(request).await;
    // A clock may be anything, and the form of a date ends with the year 9999.
    let utc = env.utc_now().min(LAST_DATE);
    let date = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_millis(utc.0));
    response.headers_mut().insert(DATE, HeaderValue::from_str(&date).expect("a date is visible ASCII"));
    tracing::debug!(%method, %uri, status = response.status().as_u16());
    response
}
