//! A folder that is one process's alone, and the lock that keeps a second one out of it.

use std::fmt;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The file whose lock is the right to use the folder. It is never removed: whoever opens it
/// has to find the file that others have locked.
const LOCK_FILE: &str = "lock";

/// A folder that is this process's alone until the value is dropped or the process ends, however it ends.
pub struct Claim {
    path: PathBuf,
    #[expect(dead_code, reason = "held for what it stands for")]
    held: Box<dyn Send + Sync>,
}

impl Claim {
    /// For as long as `held` lives.
    pub fn new(path: &Path, held: impl Send + Sync + 'static) -> Claim {
        Claim { path: path.to_owned(), held: Box::new(held) }
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl fmt::Debug for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Claim").field(&self.path).finish()
    }
}

/// Why a folder was not claimed.
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    /// It is not there and could not be made.
    #[error("failed to create the data folder {path}: {source}", path = .path.display())]
    Create {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The lock file could not be opened, locked or written.
    #[error("failed to {action} {path}: {source}", path = .path.display())]
    Lock {
        /// What was attempted.
        action: &'static str,
        /// The lock file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another process uses it.
    #[error("the data folder {path} is in use by {holder}", path = .path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
        /// The process, as it wrote itself down.
        holder: Holder,
    },
}

/// The process that holds a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    /// Its id.
    Process(u32),
    /// It has not written itself down yet.
    Unnamed,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Holder::Process(id) => write!(f, "process {id}"),
            Holder::Unnamed => f.write_str("a process that is just starting"),
        }
    }
}

/// Creates the folder where it is missing, readable by its owner alone, and locks it: what production does.
pub(crate) fn claim(path: &Path) -> Result<Claim, ClaimError> {
    create(path).map_err(|source| ClaimError::Create { path: path.to_owned(), source })?;
    let lock_path = path.join(LOCK_FILE);
    let failed = |action| {
        let path = lock_path.clone();
        move |source| ClaimError::Lock { action, path, source }
    };
    let mut options = OpenOptions::new();
    // Not truncated: it may say who holds it.
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    let mut lock = options.open(&lock_path).map_err(failed("open"))?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(ClaimError::InUse { path: path.to_owned(), holder: holder(&mut lock) });
        }
        Err(TryLockError::Error(source)) => return Err(failed("lock")(source)),
    }
    let sign = |lock: &mut File| {
        lock.set_len(0)?;
        lock.rewind()?;
        writeln!(lock, "{}", std::process::id())
    };
    sign(&mut lock).map_err(failed("write"))?;
    Ok(Claim::new(path, lock))
}

/// Who wrote themselves down; the answer only serves a message.
fn holder(lock: &mut File) -> Holder {
    let mut text = String::new();
    match lock.read_to_string(&mut text) {
        Ok(_) => text.trim().parse().map_or(Holder::Unnamed, Holder::Process),
        Err(_) => Holder::Unnamed,
    }
}

/// Creates the folder and those above it, and syncs each entry: SQLite syncs what is in the
/// folder, and after a power cut that would be lost with it.
fn create(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let parent = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    create(parent)?;
    match DirBuilder::new().mode(0o700).create(path) {
        // Another process was faster.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => {}
        result => result?,
    }
    File::open(parent)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_missing_folder_is_created_for_its_owner_alone() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("a/b");
        let claimed = claim(&path).unwrap();
        assert_eq!(claimed.path(), path);
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn a_folder_in_use_is_refused_by_the_name_of_its_holder_and_free_afterwards() {
        let root = tempfile::tempdir().unwrap();
        let first = claim(root.path()).unwrap();
        let refused = claim(root.path()).unwrap_err();
        let us = std::process::id();
        assert!(matches!(refused, ClaimError::InUse { holder: Holder::Process(id), .. } if id == us), "{refused}");
        drop(first);
        claim(root.path()).unwrap();
    }

    #[test]
    fn a_file_in_the_way_is_named() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("file");
        std::fs::write(&path, "").unwrap();
        let error = claim(&path.join("data")).unwrap_err();
        assert!(matches!(error, ClaimError::Create { .. }), "{error}");
    }
}
