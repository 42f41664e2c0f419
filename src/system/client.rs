//! What a simulated client does with an operation: real HTTP, through the coordinator's own client.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use coordinator::client::{Client, ClientError, Submitted};
use coordinator::commit::{AbortReason, Decision, IdempotencyKey};
use coordinator::reconcile::Summary;
use env::Env;
use graph::{EntityId, Patch, TxId};

use super::environment::Simulated;
use super::operation::{Op, Ret};
use super::projection::client as projection;
use super::{COORDINATOR, HTTP_PORT, Options, SECOND_PORT, key};
use crate::history::OpId;
use crate::sut::Outcome;
use crate::world::ClientHost;

/// The pause before a request is sent again.
pub const RETRY_PAUSE: Duration = Duration::from_millis(100);

/// The pause between two questions whether anything is left to do.
pub const SETTLE_PAUSE: Duration = Duration::from_millis(50);

/// Carries out one operation.
pub async fn perform(client: ClientHost, id: OpId, op: Op, options: Options) -> Outcome<Ret> {
    let second = options.second_server.as_ref().is_some_and(|second| second.clients.iter().any(|n| n == client.name()));
    let port = if second { SECOND_PORT } else { HTTP_PORT };
    let timeout = Duration::from_millis(options.client_timeout_ms);
    let coordinator = connect(&client, port, timeout);
    match op {
        Op::Submit { .. } if options.canary => {
            Outcome::Ok(Ret::Committed { tx: TxId { incarnation: 1, serial: id.0 + 1 }, created: BTreeMap::new() })
        }
        Op::Submit { operations, retries, again, then } => {
            let key = IdempotencyKey(key(id.0));
            let patch = Patch { operations };
            let outcome = submit(&client, &coordinator, &key, &patch, retries).await;
            let Outcome::Ok(told) = outcome else { return outcome };
            Outcome::Ok(insist(&coordinator, &key, &patch, told, again, Patch { operations: then }).await)
        }
        Op::Find { kind, key } => read(coordinator.find(&kind, &key).await.map(Ret::Entity)),
        Op::Read { entity } => read(coordinator.read(&entity).await.map(Ret::Entity)),
        Op::Peek { entity } => {
            let peeked = coordinator.read_eventual(&entity).await;
            read(peeked.map(|view| Ret::Peeked { found: view.is_some() }))
        }
        Op::Validate {} => compared(coordinator.validate().await),
        Op::Append(append) => projection::append(&client, &coordinator, timeout, id, append).await,
        Op::View(view) => projection::view(&client, timeout, view).await,
        Op::Rebuild(whole) => projection::rebuild(&client, timeout, whole).await,
        Op::Mend(whole) => projection::mend(&client, timeout, whole).await,
        Op::Status { at } => projection::status(&client, timeout, at).await,
        Op::Follow { for_ms } => projection::follow(&coordinator, Duration::from_millis(for_ms)).await,
        Op::Reconcile { policy } => compared(coordinator.reconcile(policy).await),
    }
}

/// Waits until the coordinator has nothing left to do and every entity can be read again: a lock that was never given
/// back shows in no status; and until the projectors have come to the end of the log. Returns what it has counted by then,
/// and what each projector says of itself.
pub async fn settle(client: ClientHost, entities: BTreeSet<EntityId>, projectors: usize) -> (String, String) {
    let coordinator = connect(&client, HTTP_PORT, Duration::from_millis(1_000));
    loop {
        match coordinator.status().await {
            Ok(health) => {
                let status = health.status;
                if status.open == 0 && status.waiting == 0 && !status.halted {
                    break;
                }
                client.awaits(format!("{} transactions are open, {} wait for others", status.open, status.waiting));
            }
            Err(error) => client.awaits(format!("the coordinator does not say how it is: {error}")),
        }
        tokio::time::sleep(SETTLE_PAUSE).await;
    }
    for entity in entities {
        // Refused while somebody holds the entity.
        while let Err(error) = coordinator.read(&entity).await {
            client.awaits(format!("{entity} cannot be read: {error}"));
            tokio::time::sleep(SETTLE_PAUSE).await;
        }
    }
    let pages = projection::settle(&client, &coordinator, projectors).await;
    loop {
        match coordinator.metrics().await {
            Ok(exposition) => return (exposition, pages),
            Err(error) => client.awaits(format!("the coordinator does not tell its counters: {error}")),
        }
        tokio::time::sleep(SETTLE_PAUSE).await;
    }
}

fn connect(client: &ClientHost, port: u16, timeout: Duration) -> Client {
    let env = Env::new(Simulated::new((**client).clone()));
    Client::new(env, format!("{COORDINATOR}:{port}"), timeout)
}

/// A read has no effect: without an answer it certainly did nothing.
fn read(result: Result<Ret, ClientError>) -> Outcome<Ret> {
    match result {
        Ok(ret) => Outcome::Ok(ret),
        Err(error) => Outcome::Fail(error.to_string()),
    }
}

/// What a pass found. Nobody knows how far it came without its answer.
fn compared(summary: Result<Summary, ClientError>) -> Outcome<Ret> {
    match summary {
        Ok(summary) => Outcome::Ok(Ret::Compared(Box::new(summary))),
        Err(error) if error.is_unknown() => Outcome::Info(error.to_string()),
        Err(error) => Outcome::Fail(error.to_string()),
    }
}

/// Sends a transaction, and sends it again under the same key while its outcome is not known.
async fn submit(
    client: &ClientHost,
    coordinator: &Client,
    key: &IdempotencyKey,
    patch: &Patch,
    retries: u32,
) -> Outcome<Ret> {
    // Once nobody can say whether an attempt was executed, only an outcome can.
    let mut unknown = None;
    for attempt in 0..=retries {
        if attempt > 0 {
            tokio::time::sleep(RETRY_PAUSE).await;
        }
        let error = match send(client, coordinator, key, patch).await {
            Ok(submitted) => {
                let tx = submitted.tx;
                return told(submitted)
                    .map_or_else(|reason| Outcome::Fail(format!("{tx} aborted: {reason}")), Outcome::Ok);
            }
            Err(error) => error,
        };
        if error.is_unknown() {
            unknown = Some(error.to_string());
        } else if attempt == retries && unknown.is_none() {
            return Outcome::Fail(error.to_string());
        }
    }
    Outcome::Info(unknown.unwrap_or_else(|| "nothing was sent".to_owned()))
}

/// What a client was told, unless it is an abort that no operation caused.
fn told(Submitted { tx, decision, created }: Submitted) -> Result<Ret, AbortReason> {
    match decision {
        Decision::Committed => Ok(Ret::Committed { tx, created }),
        Decision::Aborted { reason: AbortReason::Refused(refusal) } => Ok(Ret::Refused { tx, refusal }),
        Decision::Aborted { reason } => Err(reason),
    }
}

/// Sends a transaction whose outcome was told once more, and then something else under its key. No answer is an answer
/// that says nothing; any other has to be the same, or a refusal.
async fn insist(coordinator: &Client, key: &IdempotencyKey, patch: &Patch, first: Ret, again: u32, then: Patch) -> Ret {
    for _ in 0..again {
        let Ok(submitted) = coordinator.submit(key, patch).await else { continue };
        let second = told(submitted);
        if second.as_ref() != Ok(&first) {
            return Ret::TwoAnswers { first: format!("{first:?}"), then: format!("{second:?}") };
        }
    }
    if then.operations.is_empty() {
        return first;
    }
    coordinator.submit(key, &then).await.map_or(first, |Submitted { tx, .. }| Ret::Misattributed { tx })
}

/// Sends a transaction once, or twice at the same time if a fault says so.
async fn send(
    client: &ClientHost,
    coordinator: &Client,
    key: &IdempotencyKey,
    patch: &Patch,
) -> Result<Submitted, ClientError> {
    if !client.duplicating() {
        return coordinator.submit(key, patch).await;
    }
    let (first, second) =
        futures_util::future::join(coordinator.submit(key, patch), coordinator.submit(key, patch)).await;
    match (first, second) {
        (Ok(first), Ok(second)) => {
            assert_eq!(first, second, "one transaction had two outcomes");
            Ok(first)
        }
        (Ok(settled), Err(error)) | (Err(error), Ok(settled)) => {
            // Only what never arrived may have done nothing where the other one was done.
            let nothing_arrived = matches!(error, ClientError::NotSent { .. });
            assert!(
                error.is_unknown() || nothing_arrived || settled.decision != Decision::Committed,
                "one request was told that nothing was done ({error}), the other {settled:?}"
            );
            Ok(settled)
        }
        (Err(first), Err(second)) => Err(if second.is_unknown() { second } else { first }),
    }
}
