//! `coordinator status`.

use std::io::Write;
use std::time::Duration;

use coordinator::client::{Client, ClientError};
use coordinator::problem::ProblemType;
use env::{Env, Production};
use web::program::{Failure, secret};

use crate::arguments::Status;

/// Prints how the server is, as JSON.
pub async fn status(arguments: Status) -> Result<(), Failure> {
    let Status { url, token_env, timeout_ms } = arguments;
    let client = Client::new(Env::new(Production), url.address(), Duration::from_millis(timeout_ms));
    let client = secret::with_token(client, Client::with_token, token_env.as_deref())?;
    let health = client.status().await.map_err(|error| {
        let help = match &error {
            ClientError::Refused(problem) if problem.kind == ProblemType::Unauthorized => {
                "name the environment variable that holds the server's token with --token-env"
            }
            _ => "is the coordinator running there? `coordinator serve` prints where it listens",
        };
        Failure::other(format!("no status from {url}: {error}")).help(help)
    })?;
    let json = serde_json::to_string_pretty(&health).expect("a status is always valid JSON");
    writeln!(std::io::stdout(), "{json}").map_err(|error| Failure::other(format!("failed to print: {error}")))
}
