//! Names of files: those a program sees, those the medium holds, and the changes between the two.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::draws::Draws;
use crate::fault::Unsynced;

/// As many changes of entries stay unsynced at most; then the older half is written back unasked. See
/// [`image`](crate::image).
const UNSYNCED_MAX: usize = 128;

/// Identifies a file independently of its name, as an inode number does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct FileId(pub u64);

/// A name that now leads to a file, or to nothing, and is not synced yet.
#[derive(Clone, Debug)]
struct Change {
    path: Arc<str>,
    to: Option<FileId>,
}

/// All directories of a disk.
///
/// Directories are not objects: a path's directory is what stands before its last slash, and always exists.
#[derive(Debug, Default)]
pub(crate) struct Directories {
    current: BTreeMap<Arc<str>, FileId>,
    durable: BTreeMap<Arc<str>, FileId>,
    unsynced: Vec<Change>,
}

/// The directory that a path lies in.
pub(crate) fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(directory, _)| directory)
}

impl Directories {
    pub fn get(&self, path: &str) -> Option<FileId> {
        self.current.get(path).copied()
    }

    /// Every name and its file, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&Arc<str>, FileId)> {
        self.current.iter().map(|(path, file)| (path, *file))
    }

    pub fn link(&mut self, path: &Arc<str>, file: FileId) {
        self.current.insert(path.clone(), file);
        self.push(Change { path: path.clone(), to: Some(file) });
    }

    pub fn unlink(&mut self, path: &str) -> Option<FileId> {
        let (path, file) = self.current.remove_entry(path)?;
        self.push(Change { path, to: None });
        Some(file)
    }

    fn push(&mut self, change: Change) {
        if self.unsynced.len() == UNSYNCED_MAX {
            for change in self.unsynced.drain(..UNSYNCED_MAX / 2) {
                apply(&mut self.durable, &change);
            }
        }
        self.unsynced.push(change);
    }

    /// Makes the entries of one directory durable.
    pub fn sync(&mut self, directory: &str) {
        let durable = &mut self.durable;
        self.unsynced.retain(|change| {
            let here = parent(&change.path) == directory;
            if here {
                apply(durable, change);
            }
            !here
        });
    }

    /// Makes a name lead to a file, or to nothing, on the medium itself.
    pub fn fix(&mut self, path: &str, to: Option<FileId>) {
        self.unsynced.retain(|change| &*change.path != path);
        let change = Change { path: path.into(), to };
        apply(&mut self.current, &change);
        apply(&mut self.durable, &change);
    }

    /// The power fails. Each directory keeps a prefix of its changes, as a journaling file system would. Returns how many
    /// changes were kept and how many dropped.
    pub fn cut_power(&mut self, unsynced: Unsynced, draws: &mut Draws) -> (u64, u64) {
        let changes = std::mem::take(&mut self.unsynced);
        let mut left: BTreeMap<&str, usize> = BTreeMap::new();
        for change in &changes {
            *left.entry(parent(&change.path)).or_default() += 1;
        }
        for count in left.values_mut() {
            *count = match unsynced {
                Unsynced::LoseAll => 0,
                Unsynced::KeepAll => *count,
                Unsynced::Mixed | Unsynced::Drawn => draws.up_to(*count),
            };
        }
        let mut kept = 0;
        for change in &changes {
            if let Some(count) = left.get_mut(parent(&change.path))
                && *count > 0
            {
                *count -= 1;
                kept += 1;
                apply(&mut self.durable, change);
            }
        }
        self.current.clone_from(&self.durable);
        (kept, changes.len() as u64 - kept)
    }

    /// Whether a name leads to the file.
    pub fn names(&self, file: FileId) -> bool {
        self.current.values().any(|named| *named == file)
    }

    /// Whether a name leads to the file, or could after a power cut.
    pub fn may_name(&self, file: FileId) -> bool {
        self.names(file)
            || self.durable.values().any(|named| *named == file)
            || self.unsynced.iter().any(|change| change.to == Some(file))
    }
}

fn apply(entries: &mut BTreeMap<Arc<str>, FileId>, change: &Change) {
    match change.to {
        Some(file) => entries.insert(change.path.clone(), file),
        None => entries.remove(&change.path),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draws(instance: u64) -> Draws {
        Draws::new(5, "directory test", instance)
    }

    #[test]
    fn an_entry_lasts_once_its_own_directory_is_synced() {
        let mut directories = Directories::default();
        directories.link(&"/a/1".into(), FileId(1));
        directories.link(&"/b/2".into(), FileId(2));
        directories.sync("/a");
        assert_eq!(directories.cut_power(Unsynced::LoseAll, &mut draws(0)), (0, 1));
        assert_eq!(directories.get("/a/1"), Some(FileId(1)));
        assert_eq!(directories.get("/b/2"), None);
    }

    #[test]
    fn a_deleted_file_comes_back_when_its_directory_was_not_synced() {
        let mut directories = Directories::default();
        directories.link(&"/journal".into(), FileId(1));
        directories.sync("");
        assert_eq!(directories.unlink("/journal"), Some(FileId(1)));
        assert!(!directories.names(FileId(1)) && directories.may_name(FileId(1)));
        directories.cut_power(Unsynced::LoseAll, &mut draws(0));
        assert_eq!(directories.get("/journal"), Some(FileId(1)));
    }

    #[test]
    fn what_survives_is_a_prefix_and_every_prefix_can() {
        let mut seen = [0; 4];
        for instance in 0..400 {
            let mut directories = Directories::default();
            for (file, path) in ["/1", "/2", "/3"].into_iter().enumerate() {
                directories.link(&path.into(), FileId(file as u64));
            }
            let (kept, dropped) = directories.cut_power(Unsynced::Mixed, &mut draws(instance));
            assert_eq!(kept + dropped, 3);
            let names: Vec<_> = directories.iter().map(|(path, _)| path.to_string()).collect();
            assert_eq!(names, &["/1", "/2", "/3"][..kept as usize]);
            seen[kept as usize] += 1;
        }
        assert!(seen.iter().all(|count| *count > 50), "{seen:?}");
    }
}
