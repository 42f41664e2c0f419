//! `coordinator validate`, `reconcile` and `resolve`: through the server where one runs.

use std::io::Write;
use std::time::Duration;

use coordinator::client::{Client, ClientError};
use coordinator::damage::{DamagedRecord, Settlement};
use coordinator::reconcile::{Case, Resolution, Summary};
use coordinator::service::{Coordinator, Options};
use env::{Claim, ClaimError, Env, Production};
use graph::{Millis, TxId};
use serde::Serialize;
use web::program::logging::LogFormat;
use web::program::{Failure, logging, secret, unclaimed};

use crate::arguments::{Maintenance, Reconcile, Resolve};
use crate::serve::{not_started, open_graph};

/// How many cases are asked for at once.
const CASES: u32 = 100;

/// Compares both stores.
pub async fn validate(arguments: Maintenance) -> Result<(), Failure> {
    let summary = match Place::find(arguments).await? {
        Place::Server(client) => client.validate().await.map_err(no_answer)?,
        Place::Folder(coordinator, _) => coordinator.validate().await,
    };
    show(&summary)
}

/// Makes both stores the same where the policy decides.
pub async fn reconcile(arguments: Reconcile) -> Result<(), Failure> {
    let Reconcile { maintenance, policy } = arguments;
    let summary = match Place::find(maintenance).await? {
        Place::Server(client) => client.reconcile(policy).await.map_err(no_answer)?,
        Place::Folder(coordinator, _) => coordinator.reconcile(policy).await,
    };
    show(&summary)
}

/// Shows the open cases, or does what a person decided about one.
pub async fn resolve(arguments: Resolve) -> Result<(), Failure> {
    let Resolve { maintenance, case, authority, damaged, outcome, by, note } = arguments;
    let names_one = case.is_some() || matches!(damaged, Some(Some(_)));
    if names_one != by.is_some() {
        return Err(Failure::input("a decision has a subject, --case or --damaged TX, and --by and --note"));
    }
    let place = Place::find(maintenance).await?;
    match (damaged, by.clone().zip(note.clone())) {
        (Some(Some(tx)), Some((by, note))) => {
            return print(&place.settle_damaged(tx, Settlement { by, note, outcome }).await?);
        }
        (Some(_), _) => return print(&place.damaged_records().await?),
        (None, _) => {}
    }
    // The command line has all four or none.
    let (Some(case), Some(authority), Some(by), Some(note)) = (case, authority, by, note) else {
        return print(&place.cases().await?);
    };
    let resolution = Resolution { authority, by, note };
    let resolved = match place {
        Place::Server(client) => client.resolve(case, &resolution).await.map_err(no_answer)?,
        Place::Folder(coordinator, _) => {
            coordinator.resolve(case, resolution).await.map_err(|error| Failure::other(error.to_string()))?
        }
    };
    print(&resolved)
}

/// Where the stores are to be had.
pub enum Place {
    /// From the server that has them open.
    Server(Client),
    /// From their folder, which is ours for as long as we hold it.
    Folder(Box<Coordinator>, #[expect(dead_code, reason = "held for what it stands for")] Claim),
}

impl Place {
    pub async fn find(arguments: Maintenance) -> Result<Place, Failure> {
        let Maintenance { url, data, graph, token_env, timeout_ms } = arguments;
        let env = Env::new(Production);
        let server = || {
            let client = Client::new(env.clone(), url.address(), Duration::from_millis(timeout_ms));
            Ok(Place::Server(secret::with_token(client, Client::with_token, token_env.as_deref())?))
        };
        let Some(data) = data else { return server() };
        if !data.is_dir() {
            return Err(Failure::input(format!("there is no data folder {}", data.display())));
        }
        let data = match env.claim(&data) {
            Ok(data) => data,
            Err(ClaimError::InUse { .. }) => return server(),
            Err(error) => return Err(unclaimed(error)),
        };
        logging::start(LogFormat::Human)?;
        let mut options = Options::new(data.path());
        options.graph_limit = Duration::from_millis(graph.graph_timeout_ms);
        // Only a server knows for how long its records are to be kept.
        options.retention.keep = Millis(u64::MAX);
        let graph = open_graph(&env, &data, graph).await?;
        let coordinator = Coordinator::start(env, options, graph).await.map_err(not_started)?;
        Ok(Place::Folder(Box::new(coordinator), data))
    }

    async fn damaged_records(&self) -> Result<Vec<DamagedRecord>, Failure> {
        match self {
            Place::Server(client) => client.damaged_records().await.map_err(no_answer),
            Place::Folder(coordinator, _) => coordinator
                .damaged_records()
                .await
                .map_err(|error| Failure::other(format!("failed to read the damaged records: {error}"))),
        }
    }

    async fn settle_damaged(&self, tx: TxId, settlement: Settlement) -> Result<DamagedRecord, Failure> {
        match self {
            Place::Server(client) => client.settle_damaged(tx, &settlement).await.map_err(no_answer),
            Place::Folder(coordinator, _) => {
                coordinator.settle_damaged(tx, settlement).await.map_err(|error| Failure::other(error.to_string()))
            }
        }
    }

    /// All open cases.
    async fn cases(&self) -> Result<Vec<Case>, Failure> {
        let mut all: Vec<Case> = Vec::new();
        loop {
            let after = all.last().map_or(0, |case| case.number);
            let page = match self {
                Place::Server(client) => client.cases(after).await.map_err(no_answer)?,
                Place::Folder(coordinator, _) => coordinator
                    .open_cases(after, CASES)
                    .await
                    .map_err(|error| Failure::other(format!("failed to read the cases: {error}")))?,
            };
            if page.is_empty() {
                return Ok(all);
            }
            all.extend(page);
        }
    }
}

/// Prints what a pass found; a failure unless the stores have the same now.
fn show(summary: &Summary) -> Result<(), Failure> {
    print(summary)?;
    if summary.is_clean() {
        return Ok(());
    }
    if !summary.complete {
        let why = summary.why.as_deref().unwrap_or_default();
        return Err(Failure::other(format!("the stores were not compared to their ends: {why}")));
    }
    let Summary { differences, repaired, undecided, skipped, .. } = summary;
    let message = format!(
        "the stores differ: {differences} differences, {repaired} repaired, {undecided} left to a person, {skipped} not looked at"
    );
    Err(Failure::other(message).help(if *undecided > 0 {
        "`coordinator resolve` shows what is left to a person"
    } else {
        "`coordinator reconcile` makes them the same"
    }))
}

pub fn print(value: &impl Serialize) -> Result<(), Failure> {
    let json = serde_json::to_string_pretty(value).expect("results are always valid JSON");
    writeln!(std::io::stdout(), "{json}").map_err(|error| Failure::other(format!("failed to print: {error}")))
}

pub fn no_answer(error: ClientError) -> Failure {
    let failure = Failure::other(error.to_string());
    match error {
        ClientError::NotSent { .. } => {
            failure.help("name the server with --url, or with --data a folder on which no server runs")
        }
        ClientError::Refused(_) => failure,
        ClientError::Unknown { .. } => failure.help("ask again: the same request is safe"),
    }
}
