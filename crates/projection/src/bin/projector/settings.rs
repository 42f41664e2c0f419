//! What a data folder was first used with.
//!
//! What a projector knows is in the graph, and is true of one log. With the log of another one it would go on in the
//! middle of something else, and mix both.

use std::fs;
use std::io::ErrorKind;

use env::{Claim, Env};
use serde::{Deserialize, Serialize};
use web::program::Failure;

/// The file's name within the folder.
const FILE: &str = "settings.json";

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
