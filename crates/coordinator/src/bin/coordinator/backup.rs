//! `coordinator backup` and `restore`.

use std::time::Duration;

use coordinator::backup::{self, RestoreError};
use env::{Env, Production};
use web::program::logging::LogFormat;
use web::program::{Failure, logging, unclaimed};

use crate::arguments::{Backup, Restore};
use crate::maintain::{Place, no_answer, print};
use crate::serve::open_graph;

/// Writes both stores to a new folder.
pub async fn backup(arguments: Backup) -> Result<(), Failure> {
    let Backup { maintenance, to } = arguments;
    // The server works in a folder of its own.
    let to = std::path::absolute(&to).map_err(|error| Failure::input(format!("{}: {error}", to.display())))?;
    let manifest = match Place::find(maintenance).await? {
        Place::Server(client) => client.backup(&to).await.map_err(no_answer)?,
        Place::Folder(coordinator, _) => {
            coordinator.backup(&to).await.map_err(|error| Failure::other(error.to_string()))?
        }
    };
    print(&manifest)
}

/// Puts a backup into empty stores.
pub async fn restore(arguments: Restore) -> Result<(), Failure> {
    let Restore { from, data, graph } = arguments;
    logging::start(LogFormat::Human)?;
    if !from.is_dir() {
        return Err(Failure::input(format!("there is no backup {}", from.display())));
    }
    let env = Env::new(Production);
    let data = env.claim(&data).map_err(unclaimed)?;
    let limit = Duration::from_millis(graph.graph_timeout_ms);
    let graph = open_graph(&env, &data, graph).await?;
    let restored = backup::restore(&env, &from, data.path(), graph.as_ref(), limit).await;
    print(&restored.map_err(|error| {
        match &error {
            RestoreError::Damaged { .. } => Failure::damage(error.to_string()),
            RestoreError::NotEmpty { .. } => Failure::damage(error.to_string())
                .help("name a new folder with --data, and with --graph a graph without content"),
            RestoreError::File { .. } | RestoreError::Graph(_) | RestoreError::Ledger(_) => {
                Failure::other(error.to_string()).help("empty the folder and the graph, and restore again")
            }
        }
    })?)
}
