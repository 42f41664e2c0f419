//! What a data folder was first used with, and which log was read last.
//!
//! What a projector knows is in the graph, and is true of one log. With the log of another one it would go on in the
//! middle of something else, and mix both. Where the log at that address is another one than the last time, it was replaced.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use env::{Claim, Env};
use projection::log::LogId;
use projection::service::Projector;
use serde::{Deserialize, Serialize};
use web::program::Failure;

/// The file's name within the folder.
const FILE: &str = "settings.json";

/// The name of the file that has the id of the log which was read last.
const LOG_FILE: &str = "log-id";

/// The pause between two looks at which log is read.
const LOOK_PERIOD: Duration = Duration::from_millis(500);

/// Which log goes into which graph.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The event store.
    pub events: String,
    /// The graph.
    pub graph: String,
}

impl Settings {
    /// Compares them with those that the folder was first used with, or makes them that.
    pub fn keep(&self, env: &Env, data: &Claim) -> Result<(), Failure> {
        let path = data.path().join(FILE);
        let failed = |error: &dyn std::fmt::Display| Failure::other(format!("{}: {error}", path.display()));
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let text = serde_json::to_vec_pretty(self).expect("texts are always valid JSON");
                let written = fs::write(&path, text).and_then(|()| env.persist(&path));
                return written.map_err(|error| failed(&error));
            }
            Err(error) => return Err(failed(&error)),
        };
        let first: Settings = serde_json::from_slice(&text)
            .map_err(|error| failed(&error).help("remove the file if nobody else wrote it: it is made again"))?;
        if first == *self {
            return Ok(());
        }
        let Settings { events, graph } = first;
        Err(Failure::input(format!(
            "the data folder {} is of the events of {events} in the graph {graph}",
            data.path().display()
        ))
        .help(format!(
            "name another folder with --data; or, if it is the same log and the same graph at another address, remove {}",
            path.display()
        )))
    }
}

/// The log that was read last by the projector of this folder.
pub fn last_log(data: &Claim) -> Result<Option<LogId>, Failure> {
    let path = data.path().join(LOG_FILE);
    match fs::read_to_string(&path) {
        Ok(id) => Ok(Some(LogId(id))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::other(format!("{}: {error}", path.display()))),
    }
}

/// Writes down which log is read, as long as the projector runs. What cannot be written is tried again: without it, a later
/// process asks before it takes over a graph whose log was replaced in between.
pub async fn keep_log(env: Env, data: &Path, last: Option<LogId>, projector: Projector) {
    let path = data.join(LOG_FILE);
    let mut kept = last;
    loop {
        let own = projector.operations().own_log();
        if let Some(LogId(id)) = own.clone().filter(|_| own != kept) {
            let (disk, path) = (env.clone(), path.clone());
            match env.blocking(move || write_whole(&disk, &path, &id)).await {
                Ok(()) => kept = own,
                Err(error) => tracing::warn!(%error, "the id of the log could not be written down"),
            }
        }
        tokio::time::sleep(LOOK_PERIOD).await;
    }
}

/// Puts the file in the place of the one before, all of it or nothing.
fn write_whole(env: &Env, path: &Path, text: &str) -> std::io::Result<()> {
    let draft = path.with_extension("new");
    fs::write(&draft, text)?;
    env.persist(&draft)?;
    fs::rename(&draft, path)?;
    env.persist(path)
}

#[cfg(test)]
mod tests {
    use env::Production;

    use super::*;

    #[test]
    fn a_folder_stays_what_it_was_first() {
        let folder = tempfile::tempdir().expect("a folder");
        let env = Env::new(Production);
        let data = env.claim(folder.path()).expect("nobody else uses it");
        let settings = Settings { events: "http://a:1".to_owned(), graph: "embedded".to_owned() };
        settings.keep(&env, &data).expect("it is new");
        settings.keep(&env, &data).expect("it is the same");
        let other = Settings { events: "http://b:1".to_owned(), ..settings };
        let refused = other.keep(&env, &data).expect_err("it is another log").to_string();
        assert!(refused.contains("of the events of http://a:1") && refused.contains("settings.json"), "{refused}");
    }
}
