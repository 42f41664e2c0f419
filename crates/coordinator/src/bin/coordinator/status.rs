//! `coordinator status`.

use std::io::Write;
use std::time::Duration;

use coordinator::client::Client;
use env::{Env, Production};

use crate::arguments::Status;
use crate::failure::Failure;

/// Prints how the server is, as JSON.
pub async fn status(arguments: Status) -> Result<(), Failure> {
    let Status { url, timeout_ms } = arguments;
    let client = Client::new(Env::new(Production), url.address(), Duration::from_millis(timeout_ms));
    let health = client.status().await.map_err(|error| {
        Failure::other(format!("no status from {url}: {error}"))
            .help("is the coordinator running there? `coordinator serve` prints where it listens")
    })?;
    let json = serde_json::to_string_pretty(&health).expect("a status is always valid JSON");
    writeln!(std::io::stdout(), "{json}").map_err(|error| Failure::other(format!("failed to print: {error}")))
}
