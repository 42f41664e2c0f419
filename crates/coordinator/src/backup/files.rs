//! The files of a backup: written under another name, synced, renamed.

use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use env::Env;
use rusqlite::{Connection, OpenFlags};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{BackupError, Element, Manifest};
use crate::ledger::{self, Unsound};

/// The name of the graph's file.
pub const GRAPH_FILE: &str = "graph.jsonl";

/// The name of the manifest.
pub const MANIFEST_FILE: &str = "manifest.json";

/// What a file has to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileSum {
    /// Its length.
    pub bytes: u64,
    /// SHA-256 of its content, in hex.
    pub sha256: String,
}

impl FileSum {
    /// Of a file as it is.
    pub(super) fn of(path: &Path) -> io::Result<FileSum> {
        let (mut file, mut digest, mut bytes) = (File::open(path)?, Sha256::new(), 0);
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let read = file.read(&mut buffer)?;
            if read == 0 {
                return Ok(FileSum { bytes, sha256: hex(digest) });
            }
            digest.update(&buffer[..read]);
            bytes += read as u64;
        }
    }
}

fn hex(digest: Sha256) -> String {
    digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A folder under its passing name; removed with what is in it unless it is finished.
#[derive(Debug)]
pub(super) struct Staging {
    passing: PathBuf,
    target: PathBuf,
    finished: bool,
}

impl Staging {
    /// Makes the folder, beside the one that it will be.
    pub(super) fn begin(target: &Path, env: &Env) -> Result<Staging, BackupError> {
        let unusable = |why: &str| BackupError::Target { path: target.to_owned(), why: why.to_owned() };
        if !target.is_absolute() {
            return Err(unusable("the name is not absolute"));
        }
        if fs::symlink_metadata(target).is_ok() {
            return Err(unusable("it exists already: name a folder that does not"));
        }
        let (Some(parent), Some(name)) = (target.parent(), target.file_name()) else {
            return Err(unusable("it names no folder"));
        };
        if !parent.is_dir() {
            return Err(unusable("the folder above it does not exist"));
        }
        let mut entropy = [0; 8];
        env.entropy(&mut entropy);
        let passing = parent.join(format!(".{}.partial-{:016x}", name.display(), u64::from_le_bytes(entropy)));
        fs::create_dir(&passing).map_err(|source| BackupError::Write { path: passing.clone(), source })?;
        Ok(Staging { passing, target: target.to_owned(), finished: false })
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.passing.join(name)
    }

    /// A file for elements of the graph, empty at first.
    pub(super) fn sink(&self, name: &str) -> Result<Sink, BackupError> {
        let path = self.path(name);
        let file = File::create(&path).map_err(|source| BackupError::Write { path: path.clone(), source })?;
        Ok(Sink { path, file: BufWriter::new(file), digest: Sha256::new(), bytes: 0 })
    }

    /// Writes the manifest, syncs the folder and gives it its name.
    pub(super) fn finish(mut self, manifest: &Manifest) -> Result<(), BackupError> {
        let json = serde_json::to_string_pretty(manifest).expect("a manifest is always valid JSON");
        let parent = self.target.parent().unwrap_or(Path::new("/"));
        let publish = || {
            let mut file = File::create(self.path(MANIFEST_FILE))?;
            file.write_all(json.as_bytes())?;
            file.write_all(b"\n")?;
            file.sync_all()?;
            File::open(&self.passing)?.sync_all()?;
            fs::rename(&self.passing, &self.target)?;
            File::open(parent)?.sync_all()
        };
        publish().map_err(|source| BackupError::Write { path: self.target.clone(), source })?;
        self.finished = true;
        Ok(())
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if !self.finished {
            // What stays has a name that nobody takes for a backup.
            let _ = fs::remove_dir_all(&self.passing);
        }
    }
}

/// A file of elements, one a line.
#[derive(Debug)]
pub(super) struct Sink {
    path: PathBuf,
    file: BufWriter<File>,
    digest: Sha256,
    bytes: u64,
}

impl Sink {
    pub(super) fn write(&mut self, elements: &[Element]) -> Result<(), BackupError> {
        for element in elements {
            let mut line = serde_json::to_vec(element).expect("an element is always valid JSON");
            line.push(b'\n');
            self.digest.update(&line);
            self.bytes += line.len() as u64;
            self.file.write_all(&line).map_err(|source| BackupError::Write { path: self.path.clone(), source })?;
        }
        Ok(())
    }

    /// Makes it durable.
    pub(super) fn finish(mut self) -> Result<FileSum, BackupError> {
        let written = self.file.flush().and_then(|()| self.file.get_ref().sync_all());
        written.map_err(|source| BackupError::Write { path: self.path.clone(), source })?;
        Ok(FileSum { bytes: self.bytes, sha256: hex(self.digest) })
    }
}

/// A copy of a ledger.
pub(super) struct Copied {
    pub file: FileSum,
    /// The last position of its events.
    pub events: u64,
}

/// Copies a ledger that is in use, as of one moment, and makes the copy durable.
pub(super) fn copy_ledger(from: &Path, to: &Path) -> Result<Copied, BackupError> {
    let copy = || {
        // Of an earlier attempt.
        if to.exists() {
            fs::remove_file(to)?;
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let sql = Connection::open_with_flags(from, flags).map_err(io::Error::other)?;
        let name = to.to_str().ok_or_else(|| io::Error::other("its name is not UTF-8"))?;
        sql.execute("VACUUM INTO ?1", [name]).map_err(io::Error::other)?;
        File::open(to)?.sync_all()?;
        FileSum::of(to)
    };
    let file = copy().map_err(|source| BackupError::Write { path: to.to_owned(), source })?;
    let events = sound(to).map_err(|why| BackupError::Read { store: "the ledger", why })?;
    Ok(Copied { file, events })
}

/// Makes sure that every record of a copy's log is what was written, or set apart: no restore takes one that is neither.
/// Returns the last position of its events.
fn sound(copy: &Path) -> Result<u64, String> {
    let sql = Connection::open_with_flags(copy, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)
        .map_err(|error| error.to_string())?;
    let unsound = ledger::verify(&sql).map_err(|error| error.to_string())?;
    match unsound.first() {
        None => ledger::last_position(&sql).map_err(|error| error.to_string()),
        Some(Unsound { tx, why }) => Err(format!(
            "the record of {tx} is damaged ({why}): start the server anew, which sets it apart, and back up then"
        )),
    }
}
