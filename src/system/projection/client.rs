//! What a simulated client does with what is asked of the log and of the projection.

use std::time::Duration;

use graph::EntityId;
use projection::event::{Event, system};
use projection::lanes::{Answer, Input, Scope};
use serde_json::json;

use super::interim::Interim;
use super::operation::{Append, Appended, Done, Projector, Said, Seen, View, Whole};
use super::{PROJECTORS, event_id};
use crate::history::OpId;
use crate::sut::Outcome;
use crate::system::operation::Ret;
use crate::world::ClientHost;

fn name(at: Projector) -> &'static str {
    match at {
        Projector::First => PROJECTORS[0],
        Projector::Second => PROJECTORS[1],
    }
}

pub async fn append(interim: Interim, id: OpId, append: Append) -> Outcome<Ret> {
    let Append { resource, expected, events, look, at, .. } = append;
    let stream = resource.clone().unwrap_or_else(system);
    let make = |sequence: u64, nth: usize| -> Event {
        let (kind, payload) = events[nth].write(resource.as_ref());
        let mut envelope = json!({
            "id": event_id(id, nth), "type": kind, "timestamp": "2026-01-01T00:00:00Z", "userId": "u", "version": 1,
            "payload": payload, "metadata": { "sequenceNumber": sequence },
        });
        if let Some(resource) = &resource {
            envelope["resourceId"] = json!(resource);
        }
        serde_json::from_value(envelope).expect("an event")
    };
    match interim.append(&stream, expected, make, events.len()) {
        Ok((first, last, position)) => {
            let seen = if look { Some(see(&interim, stream, Some(last), at).await) } else { None };
            Outcome::Ok(Ret::Appended(Box::new(Appended { first, last, position, seen })))
        }
        Err(actual) => Outcome::Ok(Ret::Conflict { actual }),
    }
}

pub async fn view(interim: Interim, View { resource, after, at }: View) -> Outcome<Ret> {
    Outcome::Ok(Ret::Seen(Box::new(see(&interim, resource, after, at).await)))
}

async fn see(interim: &Interim, resource: EntityId, wanted: Option<u64>, at: Projector) -> Seen {
    let shown = match wanted {
        None => None,
        Some(sequence) => {
            let answer = interim
                .ask(name(at), |request| Input::WhenApplied { request, resource: resource.clone(), sequence })
                .await;
            match answer {
                Some(Answer::Applied { sequence }) => Some(sequence),
                _ => None,
            }
        }
    };
    Seen { resource, wanted, shown, view: None }
}

fn scope(resource: Option<EntityId>) -> Scope {
    resource.map_or(Scope::All, Scope::One)
}

pub async fn whole(interim: Interim, Whole { resource, at }: Whole, rebuild: bool) -> Outcome<Ret> {
    let scope = scope(resource.clone());
    let make = |request| if rebuild { Input::Rebuild { request, scope } } else { Input::Reconcile { request, scope } };
    match interim.ask(name(at), make).await {
        Some(Answer::Ended(ended)) => Outcome::Ok(Ret::Ended(Box::new(Done { resource, ended }))),
        Some(other) => Outcome::Fail(format!("{other:?}")),
        None => Outcome::Info("no answer".to_owned()),
    }
}

pub async fn status(interim: Interim, at: Projector) -> Outcome<Ret> {
    match interim.ask(name(at), |request| Input::Inspect { request }).await {
        Some(Answer::Status(status)) => {
            let status = serde_json::to_value(status).expect("numbers");
            Outcome::Ok(Ret::Said(Box::new(Said { projector: name(at).to_owned(), status })))
        }
        _ => Outcome::Fail("no answer".to_owned()),
    }
}

/// Waits until every projector has come to the end of the log. Returns what each says of itself then, a line each.
pub async fn settle(_client: &ClientHost, interim: &Interim, projectors: usize) -> String {
    let mut pages = String::new();
    for projector in &PROJECTORS[..projectors] {
        loop {
            if let Some(Answer::Status(status)) = interim.ask(projector, |request| Input::Inspect { request }).await {
                let head = interim.head();
                if status.lanes == 0 && status.read == head && status.low_water == head && !status.rebuilding {
                    let page = serde_json::to_string(&status).expect("numbers");
                    pages += &format!("{projector} {page}\n");
                    break;
                }
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    pages
}
