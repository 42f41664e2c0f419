//! `projector status`, `stubs`, `rebuild` and `reconcile`, through the projector that runs.

use std::io::Write;
use std::time::Duration;

use env::{Env, Production};
use projection::client::{Client, ClientError};
use projection::http::ProblemType;
use projection::lanes::{Ended, Scope};
use projection::operations::Health;
use projection::service::Parked;
use serde::Serialize;
use web::client::CallError;
use web::program::{Failure, secret};

use crate::arguments::{Ask, Whole};

/// How a projector is, with what stands still.
#[derive(Serialize)]
struct Status {
    #[serde(flatten)]
    health: Health,
    /// The first resources that stand still, each with its event, as the graph has them; null where it was not read.
    parked_resources: Option<Vec<Parked>>,
}

/// Prints how the projector is.
pub async fn status(arguments: Ask) -> Result<(), Failure> {
    let client = client(arguments)?;
    let health = client.status().await.map_err(no_answer)?;
    // What can be said is said, above all where the graph is not reached.
    let parked_resources = client.parked("").await.ok().map(|page| page.parked);
    print(&Status { health, parked_resources })
}

/// Prints every stub.
pub async fn stubs(arguments: Ask) -> Result<(), Failure> {
    let client = client(arguments)?;
    let (mut stubs, mut after) = (Vec::new(), String::new());
    loop {
        let page = client.stubs(&after).await.map_err(no_answer)?;
        stubs.extend(page.stubs);
        let Some(next) = page.next else { return print(&stubs) };
        after = next;
    }
}

/// Rebuilds, and prints what that did.
pub async fn rebuild(arguments: Whole) -> Result<(), Failure> {
    let (client, scope) = whole(arguments)?;
    ended(client.rebuild(&scope).await.map_err(no_answer)?)
}

/// Reconciles, and prints what that did.
pub async fn reconcile(arguments: Whole) -> Result<(), Failure> {
    let (client, scope) = whole(arguments)?;
    ended(client.reconcile(&scope).await.map_err(no_answer)?)
}

fn whole(Whole { resource, ask }: Whole) -> Result<(Client, Scope), Failure> {
    Ok((client(ask)?, resource.map_or(Scope::All, Scope::One)))
}

fn client(Ask { url, token_env, timeout_ms }: Ask) -> Result<Client, Failure> {
    let client = Client::new(Env::new(Production), url.address(), Duration::from_millis(timeout_ms));
    secret::with_token(client, Client::with_token, token_env.as_deref())
}

fn ended(ended: Ended) -> Result<(), Failure> {
    print(&ended)?;
    if ended.failed == 0 {
        return Ok(());
    }
    Err(Failure::other(format!("{} resources could not be put right", ended.failed))
        .help("the projector's log says why; the same command tries again"))
}

fn print(value: &impl Serialize) -> Result<(), Failure> {
    let json = serde_json::to_string_pretty(value).expect("results are always valid JSON");
    writeln!(std::io::stdout(), "{json}").map_err(|error| Failure::other(format!("failed to print: {error}")))
}

fn no_answer(error: ClientError) -> Failure {
    let failure = Failure::other(error.to_string());
    match error {
        ClientError::Call(CallError::NotSent { .. }) => {
            failure.help("is a projector running there? `projector run` prints where it listens; name it with --url")
        }
        ClientError::Call(CallError::Unknown { .. }) => failure.help("ask again: the same request is safe"),
        ClientError::Refused(problem) if problem.kind == ProblemType::Unauthorized => {
            failure.help("name the environment variable that holds the projector's token with --token-env")
        }
        ClientError::Refused(problem) if problem.kind == ProblemType::NoSuchResource => {
            failure.help("ids are told apart by case; `projector status` says how far the log was read")
        }
        ClientError::Refused(_) => failure,
    }
}
