//! The copy of the tree that mutants are built from.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::patch::Mutant;
use super::shown;
use crate::cli::Failure;

/// A working tree and its copy.
pub struct Tree {
    origin: PathBuf,
    base: PathBuf,
    copy: PathBuf,
}

impl Tree {
    /// The tree around the current folder, as git sees it.
    pub fn open() -> Result<Tree, Failure> {
        let git = Command::new("git").args(["rev-parse", "--show-toplevel"]).output();
        let git = git.map_err(|error| Failure::harness(format!("cannot start git: {error}")))?;
        if !git.status.success() {
            let why = String::from_utf8_lossy(&git.stderr).trim().to_owned();
            return Err(Failure::usage(format!("mutants are made of a git working tree, and here is none: {why}")));
        }
        let origin = PathBuf::from(String::from_utf8_lossy(&git.stdout).trim_end_matches('\n'));
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| origin.join("target"), PathBuf::from);
        Tree::new(origin, &target.join("mutants"))
    }

    /// A tree, with its copy below `base`.
    fn new(origin: PathBuf, base: &Path) -> Result<Tree, Failure> {
        let failed = |error| Failure::harness(format!("cannot make {}: {error}", shown(base)));
        fs::create_dir_all(base.join("tree")).map_err(failed)?;
        let base = base.canonicalize().map_err(failed)?;
        Ok(Tree { origin, copy: base.join("tree"), base })
    }

    /// The working tree; nothing here writes to it.
    pub fn origin(&self) -> &Path {
        &self.origin
    }

    /// The folder of everything that belongs to mutants.
    pub fn base(&self) -> &Path {
        &self.base
    }

    /// Where the copy is.
    pub fn copy_folder(&self) -> &Path {
        &self.copy
    }

    /// Makes the copy equal to the working tree: tracked files and new ones that are not ignored.
    ///
    /// Cargo judges by the time of a file's last change whether to compile it again, so only files whose content
    /// differs are written. That also takes back what an interrupted run left.
    pub fn copy(&mut self) -> Result<(), Failure> {
        let wanted = self.list()?;
        let failed = |path: &Path, error: io::Error| Failure::harness(format!("cannot copy {}: {error}", shown(path)));
        let mut stale = Vec::new();
        files_below(&self.copy, &mut stale).map_err(|error| failed(&self.copy, error))?;
        for path in stale {
            let name = path.strip_prefix(&self.copy).expect("it was found below the copy");
            if !wanted.contains(name) {
                fs::remove_file(&path).map_err(|error| failed(&path, error))?;
            }
        }
        for name in &wanted {
            let (from, to) = (self.origin.join(name), self.copy.join(name));
            let content = fs::read(&from).map_err(|error| failed(&from, error))?;
            if fs::read(&to).is_ok_and(|old| old == content) {
                continue;
            }
            let folder = to.parent().unwrap_or(&self.copy);
            fs::create_dir_all(folder).map_err(|error| failed(folder, error))?;
            fs::write(&to, content).map_err(|error| failed(&to, error))?;
        }
        Ok(())
    }

    /// The files of the working tree, relative to it.
    fn list(&self) -> Result<BTreeSet<PathBuf>, Failure> {
        let arguments = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
        let git = Command::new("git").current_dir(&self.origin).args(arguments).output();
        let git = git.map_err(|error| Failure::harness(format!("cannot start git: {error}")))?;
        if !git.status.success() {
            let why = String::from_utf8_lossy(&git.stderr).trim().to_owned();
            return Err(Failure::harness(format!("git cannot list the tree: {why}")));
        }
        let names = git.stdout.split(|byte| *byte == 0).filter(|name| !name.is_empty());
        let files = names.map(|name| PathBuf::from(String::from_utf8_lossy(name).into_owned()));
        // What was deleted and not yet committed is listed as well.
        Ok(files.filter(|name| self.origin.join(name).is_file()).collect())
    }

    /// Applies a mutant to the copy. The inner error names the part that does not fit.
    pub fn apply(&mut self, mutant: &Mutant) -> Result<Result<Applied, String>, Failure> {
        let mut before = Vec::new();
        for name in &mutant.files {
            let path = self.copy.join(name);
            match fs::read(&path) {
                Ok(content) => before.push((path, content)),
                Err(error) => return Ok(Err(format!("{}: {error}", name.display()))),
            }
        }
        let git = Command::new("git")
            .current_dir(&self.copy)
            // Within a repository git would take the patch for one of that repository, and silently skip all of it.
            .env("GIT_CEILING_DIRECTORIES", &self.base)
            .env_remove("GIT_DIR")
            .args(["apply", "--whitespace=nowarn"])
            .arg(&mutant.path)
            .output();
        let git = git.map_err(|error| Failure::harness(format!("cannot start git: {error}")))?;
        if !git.status.success() {
            return Ok(Err(String::from_utf8_lossy(&git.stderr).trim().to_owned()));
        }
        let applied = Applied { before };
        if let Some(path) = applied.unchanged() {
            return Ok(Err(format!("it changes nothing in {}", shown(path))));
        }
        Ok(Ok(applied))
    }
}

/// A mutant in the copy.
pub struct Applied {
    before: Vec<(PathBuf, Vec<u8>)>,
}

impl Applied {
    /// A file that is as before.
    fn unchanged(&self) -> Option<&Path> {
        let same = |(path, content): &&(PathBuf, Vec<u8>)| fs::read(path).is_ok_and(|now| now == *content);
        self.before.iter().find(same).map(|(path, _)| path.as_path())
    }

    /// Takes it out again. The files are written anew, so that cargo sees a change.
    pub fn reverse(self) -> Result<(), Failure> {
        for (path, content) in self.before {
            fs::write(&path, content)
                .map_err(|error| Failure::harness(format!("cannot restore {}: {error}", shown(&path))))?;
        }
        Ok(())
    }
}

fn files_below(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            files_below(&entry.path(), files)?;
        } else {
            files.push(entry.path());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mutants::suite::Command as Run;

    const PATCH: &str = "# What: a header is no part of the diff\n\n\
                         --- a/src/x.rs\n+++ b/src/x.rs\n@@ -1,3 +1,3 @@\n one\n-two\n+zwei\n three\n";

    /// A repository with its copy inside, as `target/` is, and a mutant of it.
    fn repository(content: &str) -> (tempfile::TempDir, Tree, Mutant) {
        let folder = tempfile::tempdir().unwrap();
        let origin = folder.path().to_owned();
        let git = Command::new("git").args(["init", "--quiet"]).current_dir(&origin).status().unwrap();
        assert!(git.success());
        fs::create_dir_all(origin.join("src")).unwrap();
        fs::write(origin.join("src/x.rs"), content).unwrap();
        fs::write(origin.join(".gitignore"), "/target\n").unwrap();
        fs::write(origin.join("one.patch"), PATCH).unwrap();
        let tree = Tree::new(origin.clone(), &origin.join("target/mutants")).unwrap();
        let mutant = Mutant {
            name: "one".to_owned(),
            what: String::new(),
            checks: Vec::new(),
            command: Run::parse("squall run").unwrap(),
            path: origin.join("one.patch"),
            files: vec!["src/x.rs".into()],
        };
        (folder, tree, mutant)
    }

    #[test]
    fn a_mutant_changes_the_copy_and_is_taken_back() {
        let (_folder, mut tree, mutant) = repository("one\ntwo\nthree\n");
        tree.copy().unwrap();
        let copied = tree.copy_folder().join("src/x.rs");
        let applied = tree.apply(&mutant).unwrap().unwrap();
        assert_eq!(fs::read_to_string(&copied).unwrap(), "one\nzwei\nthree\n");
        assert_eq!(fs::read_to_string(tree.origin().join("src/x.rs")).unwrap(), "one\ntwo\nthree\n");
        applied.reverse().unwrap();
        assert_eq!(fs::read_to_string(&copied).unwrap(), "one\ntwo\nthree\n");
    }

    #[test]
    fn a_patch_that_does_not_fit_says_where() {
        let (_folder, mut tree, mutant) = repository("one\n2\nthree\n");
        tree.copy().unwrap();
        let Err(hunk) = tree.apply(&mutant).unwrap() else { panic!("it was applied") };
        assert!(hunk.contains("src/x.rs:1"), "{hunk}");
    }

    #[test]
    fn the_copy_follows_the_tree() {
        let (_folder, mut tree, _) = repository("one\n");
        tree.copy().unwrap();
        let (origin, copy) = (tree.origin().to_owned(), tree.copy_folder().to_owned());
        let written = fs::metadata(copy.join("one.patch")).unwrap().modified().unwrap();
        assert!(!copy.join("target").exists(), "what git ignores is not copied");
        fs::rename(origin.join("src/x.rs"), origin.join("src/y.rs")).unwrap();
        tree.copy().unwrap();
        assert!(!copy.join("src/x.rs").exists() && copy.join("src/y.rs").exists());
        assert_eq!(fs::metadata(copy.join("one.patch")).unwrap().modified().unwrap(), written);
    }
}
