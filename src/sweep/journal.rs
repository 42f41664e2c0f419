//! What a sweep has finished, on disk: an interrupted one goes on where it was.
//!
//! A file of JSON lines. The first names the program, by its digest: what another program finished says nothing about
//! this one, so the file is begun anew. Each other line is a run that passed, by the digest of its plan, with the points
//! that it passed after its crash. A line that was not written to its end is cut off.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::Span;
use crate::plan::Plan;

/// The version of the file's form; a file of another form is begun anew.
const FORMAT: u32 = 1;

#[derive(Serialize, Deserialize, PartialEq)]
struct Header {
    format: u32,
    program: String,
}

#[derive(Serialize, Deserialize)]
struct Entry {
    plan: String,
    /// What the run passed after its last crash; empty where nobody will crash there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    recovery: Vec<Span>,
}

/// Why there is no journal.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The operating system refused.
    #[error("failed to {action} {}: {error}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// With which file.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        error: io::Error,
    },
    /// Two sweeps that share a file would each think the other's lines to be torn.
    #[error("another sweep writes {}; name another file with --state", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
}

/// The finished runs of a sweep.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    finished: BTreeMap<String, Vec<Span>>,
}

impl Journal {
    /// Opens the journal of the program with this digest, or begins one; locked until it is dropped.
    pub fn open(path: &Path, program: &str) -> Result<Journal, JournalError> {
        let failed = |action| move |error| JournalError::Io { action, path: path.to_owned(), error };
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(failed("make the folder of"))?;
        }
        let mut options = OpenOptions::new();
        let mut file =
            options.read(true).write(true).create(true).truncate(false).open(path).map_err(failed("open"))?;
        file.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => JournalError::InUse { path: path.to_owned() },
            TryLockError::Error(error) => failed("lock")(error),
        })?;
        let mut text = Vec::new();
        file.read_to_end(&mut text).map_err(failed("read"))?;
        let header = Header { format: FORMAT, program: program.to_owned() };
        let (finished, mut whole) = read(&text, &header).unwrap_or_default();
        // What was written at last may have been cut short by a kill, and the next line must not continue it.
        file.set_len(whole).map_err(failed("shorten"))?;
        if whole == 0 {
            let line = line(&header);
            whole = line.len() as u64;
            file.rewind().and_then(|()| file.write_all(&line)).map_err(failed("write"))?;
        }
        file.seek(SeekFrom::Start(whole)).map_err(failed("read"))?;
        Ok(Journal { path: path.to_owned(), file, finished })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What a finished run passed after its last crash; `None` if it is not finished.
    pub fn recovery<Op: Serialize>(&self, plan: &Plan<Op>) -> Option<&[Span]> {
        self.finished.get(&digest(plan)).map(Vec::as_slice)
    }

    /// Notes a run that passed.
    pub fn finish<Op: Serialize>(&mut self, plan: &Plan<Op>, recovery: Vec<Span>) -> Result<(), JournalError> {
        let entry = Entry { plan: digest(plan), recovery };
        self.file.write_all(&line(&entry)).map_err(|error| JournalError::Io {
            action: "write",
            path: self.path.clone(),
            error,
        })
    }
}

/// The finished runs and the length of the whole lines; `None` if the file is another program's, or nothing yet.
fn read(text: &[u8], header: &Header) -> Option<(BTreeMap<String, Vec<Span>>, u64)> {
    let mut lines = text.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n"));
    let first = lines.next()?;
    if serde_json::from_slice::<Header>(first).ok()? != *header {
        return None;
    }
    let (mut finished, mut whole) = (BTreeMap::new(), first.len());
    for line in lines {
        let Ok(Entry { plan, recovery }) = serde_json::from_slice(line) else { break };
        finished.insert(plan, recovery);
        whole += line.len();
    }
    Some((finished, whole as u64))
}

fn line(value: &impl Serialize) -> Vec<u8> {
    let mut line = serde_json::to_vec(value).expect("it is always valid JSON");
    line.push(b'\n');
    line
}

fn digest<Op: Serialize>(plan: &Plan<Op>) -> String {
    hex(&Sha256::digest(serde_json::to_vec(plan).expect("a plan is always valid JSON")))
}

/// The digest of the program that runs: what it finds out holds for no other.
pub fn program_digest() -> io::Result<String> {
    Ok(hex(&Sha256::digest(fs::read(std::env::current_exe()?)?)))
}

/// The first half is enough to tell plans apart, and the file stays small.
fn hex(hash: &[u8]) -> String {
    hash[..16].iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::plan::{Network, PLAN_FORMAT, PointKind};

    fn plan(seed: u64) -> Plan<u64> {
        Plan {
            format: PLAN_FORMAT,
            scenario: "story".to_owned(),
            seed,
            network: Network::default(),
            limit_ms: 1,
            settle_ms: 1,
            supervisor_restart_ms: 1,
            system: serde_json::Value::Null,
            clients: Vec::new(),
            faults: Vec::new(),
            checks: Vec::new(),
            marks: Vec::new(),
            reseed: None,
        }
    }

    fn recovery() -> Vec<Span> {
        vec![Span { host: "a".to_owned(), kind: PointKind::Disk, first: 3, last: 9 }]
    }

    fn open(path: &Path, program: &str) -> Journal {
        Journal::open(path, program).expect("the journal can be opened")
    }

    /// A journal of the program `one` in which the plan of seed 1 is finished.
    fn begun() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let path = folder.path().join("below").join("sweep.jsonl");
        open(&path, "one").finish(&plan(1), recovery()).expect("it can be written");
        (folder, path)
    }

    #[test]
    fn what_was_finished_is_known_again_and_nothing_else() {
        let (_folder, path) = begun();
        let mut journal = open(&path, "one");
        assert_eq!(journal.recovery(&plan(1)), Some(&recovery()[..]));
        assert_eq!(journal.recovery(&plan(2)), None);
        journal.finish(&plan(2), Vec::new()).expect("it can be written");
        drop(journal);
        let journal = open(&path, "one");
        assert_eq!((journal.recovery(&plan(1)), journal.recovery(&plan(2))), (Some(&recovery()[..]), Some(&[][..])));
    }

    #[test]
    fn what_another_program_finished_is_forgotten() {
        let (_folder, path) = begun();
        assert_eq!(open(&path, "two").recovery(&plan(1)), None);
        assert_eq!(open(&path, "one").recovery(&plan(1)), None);
    }

    #[test]
    fn a_line_that_was_cut_short_is_cut_off() {
        let (_folder, path) = begun();
        let mut text = fs::read(&path).expect("it is there");
        text.extend_from_slice(b"{\"plan\":\"00");
        fs::write(&path, text).expect("it can be written");
        open(&path, "one").finish(&plan(2), Vec::new()).expect("it can be written");
        let journal = open(&path, "one");
        assert!(journal.recovery(&plan(1)).is_some() && journal.recovery(&plan(2)).is_some());
    }

    #[test]
    fn two_sweeps_do_not_share_a_file() {
        let (_folder, path) = begun();
        let _first = open(&path, "one");
        assert!(matches!(Journal::open(&path, "one"), Err(JournalError::InUse { .. })));
    }
}
