//! A mutant as a file: a header for people and for us, and a unified diff.

use std::fs;
use std::path::{Path, PathBuf};

use super::shown;
use super::suite::Command;
use crate::cli::Failure;

/// A planted bug.
#[derive(Clone, Debug)]
pub struct Mutant {
    /// The file's name without its ending.
    pub name: String,
    /// The bug, in a sentence or two.
    pub what: String,
    /// The properties of which one must be violated.
    pub checks: Vec<String>,
    /// What must find it.
    pub command: Command,
    /// The file.
    pub path: PathBuf,
    /// The files that the diff changes, relative to the tree.
    pub files: Vec<PathBuf>,
}

/// Reads every mutant of a folder, sorted by name.
///
/// `checks` are the names that a header may use: a property that does not exist would look like a mutant that survives.
pub fn load(folder: &Path, checks: &[String]) -> Result<Vec<Mutant>, Failure> {
    let unreadable = |error| Failure::usage(format!("cannot read {}: {error}", shown(folder)));
    let mut mutants = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_some_and(|extension| extension == "patch") {
            let text = fs::read_to_string(&path)
                .map_err(|error| Failure::usage(format!("cannot read {}: {error}", shown(&path))))?;
            let wrong = |why| Failure::usage(format!("{}: {why}", shown(&path)));
            mutants.push(parse(&path, &text, checks).map_err(wrong)?);
        }
    }
    if mutants.is_empty() {
        return Err(Failure::usage(format!("{} holds no patch", shown(folder))));
    }
    mutants.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(mutants)
}

/// Reads a header of the form
///
/// ```text
/// # What: a sentence, which may go on
/// #   in lines that are indented.
/// # Check: property, or another property
/// # Run: squall run scenarios/story.toml --seeds 0..5
/// ```
///
/// and the names of the files in the diff that follows.
fn parse(path: &Path, text: &str, checks: &[String]) -> Result<Mutant, String> {
    let mut what = None;
    let mut check = None;
    let mut run = None;
    let mut current: Option<&mut String> = None;
    let in_header = |line: &&str| !line.starts_with("--- ") && !line.starts_with("diff ");
    for line in text.lines().take_while(in_header) {
        let Some(rest) = line.strip_prefix('#') else {
            if line.trim().is_empty() {
                continue;
            }
            return Err(format!("before the diff every line starts with #, unlike {line:?}"));
        };
        if let (Some(value), true) = (&mut current, rest.starts_with("  ")) {
            **value += " ";
            **value += rest.trim();
            continue;
        }
        let (field, value) = rest.split_once(':').ok_or_else(|| format!("{line:?} is not `# Name: value`"))?;
        let slot = match field.trim() {
            "What" => &mut what,
            "Check" => &mut check,
            "Run" => &mut run,
            other => return Err(format!("the header has What, Check and Run, but not {other:?}")),
        };
        if slot.is_some() {
            return Err(format!("{} stands twice", field.trim()));
        }
        current = Some(slot.insert(value.trim().to_owned()));
    }
    let missing = |name: &str| format!("the header does not say `# {name}: …`");
    let what = what.ok_or_else(|| missing("What"))?;
    let properties: Vec<String> =
        check.ok_or_else(|| missing("Check"))?.split(',').map(|name| name.trim().to_owned()).collect();
    if let Some(stranger) = properties.iter().find(|name| !checks.contains(name)) {
        return Err(format!("there is no check {stranger:?}; there are: {}", checks.join(", ")));
    }
    let command = Command::parse(&run.ok_or_else(|| missing("Run"))?)?;
    let files = files(text)?;
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    Ok(Mutant { name, what, checks: properties, command, path: path.to_owned(), files })
}

/// The files that a diff changes. A mutant changes what is there: it neither adds nor removes files.
fn files(text: &str) -> Result<Vec<PathBuf>, String> {
    let named = text.lines().filter_map(|line| line.strip_prefix("+++ "));
    let files: Vec<PathBuf> = named
        .map(|name| {
            let name = name.split('\t').next().unwrap_or(name).trim();
            let path = name.strip_prefix("b/").ok_or_else(|| format!("{name:?} does not start with b/"))?;
            Ok(PathBuf::from(path))
        })
        .collect::<Result<_, String>>()?;
    if files.is_empty() {
        return Err("there is no diff after the header".to_owned());
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "# What: it forgets\n#   everything.\n# Check: atomicity, honesty\n\
                        # Run: squall run scenarios/a.toml --seeds 0..5\n\n\
                        --- a/src/x.rs\n+++ b/src/x.rs\n@@ -1 +1 @@\n-a\n+b\n";

    fn read(text: &str) -> Result<Mutant, String> {
        parse(Path::new("mutants/forgetful.patch"), text, &["atomicity".to_owned(), "honesty".to_owned()])
    }

    #[test]
    fn a_header_is_read() {
        let mutant = read(GOOD).unwrap();
        assert_eq!(mutant.name, "forgetful");
        assert_eq!(mutant.what, "it forgets everything.");
        assert_eq!(mutant.checks, ["atomicity", "honesty"]);
        assert_eq!(mutant.command.to_string(), "squall run scenarios/a.toml --seeds 0..5");
        assert_eq!(mutant.files, [PathBuf::from("src/x.rs")]);
        let as_git_prints = GOOD.replace("--- a", "diff --git a/src/x.rs b/src/x.rs\nindex 1..2 100644\n--- a");
        assert_eq!(read(&as_git_prints).unwrap().files, mutant.files);
    }

    #[test]
    fn what_is_wrong_with_a_header_is_said() {
        for (text, why) in [
            (GOOD.replace("honesty", "honestly"), "there is no check \"honestly\""),
            (GOOD.replace("# What", "# Who"), "but not \"Who\""),
            (GOOD.replace("# Check: atomicity, honesty\n", ""), "does not say `# Check: …`"),
            (GOOD.replace("# Check", "# What"), "What stands twice"),
            (GOOD.replace("# Check", "Check"), "every line starts with #"),
            (GOOD.replace("squall run", "cargo test"), "starts with `squall run`"),
            (GOOD.replace("+++ b/src/x.rs", "+++ /dev/null"), "does not start with b/"),
            (GOOD.split("---").next().unwrap().to_owned(), "no diff"),
        ] {
            let error = read(&text).unwrap_err();
            assert!(error.contains(why), "{error:?} does not say {why:?}");
        }
    }
}
